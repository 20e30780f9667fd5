"""JSON as small models write it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.emulation.loose_json import is_sound, read

CASES = (
    ('{"a": 1}', {"a": 1}),
    ("{'a': 'b',}", {"a": "b"}),
    ("{'a': True, 'b': None, 'c': [False,], 'd': NaN}", {"a": True, "b": None, "c": [False], "d": None}),
    ("{a: 1, b-c: x y}", {"a": 1, "b-c": "x y"}),
    ("{'it': 'don\\'t'}", {"it": "don't"}),
    ("{'it': 'don't'}", {"it": "don't"}),
    ('{"a": "echo "hi" there"}', {"a": 'echo "hi" there'}),
    ('{"a": """x "y"\nz"""}', {"a": 'x "y"\nz'}),
    ('{"a": "line\nline\ttab"}', {"a": "line\nline\ttab"}),
    ('{"re": "\\d+\\.\\w \\\\n"}', {"re": "\\d+\\.\\w \\n"}),
    ("{'u': '\\u00e9\\ud83d\\ude42\\ud83d \\u12'}", {"u": "é🙂\ufffd \\u12"}),
    ('{"a": "b"\n"c": 1}', {"a": "b", "c": 1}),
    ('{"a": [1, 2}', {"a": [1, 2]}),
    ('{"a": {"b": "c"}', {"a": {"b": "c"}}),
    ('{"a": -1.5e3, "b": +7, "c": 1.2.3, "d": 1.}', {"a": -1500.0, "b": 7, "c": "1.2.3", "d": 1.0}),
    ('{"a": , "b": 1}', {"b": 1}),
    ('{a, "c": 1}', {"c": 1}),
    ('{"a": {} "b": 1\n "c": 2}', {"a": {}, "b": 1, "c": 2}),
    ('(command="ls", n=5, x=[1, (2,)])', {"command": "ls", "n": 5, "x": [1, [2]]}),
    ('({"command": "ls )}", "n": 5})', {"command": "ls )}", "n": 5}),
    ("( {'a': 1}, )", {"a": 1}),
    ('({"a": "b"})', {"a": "b"}),
    ('({"a": 1', {"a": 1}),
    ("{}", {}),
    ("[]", []),
    ("[1 , , 2]", [1, 2]),
    ("{]}", {}),
    ("{'a': {'b': 1]}}", {"a": {"b": 1}}),
)


@pytest.mark.parametrize(("text", "value"), CASES)
def test_it_is_read(text, value):
    assert read(text).value == value


@pytest.mark.parametrize(
    ("text", "value"),
    (
        ('{"a": "x', {"a": "x"}),
        ('{"a": "x\\', {"a": "x\\"}),
        ('{"a": 12', {"a": 12}),
        ('{"a": tru', {"a": "tru"}),
        ('{"a":', {}),
        ('{"a', {}),
        ('{"a": 1,', {"a": 1}),
        ('{"a": {', {"a": {}}),
        ('{"a": [', {"a": []}),
        ("{", {}),
    ),
)
def test_what_ends_in_the_middle_is_cut(text, value):
    assert read(text) == (value, True, True)


@pytest.mark.parametrize("text", ('{"a": "x"', '{"a": "x" ', '{"a": 12 ', '{"a": true', '{"a": {"b": "{"}', '{"a": [1]'))
def test_missing_brackets_alone_are_no_cut(text):
    assert read(text)[1:] == (True, False)


@pytest.mark.parametrize("text", ("", "   ", "x", '"x', "tru", "}", "'a", "[" * 500))
def test_what_is_no_value_is_an_error(text):
    with pytest.raises(ValueError):
        read(text)


def test_a_number_at_the_end_of_a_whole_text_is_whole():
    assert read('{"a": 12', ended=True) == ({"a": 12}, True, False)
    assert read('{"a": "x', ended=True).cut


def test_sound_json_is_not_repaired():
    assert is_sound('{"a": 1}') and not is_sound("{'a': 1}")
    assert read('"a"') == ("a", False, False)
    assert read(' {"a": [1.5]} ') == ({"a": [1.5]}, False, False)


@given(st.recursive(st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("ab \"{},:'\\\n", max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab'", max_size=3), inner, max_size=3)))
def test_pythons_own_writing_is_read(value):
    assert read(repr([value])).value == [value]


@given(st.text("{}[]()\"'\\,:= \nab1-", max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        json.dumps(read("{" + text).value)
    except ValueError:
        pass
