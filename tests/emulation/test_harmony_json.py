"""JSON that can only mean one thing, and all that could mean two."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.emulation.harmony_json import is_object, repaired


@pytest.mark.parametrize(
    ("text", "value"),
    (
        ("{'a': 'x'}", {"a": "x"}),
        ('{"a": 1,}', {"a": 1}),
        (' {"a": [1, 2, ], "b": {}, }\n', {"a": [1, 2], "b": {}}),
        ("{a: 1, b_2: 'it\\'s', $c: null}", {"a": 1, "b_2": "it's", "$c": None}),
        ('{"a": True, "b": False, "c": None}', {"a": True, "b": False, "c": None}),
        ('{\'a\': \'say "hi"\', "b": "it\'s"}', {"a": 'say "hi"', "b": "it's"}),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}),
        ('{"a": "\\d+\\.py"}', {"a": "\\d+\\.py"}),
        ("{'a': '{[,}', 'b': 'True, x: ,}'}", {"a": "{[,}", "b": "True, x: ,}"}),
        ("{'a': '<|end|>'}", {"a": "<|end|>"}),
        ('{"a": "\ud800"}', {"a": "\ud800"}),
        ("{}", {}),
        ('{"a": 1}', {"a": 1}),
    ),
)
def test_what_needs_no_guess_is_repaired(text, value):
    assert repaired(text) == value and is_object(text) is True


@pytest.mark.parametrize(
    "text",
    (
        "", "x", "[1,]", '"x"', "(a=1)", "{a=1}", "{a}", "{a: do it}", "{a: 'x' b: 1}", '{"a" "b"}', '{"a": }', '{"a": ,}',
        '{"a": "say "hi" now"}', '{"a": "say "hi", now"}', '{"a": """x"""}', "{'a': 'it's'}",
        '{"a": 1', '{"a": [1}', '{"a": "x', '{"a": "x\\', "{'a': 'x", '{"a": "x\\"}', '{"a": 1}}', '{"a": 1} {"b": 2}',
        '{"a": 1,,}', '{"a": [,]}', "{,}", '{"a": 01}', '{"a": NaN}', '{"a": undefined}', '{"a": 1 /* x */}', '{"a": +1}',
        '{"a":' * 200 + "1" + "}" * 200 + ",",
    ),
)  # fmt: skip
def test_what_needs_a_guess_is_left_alone(text):
    assert repaired(text) is None


def test_an_array_is_an_object_to_the_reader_of_markers_if_it_is_sound():
    assert is_object("[1]") and not is_object("[1,]") and not is_object("x")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=4)


@settings(max_examples=150, deadline=None)
@given(OBJECTS)
def test_any_object_survives_pythons_spelling_and_a_last_comma(value):
    assert repaired(json.dumps(value)) == value
    if value:
        assert repaired(json.dumps(value)[:-1] + " , }") == value
    single = "".join(
        '"' if sign == "'" else "'" if sign == '"' else sign for sign in json.dumps(value).replace("'", "\\u0027")
    )
    if "\\'" not in single:
        assert repaired(single) == value


@settings(max_examples=150, deadline=None)
@given(st.text("{}[]\"'\\,: aTrue1", max_size=40))
def test_nothing_raises_and_nothing_sound_changes(text):
    found = repaired("{" + text)
    assert found is None or isinstance(found, dict)
    try:
        sound = json.loads("{" + text)
    except ValueError:
        return
    assert found == sound


@pytest.mark.parametrize("unit", ('"', '\\"', "'", "a ", "{a: ", ",   "))
def test_long_texts_are_looked_at_once(unit):
    assert repaired("{" + unit * (600_000 // len(unit))) is None
