"""A trace becomes one flat row and its parts, as deep as asked, masked, and fit for any database."""

import json

import pytest

from app.trace_packing import CHUNKS, NOTES, Packer, unpack_chunks, unpack_notes
from app.trace_rows import COLUMNS, DEPTHS, LARGEST_BODIES, LENGTHS, last_words, row_of, rows_of, timings_of
from tests.traces import CANARY, begin, streamed


def stored(trace, depth):
    row, parts = rows_of(trace, depth, "server", Packer())
    assert {identifier for identifier, _, _ in parts} == {trace.id}
    assert row["size"] == sum(len(data) for _, _, data in parts)
    return row, {name: data for _, name, data in parts}


def stations(parts):
    return {station for _, station, _ in unpack_notes(parts[NOTES])}


def test_the_row_of_a_stream():
    row, _ = stored(streamed(), "chunks")
    assert tuple(row) == COLUMNS
    expected = {"server": "server", "model": "some-model", "stream": 1, "status": 200, "finish_reason": "stop"}
    expected |= {"raw_chunks": 1, "emitted_chunks": 1, "depth": "chunks", "method": "POST", "error": None}
    assert {name: row[name] for name in expected} == expected
    assert row["duration"] > 0 and row["updated"] >= row["started"] and row["asked"].startswith("hi, my key is")
    assert isinstance(json.loads(row["timings"]), dict)


@pytest.mark.parametrize(
    ("depth", "kept", "packages"),
    (
        ("headers", {"client_headers"}, {NOTES}),
        ("bodies", {"client_headers", "client_request", "upstream_request", "answer"}, {NOTES}),
        ("chunks", {"client_headers", "client_request", "upstream_request"}, {NOTES, CHUNKS}),
    ),
)
def test_the_depth_says_what_is_kept(depth, kept, packages):
    row, parts = stored(streamed(), depth)
    assert set(parts) == packages and stations(parts) == kept
    assert (row["asked"] is None) == (depth == "headers")


def test_without_bodies_errors_and_repairs_quote_none():
    trace = begin()
    trace.note("error", {"message": "no", "upstream_body": "quoted"})
    trace.note("repairs", {"header": "a=1", "entries": [{"rule": "a", "before": "quoted", "after": "quoted"}]})
    trace.finish(500)
    _, parts = stored(trace, "headers")
    notes = str(unpack_notes(parts[NOTES]))
    assert "quoted" not in notes and "'rule': 'a'" in notes


@pytest.mark.parametrize("depth", DEPTHS[1:])
def test_no_key_is_stored(depth):
    row, parts = stored(streamed(says=f"it is {CANARY}"), depth)
    assert CANARY not in str(row) and CANARY not in str(unpack_notes(parts[NOTES]))
    if CHUNKS in parts:
        reads, writes = unpack_chunks(parts[CHUNKS])
        assert CANARY not in str(reads + writes) and "it is" in str(reads) and "it is" in str(writes)


def test_bodies_that_are_too_large_are_left_out():
    trace = streamed()
    trace.body_bytes = LARGEST_BODIES + 1
    _, parts = stored(trace, "chunks")
    values = {station: value for _, station, value in unpack_notes(parts[NOTES])}
    assert set(values["client_request"]) == {"left_out"} and values["client_headers"] == {"User-Agent": "test"}


def test_odd_facts_fit_their_columns():
    trace = begin(user_agent="u" * 999, session="a\0b\ud800", prompt_tokens=2**70, completion_tokens="many")
    trace.finish(200)
    row, _ = stored(trace, "chunks")
    assert len(row["user_agent"]) == LENGTHS["user_agent"]
    assert row["session"] == "a\ufffdb?" and row["prompt_tokens"] is None and row["completion_tokens"] is None


def test_a_request_that_runs_has_no_status_yet():
    row = row_of(begin(), "chunks", "server", over=False)
    assert (row["status"], row["duration"], row["timings"]) == (None, None, None)


def test_a_client_that_went_away_is_an_error():
    trace = begin()
    trace.measures.cancelled = True
    trace.finish(200)
    assert stored(trace, "chunks")[0]["error"] == "The client went away."


def test_parts_of_the_time_that_took_none_are_left_out():
    trace = begin()
    trace.measures.queued = 0.5
    trace.finish(200)
    assert timings_of(trace) == {"queue": 0.5}


@pytest.mark.parametrize(
    ("body", "expected"),
    (
        (None, None),
        ({}, None),
        ({"messages": "x"}, None),
        ({"messages": [{"role": "user", "content": " a\n b "}]}, "a b"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "a"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": ""}]}, "a"),
        ({"messages": [{"role": "user", "content": [{"text": "env"}, {"text": "question"}, {"image": 1}]}]}, "question"),
        ({"prompt": "say"}, "say"),
        ({"prompt": [1, 2]}, None),
    ),
)
def test_what_was_asked_last(body, expected):
    assert last_words(body) == expected
