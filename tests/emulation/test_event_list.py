"""Texts and calls in order, blanks around calls."""

import pytest

from app.emulation.event_list import EventList
from app.emulation.events import Call, Text

CALL = Call("a")

CASES = (
    (["a", " b "], [Text("a b ")]),
    ([" \n"], [Text(" \n")]),
    (["a \n", CALL, "\n"], [Text("a"), CALL]),
    (["\n", CALL, "\n", CALL, " "], [CALL, CALL]),
    (["\n", CALL, "\n", "b"], [CALL, Text("b")]),
    (["a\n\n", CALL, "\n", "b"], [Text("a"), CALL, Text("\n\nb")]),
    (["a", CALL, "\n", "\n b"], [Text("a"), CALL, Text("\n\n b")]),
    (["a", CALL, "\n", CALL, "\n", "b"], [Text("a"), CALL, CALL, Text("\nb")]),
    (["a", CALL, "b", " ", CALL, "c"], [Text("a"), CALL, Text("b"), CALL, Text(" c")]),
)


@pytest.mark.parametrize(("given", "expected"), CASES)
def test_blanks_around_calls_are_left_out_but_between_texts(given, expected):
    events = EventList()
    for event in given:
        events.call(event) if isinstance(event, Call) else events.say(event)
    assert events.take(final=True) == expected


def test_a_text_leaves_without_the_blanks_at_its_end():
    events = EventList()
    events.say("a ")
    assert events.take() == [Text("a")]
    assert not events.idle
    events.say("b")
    assert events.take() == [Text(" b")]
    assert events.idle and events.spoke and not events.calls


def test_blanks_are_forgotten_where_the_answer_is_over():
    events = EventList()
    events.say("a ")
    events.forget_blanks()
    assert events.take(final=True) == [Text("a")]
