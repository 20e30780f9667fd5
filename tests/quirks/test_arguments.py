import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.quirks.arguments import read_arguments


@pytest.mark.parametrize(
    ("given_arguments", "expected"),
    (
        ('{"a": 1}', ['{"a": 1}']),  # sound text stays byte for byte
        ({"a": 1}, ['{"a":1}']),
        (None, ["{}"]),
        ("", ["{}"]),
        ("  null ", ["{}"]),
        ('{"a":1}{"b":2}', ['{"a":1}', '{"b":2}']),
        ('{"a":1}\n,{"b":2}', ['{"a":1}', '{"b":2}']),
        ('"{\\"a\\":1}"', ['{"a":1}']),  # encoded twice
        ('{"a":', ['{"_raw":"{\\"a\\":"}']),
        ('{"a":1} and more', ['{"_raw":"{\\"a\\":1} and more"}']),
        ("[1]", ['{"_raw":"[1]"}']),
        ("7", ['{"_raw":"7"}']),
        ([1], ['{"_raw":[1]}']),
        (7, ['{"_raw":7}']),
    ),
)
def test_arguments_become_objects(given_arguments, expected):
    assert read_arguments(given_arguments) == expected


def test_half_a_surrogate_pair_inside_arguments():
    [text] = read_arguments('{"a": "\\ud800"}')
    text.encode()
    assert json.loads(text) == {"a": "\ufffd"}


def test_hundreds_of_objects_are_kept_as_text():
    [text] = read_arguments("{}" * 500)
    assert json.loads(text) == {"_raw": "{}" * 500}


def test_a_text_that_nests_too_deep():
    [text] = read_arguments("[" * 100_000)
    assert json.loads(text)["_raw"].startswith("[[[")


@given(
    st.text()
    | st.recursive(
        st.none() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_comes_is_an_object_afterwards(value):
    texts = read_arguments(value)
    assert texts
    for text in texts:
        assert isinstance(json.loads(text.encode()), dict)
        assert read_arguments(text) == [text]
