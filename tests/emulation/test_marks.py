"""Literal marks, cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.emulation import call_body, json_scan, parameter_text, special_tokens, tool_call_xml
from app.emulation.marks import Marks

MARKS = Marks(("<a>", "<ab>", "```", "</a"))


@pytest.mark.parametrize(
    ("text", "held"),
    (("", ""), ("x", ""), ("<", "<"), ("x<a", "<a"), ("<<", "<"), ("x``", "``"), ("x</", "</"), ("<c", ""), ("<abc", "")),
)
def test_only_the_beginning_of_a_mark_is_held(text, held):
    assert text[MARKS.held(text, 0) :] == held
    assert MARKS.begun(text, 0) == (bool(text) and text == held)


@given(st.text("<ab>/`x", max_size=30), st.text("<ab>/`x", max_size=5))
def test_a_mark_is_never_missed(before, after):
    """Whatever follows what is not held, no mark begins in it that is not there in whole."""
    until = MARKS.held(before, 0)
    whole = before + after
    at = 0
    while found := MARKS.search(whole, at):
        assert found.start() >= until or found.end() <= len(before)
        at = found.start() + 1


def test_marks_are_taken_out():
    assert MARKS.remove("x<a>y``` </a") == "xy "


@pytest.mark.parametrize("module", (call_body, json_scan, parameter_text, special_tokens, tool_call_xml))
def test_no_mark_is_the_beginning_of_another_or_stands_inside_one(module):
    """`search` would find the shorter one before the longer one is there."""
    for name, found in vars(module).items():
        if isinstance(found, Marks):
            marks = found._regex.pattern.replace("\\", "").split("|<")
            assert marks, name
            for mark in found._prefixes:
                assert not found.match(mark), (name, mark)
