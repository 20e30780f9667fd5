"""Lists with filters and a cursor, one request and its parts, what changed."""

import sqlite3
import threading

import pytest

from app.store import OPEN_WAIT, Store
from app.trace_packing import Packer
from app.trace_reader import STALE, StoreUnavailable, TraceReader, events_of, numbered, streamed_answer
from app.trace_record import record_of
from app.trace_rows import rows_of
from tests.traces import CANARY, NOW, put, row, store, streamed

__all__ = ["store"]


@pytest.fixture
def reader(store):
    return TraceReader(store, clock=lambda: NOW)


ROWS = [
    row("t1", NOW - 5, model="alpha", target="gemini/alpha", session="s1", user_agent="agent/1", repairs="a=1"),
    row("t2", NOW - 4, model="beta", session="s1", client="10.0.0.1", status=404, error="not found", cost=0.5),
    row("t3", NOW - 3, model="alpha", session="s2", asked="50% of_it", prompt_tokens=7, cost=0.25),
    row("t4", NOW - 3, model="beta", session="s2", prompt_tokens=5, error="The client went away."),
    row("t5", NOW - 1, model="beta", status=None, duration=None, stream=1, timings='{"queue": 0.5}'),
]


def put_stream(store):
    record = record_of(streamed(), "chunks")
    made, parts = rows_of(record, "server", Packer(), record.masker())
    put(store, [made], parts)
    return made


def ids(rows):
    return [each["id"] for each in rows]


@pytest.mark.parametrize(
    ("filters", "expected"),
    (
        ({}, ["t5", "t4", "t3", "t2", "t1"]),
        ({"model": "alpha"}, ["t3", "t1"]),
        ({"model": "gemini/alpha"}, ["t1"]),
        ({"client": "agent/1"}, ["t1"]),
        ({"client": "10.0.0.1"}, ["t2"]),
        ({"session": "s2"}, ["t4", "t3"]),
        ({"status": "ok"}, ["t3", "t1"]),
        ({"status": "error"}, ["t4", "t2"]),
        ({"status": "404"}, ["t2"]),
        ({"repaired": "1"}, ["t1"]),
        ({"repaired": ""}, ["t5", "t4", "t3", "t2", "t1"]),
        ({"q": "NOT found"}, ["t2"]),
        ({"q": "50% of_"}, ["t3"]),
        ({"q": "%"}, ["t3"]),
        ({"q": "!"}, []),
        ({"q": "' OR 1=1 --"}, []),
        ({"model": "alpha", "session": "s1"}, ["t1"]),
    ),
)
def test_filters(store, reader, filters, expected):
    put(store, ROWS)
    rows, following = reader.page(**filters)
    assert ids(rows) == expected and following is None


@pytest.mark.parametrize(("words", "found"), [("Über 한글_", ["t6"]), ("über 한글", ["t7"]), ("ÉTÉ", ["t8"]), ("한글!", [])])
def test_words_of_other_languages_are_found_as_they_are_written(store, reader, words, found):
    put(store, [*ROWS, row("t6", asked="was Über 한글_x"), row("t7", asked="über 한글"), row("t8", asked="été")])
    assert ids(reader.page(q=words)[0]) == found


@pytest.mark.parametrize("limit", (1, 2, 3, 5))
def test_a_cursor_leads_through_all_pages_also_where_times_are_the_same(store, reader, limit):
    put(store, ROWS)
    seen, cursor = [], None
    for _ in range(10):
        rows, cursor = reader.page(limit, cursor)
        assert 1 <= len(rows) <= limit
        seen += ids(rows)
        if cursor is None:
            break
        put(store, [row(f"new {len(seen)}", NOW + 1)])  # what comes meanwhile shifts nothing
    assert seen == ["t5", "t4", "t3", "t2", "t1"]


@pytest.mark.parametrize("wrong", ({"before": "x"}, {"before": "_t1"}, {"status": "fine"}))
def test_a_wrong_cursor_or_status_is_refused(reader, wrong):
    with pytest.raises(ValueError):
        reader.page(**wrong)


def test_one_row(store, reader):
    put(store, ROWS)
    found = reader.get("t5")
    assert found["stream"] is True and found["timings"] == {"queue": 0.5} and found["duration"] is None
    assert reader.get("t1")["stream"] is False and reader.get("none") is None


