"""Frames on a pipe -> rows in the database: cut anywhere, one bad record among good ones, answers to a flush."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.store import Store
from app.trace_record import CHUNKS, FRAME, encode, record_of
from app.trace_retention import Retention
from app.trace_writer import Writer, frames, open_writer
from tests.traces import CANARY, WAIT, names, streamed


def frame(kind, data):
    return FRAME.pack(kind, len(data)) + data


def record():
    return encode(record_of(streamed(), CHUNKS))


@pytest.fixture
def store(tmp_path):
    store = Store(None, tmp_path)
    yield store
    store.close()


@given(st.lists(st.tuples(st.sampled_from([b"o", b"r", b"f"]), st.binary(max_size=50)), max_size=6), st.integers(1, 40))
def test_frames_may_be_cut_anywhere(sent, size):
    stream = b"".join(frame(*each) for each in sent)
    pieces = iter([data for at in range(0, len(stream), size) for data in (stream[at : at + size], None)])
    assert [each for found in frames(lambda: next(pieces, b"")) for each in found] == sent


def test_a_pause_brings_no_frame_and_is_told():
    pieces = iter([b"r\0\0", None, b"\0\0", None])
    assert list(frames(lambda: next(pieces, b""))) == [[], [(b"r", b"")], []]


def test_what_comes_together_is_written_together_and_masked(store, tmp_path):
    writer = Writer(store, Retention(7.0, 100, 10**9), "server")
    assert writer.write([(b"r", record()), (b"f", b"7"), (b"r", record())]) == [7]
    assert len(names(store)) == 2 and writer.dropped == 0
    for path in tmp_path.iterdir():
        assert CANARY.encode() not in path.read_bytes()


def test_a_bad_record_does_not_end_the_others(store):
    writer = Writer(store, Retention(7.0, 100, 10**9), "server")
    writer.write([(b"r", b"nonsense"), (b"r", record())])
    assert len(names(store)) == 1 and writer.dropped == 1


@pytest.mark.parametrize("kept", [Retention(7.0, 3, 10**9), Retention(7.0, 10**6, 2_000)])
def test_what_is_too_much_goes_soon(store, kept):
    writer = Writer(store, kept, "server")
    for _ in range(20):
        writer.write([(b"r", record())])
    writer._soonest_prune = 0.0
    writer.write([(b"r", record())])
    assert store.flush(WAIT) and 0 < len(names(store)) <= 8


def test_what_is_too_old_goes_also_when_nothing_comes(store):
    writer = Writer(store, Retention(0.0, 10**6, 10**9), "server")
    writer._next_prune = float("inf")
    writer.write([(b"r", record())])
    assert store.flush(WAIT) and len(names(store)) == 1
    writer._next_prune = 0.0
    writer.write([])
    assert store.flush(WAIT) and names(store) == []


def test_an_order_says_where_and_how_much(tmp_path):
    order = {"url": None, "folder": str(tmp_path), "days": 1.0, "count": 100, "size": 10**9, "server": "s"}
    writer, store = open_writer(order)
    writer.write([(b"r", record())])
    assert len(names(store)) == 1 and store.flush(WAIT)
    store.close()
