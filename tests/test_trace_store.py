"""A request through the gateway is stored, as deep as set; whatever the database does, answers do not fail."""

import json
import os
import resource
import signal
import sqlite3
import threading

import pytest

from app import database, trace_store
from app.config import Settings
from app.store import Store
from app.trace_reader import TraceReader
from app.trace_series import series
from app.trace_store import open_trace_store
from tests.captures import says
from tests.traces import WAIT, begin, streamed

KEY = "sk-upstream-0123456789"  # of tests.conftest.provider_at
PROBLEM = ("Not a directory", "not a database", "Permission denied")


class Ended:
    """A sink that tells when a request is over: the client has its answer a moment before."""

    live = False

    def __init__(self):
        self.number = threading.Semaphore(0)

    def finished(self, trace):
        self.number.release()


@pytest.fixture
def trace_depth():
    return "chunks"


@pytest.fixture
def answering(upstream, client_for):
    """Start a gateway whose upstream streams a short answer."""

    def start(**environ):
        upstream.reply_sse([json.dumps(each) for each in says("Hel", "lo")])
        gateway = client_for("relay", **environ)
        ended = gateway.app.extensions["ended"] = Ended()
        gateway.app.extensions["trace_sinks"] = (*gateway.app.extensions["trace_sinks"], ended)
        return gateway

    return start


@pytest.fixture
def sink_for(tmp_path):
    """Open the sink alone."""
    made = []

    def start(**environ):
        given = {"GATEWAY_DATA_DIR": str(tmp_path / "var"), **environ}
        made.append(open_trace_store(Settings.load(given, dotenv=False, opencode={}), "here"))
        return made[-1]

    yield start
    for sink in made:
        sink.close()


def wait_for(gateway, requests):
    """Wait until so many more requests are over and stored."""
    assert all(gateway.app.extensions["ended"].number.acquire(timeout=WAIT) for _ in range(requests))
    assert gateway.app.extensions["trace_store"].flush(WAIT)


def reader_of(gateway, requests=1):
    wait_for(gateway, requests)
    sink = gateway.app.extensions["trace_store"]
    assert (sink.dropped, sink.problem) == (0, None)
    return TraceReader(gateway.app.extensions["store"])


def rows_in(folder, sql="SELECT id FROM traces"):
    connection = sqlite3.connect(folder / "gateway.db")
    found = [row[0] for row in connection.execute(sql)]
    connection.close()
    return found


def test_a_stream_ends_up_in_the_database(answering):
    gateway = answering()
    reply = gateway.chat(stream=True, headers={"x-session-id": "ses_1", "User-Agent": "agent/1"})
    assert reply.text == "Hello"
    reader = reader_of(gateway)
    (row,), _ = reader.page()
    expected = {"id": reply.headers["x-request-id"], "status": 200, "stream": True, "model": "some-model", "error": None}
    expected |= {"session": "ses_1", "user_agent": "agent/1", "finish_reason": "stop", "depth": "chunks", "asked": "hi"}
    expected |= {"emitted_chunks": len(reply.chunks), "method": "POST", "path": "/v1/chat/completions"}
    assert {name: row[name] for name in expected} == expected
    assert 0 < row["ttft"] <= row["duration"] and row["size"] > 0
    parts = reader.parts(row["id"])
    assert {"client_headers", "client_request", "resolved", "upstream_request", "answer"} <= set(parts)
    assert reader.part(row["id"], "client_request")[0]["messages"] == [{"role": "user", "content": "hi"}]
    _, writes = reader.chunks(row["id"])
    assert "".join(text for _, text in writes).encode() == reply.raw
    assert KEY not in str(list(reader.events(row["id"])))


@pytest.mark.parametrize(
    ("depth", "has_bodies", "has_chunks"), (("headers", False, False), ("bodies", True, False), ("chunks", True, True))
)
def test_the_depth(answering, depth, has_bodies, has_chunks):
    gateway = answering(GATEWAY_TRACE=depth)
    assert gateway.chat(stream=True).text == "Hello"
    reader = reader_of(gateway)
    ((row,), _) = reader.page()
    assert row["depth"] == depth
    parts = set(reader.parts(row["id"]))
    assert "client_headers" in parts and ({"client_request", "answer"} <= parts) == has_bodies
    assert bool(reader.chunks(row["id"])[1]) == has_chunks
    assert has_bodies or not parts & {"client_request", "upstream_request", "answer"}


