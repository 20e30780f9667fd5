"""A request becomes one flat row and its parts, masked and fit for any database."""

import json

import pytest

from app.trace_packing import CHUNKS, NOTES, Packer, unpack_chunks, unpack_notes
from app.trace_record import DEPTHS, record_of
from app.trace_rows import COLUMNS, LENGTHS, last_words, rows_of
from tests.traces import CANARY, begin, streamed


def stored(trace, depth):
    record = record_of(trace, depth)
    row, parts = rows_of(record, "server", Packer(), record.masker())
    assert {identifier for identifier, _, _ in parts} == {trace.id}
    assert row["size"] == sum(len(data) for _, _, data in parts)
    return row, {name: data for _, name, data in parts}


def test_the_row_of_a_stream():
    row, _ = stored(streamed(), "chunks")
    assert tuple(row) == COLUMNS
    expected = {"server": "server", "model": "some-model", "stream": 1, "status": 200, "finish_reason": "stop"}
    expected |= {"raw_chunks": 1, "emitted_chunks": 1, "depth": "chunks", "method": "POST", "error": None}
    assert {name: row[name] for name in expected} == expected
    assert row["duration"] > 0 and row["updated"] >= row["started"] and row["asked"].startswith("hi, my key is")
    assert isinstance(json.loads(row["timings"]), dict)


@pytest.mark.parametrize("depth", DEPTHS[1:])
def test_no_key_is_stored(depth):
    row, parts = stored(streamed(says=f"it is {CANARY}"), depth)
    assert CANARY not in str(row) and CANARY not in str(unpack_notes(parts[NOTES]))
    if CHUNKS in parts:
        reads, writes = unpack_chunks(parts[CHUNKS])
        assert CANARY not in str(reads + writes) and "it is" in str(reads) and "it is" in str(writes)


def test_odd_facts_fit_their_columns():
    trace = begin(user_agent="u" * 999, session="a\0b\ud800", prompt_tokens=2**70, completion_tokens="many")
    trace.finish(200)
    row, _ = stored(trace, "chunks")
    assert len(row["user_agent"]) == LENGTHS["user_agent"]
    assert row["session"] == "a\ufffdb?" and row["prompt_tokens"] is None and row["completion_tokens"] is None


def test_a_request_that_runs_has_no_status_yet():
    record = record_of(begin(), "chunks", over=False)
    row, parts = rows_of(record, "server", Packer(), record.masker())
    assert (row["status"], row["duration"], row["timings"], parts) == (None, None, None, [])


def test_a_request_that_runs_has_the_parts_of_its_record():
    trace = begin()
    trace.note("client_request", {"messages": [{"role": "user", "content": f"it is {CANARY}"}]})
    trace.raw([b'{"a":"%b"}' % CANARY.encode()])
    record = record_of(trace, "chunks", over=False)
    row, parts = rows_of(record, "server", Packer(), record.masker())
    assert row["asked"].startswith("it is ") and row["timings"] is None and row["size"] == sum(len(data) for *_, data in parts)
    found = {name: data for _, name, data in parts}
    said = str(unpack_notes(found[NOTES])) + str(unpack_chunks(found[CHUNKS]))
    assert "it is " in said and '{"a":' in said and CANARY not in said + str(row)


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
