"""What stands in for the network behaves like it: order, pace, silence, ends and cancellation."""

import threading
import time

import pytest

from app.call import UpstreamCall
from app.engines.recorded_wire import RecordedExchange, RecordedWire
from app.errors import ClientGone, UpstreamTruncated
from app.recording import Said
from app.trace import Trace


@pytest.fixture
def call():
    return UpstreamCall(Trace("TEST", "/"))


def exchange(call, said, speed=0.0):
    return RecordedExchange(said, call, speed)


def test_an_answer_at_once(call):
    said = Said(201, {"Content-Type": "text/x"}, [(5, b"a"), (9_000, b"b")])
    with exchange(call, said) as played:
        assert list(played.ticks(1)) == []
        head = played.open()
        assert (head.status, head.headers.get("content-TYPE"), dict(head.headers.items())) == (201, "text/x", said.headers)
        assert list(played.batches(15)) == [b"a", b"b"]
        assert played.read_all(1) == b"a"


def test_at_its_pace_with_signs_of_life(call):
    began = time.monotonic()
    with exchange(call, Said(reads=[(0.15, b"a"), (0.4, b"b")]), 1) as played:
        ticks = len(list(played.ticks(0.05)))
        batches = list(played.batches(0.05))
    assert time.monotonic() - began >= 0.4
    assert ticks >= 1 and batches[0] == b"a" and b"" in batches[1:-1] and batches[-1] == b"b"


def test_twice_as_fast(call):
    began = time.monotonic()
    list(exchange(call, Said(reads=[(0.4, b"a")]), 4).batches(0))
    assert 0.1 <= time.monotonic() - began < 0.4


def test_without_ticks_there_are_no_empty_batches(call):
    assert list(exchange(call, Said(reads=[(0.1, b"a")]), 1).batches(0)) == [b"a"]


def test_an_end_that_was_a_failure(call):
    played = exchange(call, Said(reads=[(0, b"a")], failure=UpstreamTruncated("cut")))
    batches = played.batches(0)
    assert next(batches) == b"a"
    with pytest.raises(UpstreamTruncated, match="cut"):
        next(batches)


ASKED = [lambda played: played.open(), lambda played: list(played.ticks(1)), lambda played: played.read_all()]


@pytest.mark.parametrize("ask", ASKED)
def test_nothing_but_a_failure(call, ask):
    with pytest.raises(UpstreamTruncated):
        ask(exchange(call, Said(failure=UpstreamTruncated("cut"))))


def test_a_client_that_leaves_ends_the_waiting(call):
    played = exchange(call, Said(reads=[(3_600, b"a")]), 1)
    threading.Timer(0.1, call.cancel.cancel).start()
    with pytest.raises(ClientGone):
        list(played.batches(0))


def test_each_question_has_its_answer_and_the_last_repeats(call):
    wire = RecordedWire([Said(reads=[(0, b"1")]), Said(reads=[(0, b"2")])])
    heard = [wire("POST", "http://x/", {}, b"", call).read_all() for _ in range(3)]
    assert heard == [b"1", b"2", b"2"]
