"""Room for the chunks of traces: no more than there is, and given back."""

from app.trace_room import Room


def test_no_more_is_lent_than_there_is():
    room = Room(10)
    assert room.take(6) and not room.take(6) and room.take(4) and room.left == 0
    room.give(6)
    assert room.take(6) and not room.take(1)
