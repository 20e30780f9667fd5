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
    pieces = iter([stream[at : at + size] for at in range(0, len(stream), size)])
    assert [each for found in frames(lambda: next(pieces, b"")) for each in found] == sent


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


def test_an_order_says_where_and_how_much(tmp_path):
    order = {"url": None, "folder": str(tmp_path), "days": 1.0, "count": 1, "size": 1, "server": "s"}
    writer, store = open_writer(order)
    writer.write([(b"r", record())])
    assert len(names(store)) == 1 and store.flush(WAIT)
    store.close()
