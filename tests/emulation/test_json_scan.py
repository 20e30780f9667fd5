"""The end of a JSON value, sound or loose, cut anywhere."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.emulation.json_scan import BROKEN, DONE, MARK, MAX_DEPTH, RUNNING, JsonScan

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(st.sampled_from("a'\"\\{}[]()<>,:= \n\té🙂")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("a'\"{<", max_size=3), inner, max_size=4),
    max_leaves=10,
)


def scan(text: str, size: int = 0) -> tuple[int, int]:
    """Feed `text` in pieces; return the final status and how many characters were taken."""
    found, taken, rest = JsonScan(), 0, ""
    for start in range(0, len(text), size or len(text)):
        rest += text[start : start + (size or len(text))]
        stop = found.feed(rest, 0)
        taken, rest = taken + stop, rest[stop:]
        if found.status != RUNNING:
            return found.status, taken
    return found.status, taken + found.feed(rest, 0, True)


ENDS = (
    ('{"a":1}', ""),
    ('{"a":1}', "}"),
    ('[{"a":[1,{}]}]', " more"),
    ('{"a":"}"}', "x"),
    ('{"a":"\\"}"}', "x"),
    ('{"a":"\\\\"}', "x"),
    ("{'a': 'b}',}", "x"),
    ("{'it': 'don\\'t}'}", "x"),
    ("{'it': 'don't}'}", "x"),
    ('{"a": "echo "{}" x"}', "x"),
    ('{"a": 1\n "b": "}"}', "x"),
    ('{"a": {} "b": "}"}', "x"),
    ('{"a": "echo "hi""}', "x"),
    ('{"a": """\nx = {"b": 1}\n"""}', "x"),
    ('{"a": "b"\n "c": "}"}', "x"),
    ('{"a": "line\nline}"}', "x"),
    ("{a: it's, b: '}'}", "x"),
    ('{"a": [1, 2}', "x"),
    ('{"a": 1]}', "x"),
    ('(command="ls )", n=[1])', "x"),
    ("(a=(1, ')'), b='x')", "x"),
)


@pytest.mark.parametrize(("value", "behind"), ENDS)
def test_the_end_is_found_wherever_it_is_cut(value, behind):
    for size in (0, 1, 2, 3, 5):
        assert scan(value + behind, size) == (DONE, len(value))


@pytest.mark.parametrize(
    ("text", "before"),
    (
        ('{"a":1</tool_call>', '{"a":1'),
        ('{"a":"b"</tool_call>', '{"a":"b"'),
        ('{"a":"b" \n<|eot_id|>', '{"a":"b" \n'),
        ('{"a": <b', '{"a": '),
    ),
)
def test_a_mark_outside_a_string_stops_the_scan(text, before):
    for size in (0, 1, 2, 3):
        assert scan(text, size) == (MARK, len(before))


@pytest.mark.parametrize("text", ('{"a":"<', '{"a":"</tool_call>', '{"a":"<b" <c', '{"a":"x" <c}"'))
def test_a_mark_inside_a_string_does_not(text):
    assert scan(text)[0] == RUNNING


def test_inside_a_string_is_known():
    for text, inside in (('{"a', True), ('{"a"', False), ('{"a":1', False), ('{"a":"\\', True), ("{'a': 'b' c", True)):
        found = JsonScan()
        found.feed(text, 0)
        assert found.in_string == inside, text


def test_what_is_nested_too_deep_is_broken():
    assert scan("[" * (MAX_DEPTH + 1))[0] == BROKEN
    assert scan("[" * MAX_DEPTH + "]" * MAX_DEPTH)[0] == DONE


@given(st.lists(JSON, max_size=3) | st.dictionaries(st.text(max_size=3), JSON, max_size=3), st.booleans(), st.integers(0, 7))
def test_sound_json_ends_where_the_parser_says(value, spaced, size):
    text = json.dumps(value, indent=1 if spaced else None, ensure_ascii=spaced)
    assert scan(text + ' {"more', size) == (DONE, len(text))


@given(st.text("{}[]()\"'\\<,:= \nab", max_size=40), st.integers(1, 5))
def test_how_it_is_cut_makes_no_difference(text, size):
    assert scan("{" + text, size) == scan("{" + text)
