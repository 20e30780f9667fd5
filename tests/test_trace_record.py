"""What is handed to the writing process: as much as the depth asks for, as plain values that come back as they were."""

import pytest

from app.trace_bodies import read_value
from app.trace_record import LARGEST_BODIES, Record, decode, encode, record_of, timings_of
from tests.traces import CANARY, begin, streamed


def stations(record):
    return [station for _, station, _ in record.notes]


@pytest.mark.parametrize(
    ("depth", "kept", "chunks"),
    (
        ("headers", ["client_headers"], 0),
        ("bodies", ["client_headers", "client_request", "upstream_request", "answer"], 0),
        ("chunks", ["client_headers", "client_request", "upstream_request"], 3),
    ),
)
def test_the_depth_says_what_is_kept(depth, kept, chunks):
    record = record_of(streamed(), depth)
    assert stations(record) == kept and len(record.raw) + len(record.emitted) == chunks
    assert record.over and record.summary["depth"] == depth and CANARY in record.secrets


def test_without_bodies_errors_and_repairs_quote_none():
    trace = begin()
    trace.note("error", {"message": "no", "upstream_body": "quoted"})
    trace.note("repairs", {"header": "a=1", "entries": [{"rule": "a", "before": "quoted", "after": "quoted"}]})
    trace.finish(500)
    notes = str(record_of(trace, "headers").notes)
    assert "quoted" not in notes and "'rule': 'a'" in notes


def test_a_report_that_says_nothing_is_left_out():
    trace = begin()
    trace.note("repairs", {"header": "", "entries": []})
    trace.finish(200)
    assert stations(record_of(trace, "chunks")) == []


def test_bodies_that_are_too_large_are_left_out():
    trace = streamed()
    trace.body_bytes = LARGEST_BODIES + 1
    values = {station: value for _, station, value in record_of(trace, "chunks").notes}
    assert set(values["client_request"]) == {"left_out"} and values["client_headers"] == {"User-Agent": "test"}


def test_a_request_that_runs_has_no_end_yet():
    record = record_of(begin(), "chunks", over=False)
    assert (record.over, record.summary["status"], record.summary["duration"], record.notes) == (False, None, None, [])


@pytest.mark.parametrize(
    ("depth", "parts", "kept", "chunks", "asked"),
    (
        ("chunks", ("notes", "chunks"), ["client_headers", "client_request"], 2, True),
        ("chunks", ("chunks",), [], 2, True),
        ("chunks", (), [], 0, True),
        ("bodies", ("notes", "chunks"), ["client_headers", "client_request"], 0, True),
        ("headers", ("notes", "chunks"), ["client_headers"], 0, False),
    ),
)
def test_of_a_request_that_runs_there_is_what_it_has_by_now(depth, parts, kept, chunks, asked):
    trace = begin()
    trace.note("client_headers", {"User-Agent": "test"})
    trace.note("client_request", {"messages": [{"role": "user", "content": f"hi, my key is {CANARY}"}]})
    trace.raw([b"{}"])
    trace.emitted(b"data: {}\n\n")
    record = record_of(trace, depth, over=False, parts=parts)
    assert stations(record) == kept and len(record.raw) + len(record.emitted) == chunks
    assert record.summary.get("asked", "").startswith("hi, my key is") == asked and CANARY not in str(record.summary)
    assert (record.over, record.summary["status"], record.summary["duration"]) == (False, None, None)


def test_a_client_that_went_away_is_an_error():
    trace = begin()
    trace.measures.cancelled = True
    trace.finish(200)
    assert record_of(trace, "chunks").summary["error"] == "The client went away."


def test_parts_of_the_time_that_took_none_are_left_out():
    trace = begin()
    trace.measures.queued = 0.5
    trace.finish(200)
    assert timings_of(trace) == {"queue": 0.5}


def test_a_record_comes_back():
    record = record_of(streamed(says="gr\u00f6\u00dfe"), "chunks")
    arrived = decode(encode(record))
    notes = [(at, station, read_value(station, value)) for at, station, value in arrived.notes]
    assert arrived._replace(notes=notes) == record


def test_what_is_no_plain_value_goes_as_its_text():
    record = Record({"id": "x"}, {}, True, [(0.5, "resolved", {"options": [object(), f"a {CANARY}"]})], secrets=(CANARY,))
    ((at, station, value),) = decode(encode(record)).notes
    assert (at, station) == (0.5, "resolved") and "object" in str(value["options"][0]) and CANARY not in str(value)
