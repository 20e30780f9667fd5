"""What is remembered is what the masker says, for any value, any order and any number of keys."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.utils import masked_json
from app.utils.masked_json import MaskedJson
from app.utils.masking import Masker

OWN, OTHER = "my-configured-key-0123456789", "another-client-key-9876543210"
LONG = "a long text without any key in it, which is remembered by its hash and not by itself"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from((OWN, OTHER, LONG, "x", "\ud800", "Bearer abcdefghijklmnop")),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(("messages", "tools", "api_key", "content", "a")), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def shown(writer, value, masker=None):
    value = masked_json.read_json(value) if isinstance(value, bytes) else value
    return json.loads(writer.units(masker or Masker([OWN])).unit(value))


@given(st.lists(JSON, min_size=1, max_size=4))
def test_it_says_what_the_masker_says(values):
    writer, first, second = MaskedJson(), Masker([OWN]), Masker([OTHER])
    for value in (*values, *values):
        for masker in (first, second):
            assert shown(writer, value, masker) == json.loads(json.dumps(masker.mask(value)))


def test_each_masker_has_its_own_memory():
    writer, maskers = MaskedJson(), [Masker([OWN]), Masker([OTHER])] + [Masker() for _ in range(20)]
    body = {"messages": [{"role": "user", "content": f"{LONG} {OWN} {OTHER}"}] * 3}
    for _ in range(2):
        assert OWN not in str(shown(writer, body, maskers[0])) and OTHER in str(shown(writer, body, maskers[0]))
        assert OTHER not in str(shown(writer, body, maskers[1])) and OWN in str(shown(writer, body, maskers[1]))
        for masker in maskers[2:]:
            assert shown(writer, body, masker) == body


def test_memory_is_bounded_and_still_right_when_full():
    masker = Masker([OWN])
    units = masked_json.Units(masker, most=10)
    for turn in range(50):
        value = {"messages": [{"content": f"{LONG} {number}"} for number in range(turn)], "key": f"{OWN} {turn}"}
        for item in (*value["messages"], value):
            assert json.loads(units.unit(item)) == masker.mask(item)
    assert len(units._new) + len(units._old) <= 20


def test_only_some_maskers_are_remembered():
    writer, maskers = MaskedJson(), [Masker([f"{OWN}-{number}"]) for number in range(3 * masked_json.MOST_MASKERS)]
    for number, masker in enumerate(maskers):
        assert f"{OWN}-{number}" not in str(shown(writer, [f"{OWN}-{number}"], masker))
    assert len(writer._units) <= masked_json.MOST_MASKERS


@pytest.mark.parametrize(
    ("value", "expected"),
    (
        (b' {"a": [1, "x"]}', {"a": [1, "x"]}),
        (b"<html>", "<html>"),
        (b'{"broken', '{"broken'),
        (b"\xff", "\udcff"),
        ({"a": {1: b"bytes"}}, {"a": {"1": "bytes"}}),
        ({"a": float("nan"), "b": "\udc80"}, {"a": None, "b": "\udc80"}),
        ({"big": 2**70}, {"big": 2**70}),
        ((1, "x"), [1, "x"]),
    ),
)
def test_any_value_can_be_written(value, expected):
    assert shown(MaskedJson(), value) == expected