def test_a_request_whose_server_died_is_over(store, reader):
    put(store, [row("dead", NOW - 100, updated=NOW - STALE - 1, duration=None, status=None)])
    found = reader.get("dead")
    assert found["duration"] == 100 - STALE - 1 and "ended before" in found["error"]


def test_what_changed(store, reader):
    put(store, ROWS)
    assert ids(reader.changed(NOW - 2)) == ["t5"]  # a row was written a second after its request began
    assert ids(reader.changed(NOW - 3.5, most=2)) == ["t2", "t3"]


def test_parts_of_a_stream(store, reader):
    made = put_stream(store)
    sizes = reader.parts(made["id"])
    assert set(sizes) == {"client_headers", "client_request", "upstream_request", "answer"}
    assert sizes["client_headers"] == len('{"User-Agent": "test"}')
    (request,) = reader.part(made["id"], "client_request")
    (sent,) = reader.part(made["id"], "upstream_request")
    assert request["model"] == "some-model" and CANARY not in str(request) and sent == request | {"extra": 1}
    (answer,) = reader.part(made["id"], "answer")
    assert answer["choices"][0]["message"]["content"] == "Hello"
    assert reader.part(made["id"], "error") is None


def test_chunks_and_events_of_a_stream(store, reader):
    made = put_stream(store)
    reads, writes = reader.chunks(made["id"])
    assert [payloads[-1] for _, payloads in reads] == ["[DONE]"]
    assert [text for _, text in writes][-1] == "data: [DONE]\n\n"
    events = list(reader.events(made["id"]))
    assert [event["station"] for event in events] == [
        "client_headers", "client_request", "upstream_request", "raw", "emitted", "emitted",
    ]  # fmt: skip
    assert [station for _, station, _ in reader.notes(made["id"])] == [event["station"] for event in events[:3]]


def test_a_request_that_is_not_stored_has_nothing(reader):
    assert reader.notes("none") is None and reader.parts("none") == {} and reader.chunks("none") == ([], [])
    assert list(reader.events("none")) == []


def test_damaged_parts_are_told(store, reader):
    put(store, [row("t1")], [("t1", "notes", b"z\0\0\0\1x"), ("t1", "chunks", b"junk")])
    for ask in (reader.notes, reader.chunks, reader.parts):
        with pytest.raises(StoreUnavailable, match="damaged"):
            ask("t1")


def test_sessions(store, reader):
    put(store, ROWS)
    second, first = reader.sessions()
    assert second["session"] == "s2" and second["requests"] == 2 and second["prompt_tokens"] == 12
    assert sorted(first["models"]) == ["alpha", "beta"] and (first["errors"], first["repaired"]) == (1, 1)
    assert (first["first"], first["last"], first["cost"]) == (NOW - 5, NOW - 3, 0.5)
    assert [each["session"] for each in reader.sessions(most=1)] == ["s2"]


def test_what_there_is_to_filter_by(store, reader):
    put(store, ROWS)
    assert reader.filters() == {"models": ["beta", "alpha"], "clients": ["agent/1"], "statuses": [200, 404]}


def test_a_database_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "file").touch()
    broken = Store(None, tmp_path / "file" / "var")
    with pytest.raises(StoreUnavailable) as caught:
        TraceReader(broken).page()
    assert caught.value.status == 503
    broken.close()


def test_who_looks_waits_until_it_is_opened(tmp_path):
    other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")  # nobody can open it
    late = threading.Timer(OPEN_WAIT + 0.2, other.close)
    late.start()
    slow = Store(None, tmp_path)
    assert TraceReader(slow).page() == ([], None)
    late.join()
    slow.close()


def test_events_that_are_no_chunks_have_no_number():
    entries = numbered([(0.1, [": ping", "{}"]), (0.2, ["{}", "[DONE]"])])
    assert [(entry["at"], entry["n"]) for entry in entries] == [(0.1, None), (0.1, 1), (0.2, 2), (0.2, None)]


def test_writes_as_events():
    assert events_of([(0.1, "data: a\n\ndata: \udcff\n\n"), (0.2, ": ping\n\n")]) == [(0.1, ["a", "\udcff"]), (0.2, [": ping"])]
    assert streamed_answer(["plain text"]) is None