def test_off_stores_nothing(answering):
    gateway = answering(GATEWAY_TRACE="off")
    assert gateway.chat(stream=True).text == "Hello"
    assert gateway.app.extensions["trace_store"] is None
    assert TraceReader(gateway.app.extensions["store"]).page() == ([], None)


def test_failures_are_stored_and_mere_looks_are_not(answering):
    gateway = answering()
    assert gateway.get("/v1/models").status == 200
    assert gateway.get("/v1/nothing").status == 404
    assert gateway.post("/v1/chat/completions", b"{broken").status == 400
    rows, _ = reader_of(gateway, requests=3).page()
    assert sorted((row["method"], row["status"]) for row in rows) == [("GET", 404), ("POST", 400)]


def check_answers(gateway, loses):
    for _ in range(2):
        assert gateway.chat(stream=True).text == "Hello"
    wait_for(gateway, requests=2)
    sink = gateway.app.extensions["trace_store"]
    assert sink.dropped == (2 if loses else 0)
    assert not loses or any(words in sink.problem for words in PROBLEM)


def test_a_folder_that_cannot_be_made_costs_no_answer(answering, tmp_path):
    (tmp_path / "file").touch()
    check_answers(answering(GATEWAY_DATA_DIR=str(tmp_path / "file" / "var")), loses=True)


