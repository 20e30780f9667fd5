"""The process that writes stored requests: it starts when needed, answers a flush, and a killed one is followed by another."""

import os
import signal

import pytest

from app.trace_process import PAUSES, WriterProcess
from app.trace_record import CHUNKS, encode, record_of
from tests.traces import WAIT, streamed


@pytest.fixture
def process(tmp_path):
    order = {"url": None, "folder": str(tmp_path), "days": 7.0, "count": 100, "size": 10**9, "server": "test"}
    writer = WriterProcess(order)
    yield writer
    writer.close(WAIT)


def record():
    return encode(record_of(streamed(), CHUNKS))


def stored(folder):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(folder / "gateway.db")) as database:
        return database.execute("SELECT count(*) FROM traces").fetchone()[0]


def test_it_starts_with_the_first_record_and_writes_it(process, tmp_path):
    assert process.pid is None and process.flush(WAIT)
    process.send(record())
    assert process.flush(WAIT)
    assert process.pid is not None and (process.dropped, process.problem) == (0, None)
    assert stored(tmp_path) == 1


def test_closing_writes_what_was_sent(process, tmp_path):
    process.send(record())
    process.push()
    process.close(WAIT)
    assert process.pid is None and stored(tmp_path) == 1


def test_a_killed_process_is_followed_by_another(process, tmp_path, monkeypatch):
    process.send(record())
    assert process.flush(WAIT)
    first = process.pid
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    process.send(record())
    process.push()  # lost: nobody reads
    process.flush(WAIT)
    monkeypatch.setattr(process, "_next_try", 0.0)  # PAUSES would hold the next start back
    process.send(record())
    assert process.flush(WAIT) and process.pid not in (None, first)
    assert stored(tmp_path) >= 2 and PAUSES[0] > 0
