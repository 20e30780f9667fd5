"""Differences of JSON values: each is found, nothing that is equal is named, and they lead from one to the other."""

import copy
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.utils.json_diff import ABSENT, Change, diff

CASES = [
    ({}, {}, []),
    ({"a": 1}, {"a": 1}, []),
    ({"a": 1}, {"a": 2}, [("a", 1, 2)]),
    ({"a": 1}, {}, [("a", 1, ABSENT)]),
    ({}, {"a": 1}, [("a", ABSENT, 1)]),
    ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, [("a.b[1].c", 2, 3)]),
    ([1, 2, 3], [1, 3], [("[1]", 2, ABSENT)]),
    ([1, 3], [1, 2, 3], [("[1]", ABSENT, 2)]),
    ([{"role": "user"}, {"role": "tool"}], [{"role": "system"}, {"role": "user"}, {"role": "tool"}],
     [("[0]", ABSENT, {"role": "system"})]),
    ({"a": None}, {}, [("a", None, ABSENT)]),
    ({"a": 1}, {"a": True}, [("a", 1, True)]),
    ({"a": 1}, {"a": 1.0}, [("a", 1, 1.0)]),
    (1, "1", [("", 1, "1")]),
    ({"a": []}, {"a": {}}, [("a", [], {})]),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "changes"), CASES)
def test_changes(before, after, changes):
    assert list(diff(before, after)) == [Change(*change) for change in changes]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(VALUES, VALUES)
def test_there_is_a_change_exactly_where_values_differ(before, after):
    kept = copy.deepcopy((before, after))
    assert (list(diff(before, after)) == []) == (repr(_sorted(before)) == repr(_sorted(after)))
    assert (before, after) == kept


@settings(max_examples=200, deadline=None)
@given(VALUES, VALUES)
def test_a_change_tells_what_stood_at_its_path(before, after):
    for change in diff(before, after):
        if change.before is not ABSENT:
            assert _at(before, change.path) == change.before


def _sorted(value):
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _at(value, path):
    for name, place in re.findall(r"([a-c])|\[(\d+)\]", path):
        value = value[name] if name else value[int(place)]
    return value


def test_long_lists_take_no_long_time():
    began = time.monotonic()
    changes = list(diff([{"n": at} for at in range(20_000)], [{"n": at + 1} for at in range(20_000)]))
    assert len(changes) == 20_000 and time.monotonic() - began < 10