def test_a_file_that_is_no_database_costs_no_answer(answering, tmp_path):
    (tmp_path / "gateway.db").write_bytes(b"x" * 10_000)
    check_answers(answering(GATEWAY_DATA_DIR=str(tmp_path)), loses=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_costs_no_answer(answering, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    check_answers(answering(GATEWAY_DATA_DIR=str(tmp_path / "closed")), loses=True)


def test_a_database_that_vanishes_is_made_again(answering, tmp_path):
    gateway = answering()
    assert gateway.chat(stream=True).text == "Hello"
    wait_for(gateway, requests=1)
    for path in (tmp_path / "var").iterdir():
        path.unlink()
    check_answers(gateway, loses=False)
    assert len(rows_in(tmp_path / "var")) == 2


def test_a_lock_delays_no_answer_and_nothing_is_lost(answering, tmp_path):
    gateway = answering()
    assert gateway.chat(stream=True).text == "Hello"
    wait_for(gateway, requests=1)
    other = sqlite3.connect(tmp_path / "var" / "gateway.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert gateway.chat(stream=True).text == "Hello"
    assert len(rows_in(tmp_path / "var")) == 1
    other.execute("ROLLBACK")
    other.close()
    wait_for(gateway, requests=1)
    assert len(rows_in(tmp_path / "var")) == 2


def test_a_full_disk_costs_no_answer(answering, tmp_path, caplog):
    gateway = answering()
    assert gateway.chat(stream=True).text == "Hello"
    wait_for(gateway, requests=1)
    sink = gateway.app.extensions["trace_store"]
    _, hard = resource.prlimit(sink.pid, resource.RLIMIT_FSIZE, (8_192, resource.RLIM_INFINITY))
    for _ in range(2):  # now the process that writes may make no file longer
        assert gateway.chat(stream=True).text == "Hello"
    wait_for(gateway, requests=2)
    assert sink.dropped == 2 and sink.problem
    resource.prlimit(sink.pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert gateway.chat(stream=True).text == "Hello"
    wait_for(gateway, requests=1)
    assert (sink.dropped, sink.problem) == (2, None) and len(rows_in(tmp_path / "var")) == 2
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [text.partition(":")[0] for text in told] == ["requests are not stored", "requests are stored again; 2 were not"]


def test_a_process_that_stands_still_delays_no_answer(answering, tmp_path):
    gateway = answering()
    assert gateway.chat(stream=True).text == "Hello"
    wait_for(gateway, requests=1)
    pid = gateway.app.extensions["trace_store"].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(30):
            assert gateway.chat(stream=True, metadata={"text": "x" * 100_000}).text == "Hello"
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(gateway, requests=30)
    assert len(rows_in(tmp_path / "var")) == 31


@pytest.mark.skipif("TEST_DATABASE_URL" not in os.environ, reason="TEST_DATABASE_URL names no PostgreSQL to test with")
def test_postgresql_stores_the_same(answering):
    gateway = answering(DATABASE_URL=os.environ["TEST_DATABASE_URL"])
    reply = gateway.chat(stream=True, headers={"x-session-id": "ses_pg"}, user="NUL \0 and \ud800")
    reader = reader_of(gateway)
    row = reader.get(reply.headers["x-request-id"])
    assert (row["session"], row["status"], row["stream"]) == ("ses_pg", 200, True)
    assert "".join(text for _, text in reader.chunks(row["id"])[1]).encode() == reply.raw
    for filters in ({"q": "HI"}, {"session": "ses_pg"}, {"status": "ok"}, {"status": "200"}, {"model": "some-model"}):
        assert row["id"] in [found["id"] for found in reader.page(**filters)[0]], filters
    assert "ses_pg" in [session["session"] for session in reader.sessions()]
    assert 200 in reader.filters()["statuses"] and reader.changed(row["updated"] - 1)
    assert sum(bucket["requests"] for bucket in series(gateway.app.extensions["store"], 60, 60))


@pytest.mark.parametrize(("watched", "parts"), ((False, []), (True, ["chunks", "notes"])))
def test_a_request_that_runs_is_stored_with_its_parts_while_somebody_looks(sink_for, tmp_path, monkeypatch, watched, parts):
    monkeypatch.setattr(trace_store, "SHOWN_AFTER", 0.0)
    sink, trace = sink_for(), begin()
    sink.is_watched = lambda: watched
    trace.note("client_request", {"messages": [{"role": "user", "content": "hi"}]})
    trace.emitted(b"data: {}\n\n")
    sink.begun(trace)
    assert sink.flush(WAIT) and rows_in(tmp_path / "var") == [trace.id]
    assert sorted(rows_in(tmp_path / "var", "SELECT part FROM trace_parts")) == parts
    trace.finish(200)
    sink.finished(trace)
    assert sink.flush(WAIT) and len(rows_in(tmp_path / "var", "SELECT part FROM trace_parts")) == 2


@pytest.mark.parametrize(("most", "limit"), (("MOST_WAITING", 3), ("MOST_BYTES", 3_500)))
def test_a_queue_that_is_full_drops_and_counts(sink_for, tmp_path, monkeypatch, most, limit):
    monkeypatch.setattr(trace_store, "LINGER", 60.0)  # all waits until it is asked for
    monkeypatch.setattr(trace_store, most, limit)
    sink = sink_for()
    for _ in range(5):
        trace = begin(sink)
        trace.body_bytes = 1_000
        trace.finish(200)
    assert sink.dropped == 2
    assert sink.flush(WAIT) and sink.dropped == 2 and len(rows_in(tmp_path / "var")) == 3


def test_a_loss_is_told_also_when_no_request_comes_after_it(sink_for, tmp_path, monkeypatch):
    """The process says a second later that it could not write; nobody waits for that."""
    monkeypatch.setattr(trace_store, "LISTEN_EVERY", 0.01)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "gateway.db").write_bytes(b"no database " * 100)
    sink, told = sink_for(), threading.Event()
    sink.on_loss = told.set
    streamed(sink)
    assert told.wait(WAIT) and sink.dropped == 1 and "not a database" in sink.problem


def test_what_waits_is_written_when_it_is_closed(sink_for, tmp_path):
    sink = sink_for()
    ids = sorted(streamed(sink).id for _ in range(3))
    sink.close()
    assert sorted(rows_in(tmp_path / "var")) == ids
    more = streamed(sink)  # it begins again
    assert sink.flush(WAIT) and more.id in rows_in(tmp_path / "var")


def test_a_database_of_the_first_version_keeps_its_rows_and_gets_the_tables(tmp_path):
    old = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    for sql in ("CREATE TABLE schema_version (version INTEGER NOT NULL)", *database.MIGRATIONS[0]):
        old.execute(sql)
    old.execute("INSERT INTO schema_version VALUES (1)")
    old.execute("INSERT INTO signatures VALUES ('call_1', 'signature', 1)")
    old.execute("INSERT INTO repairs VALUES ('server', 'process', 'rule', 'model', 'on', 7, 1)")
    old.close()
    store = Store(None, tmp_path)
    assert TraceReader(store).page() == ([], None)
    assert store.read(lambda c: c.exec_driver_sql("SELECT signature FROM signatures").all(), None) == [("signature",)]
    assert store.read(lambda c: c.exec_driver_sql("SELECT rule, count FROM repairs").all(), None) == [("rule", 7)]
    assert store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM trace_parts").scalar(), None) == 0
    store.close()
