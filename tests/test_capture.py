"""What is written to a capture file is read again, to the byte; what is no capture is refused by its line."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import capture as capture_module
from app.capture import (
    Capture,
    CaptureError,
    as_bytes,
    as_text,
    load_capture,
    read_capture,
    save_capture,
    write_capture,
)
from app.version import VERSION

SUMMARY = {"id": "req_1", "status": 200, "model": "größe"}
EVENTS = [
    {"at": 0.0, "station": "client_request", "value": {"model": "m", "big": 2**70}},
    {"at": 0.1, "station": "raw", "data": ['{"a": "\u2028"}', as_text(b"\xff\xfe")]},
    {"at": 0.1, "station": "emitted", "text": "data: {}\r\n\n"},
    {"at": 0.2, "station": "of the future", "value": None},
]
HEAD = json.dumps({"capture": 1, "gateway": "1", "summary": {}})


def lines(*events):
    return [HEAD, *(event if isinstance(event, str) else json.dumps(event) for event in events)]


def test_what_is_written_is_read_again():
    assert read_capture(write_capture(SUMMARY, EVENTS)) == Capture(SUMMARY, EVENTS, VERSION)


@pytest.mark.parametrize("name", ("one.jsonl", "one.jsonl.gz"))
def test_a_file_is_packed_by_its_name(tmp_path, name):
    path = tmp_path / name
    save_capture(path, write_capture(SUMMARY, EVENTS))
    assert path.read_bytes().startswith(b"\x1f\x8b") == name.endswith(".gz")
    assert load_capture(path) == Capture(SUMMARY, EVENTS, VERSION)


def test_a_packed_file_is_known_by_its_content(tmp_path):
    path = tmp_path / "renamed.jsonl"
    path.write_bytes(gzip.compress("".join(write_capture(SUMMARY, EVENTS)).encode()))
    assert load_capture(path).events == EVENTS


@given(st.binary())
def test_any_bytes_survive(data):
    event = {"at": 0, "station": "emitted", "text": as_text(data)}
    text = "".join(write_capture({}, [event]))
    assert text.count("\n") == 2 and text.encode()
    assert list(read_capture(text.split("\n")).emitted()) == [(0, data)]


def test_a_surrogate_that_stands_for_no_byte_becomes_a_replacement():
    assert as_bytes("a\ud800\udcff") == "a\ufffd".encode() + b"\xff"


def test_the_views_of_a_capture():
    made = read_capture(write_capture(SUMMARY, [*EVENTS, {"at": 1, "station": "client_request", "value": "last"}]))
    assert made.last("client_request") == "last" and made.last("answer") is None
    assert list(made.raw()) == [(0.1, ['{"a": "\u2028"}'.encode(), b"\xff\xfe"])]
    assert list(made.emitted()) == [(0.1, b"data: {}\r\n\n")]


def test_events_are_put_in_order_and_empty_lines_are_left_out():
    made = read_capture(lines({"at": 2, "station": "b"}, "", {"at": 1, "station": "a"}, {"at": 2, "station": "c"}))
    assert [event["station"] for event in made.events] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("given_lines", "words"),
    (
        ([], "the file is empty"),
        (["{}"], "line 1: this is no capture"),
        (["[1]"], "line 1: no JSON object"),
        (['{"capture": 1}'], "line 1: this is no capture"),
        (['{"capture": 2, "summary": {}}'], "version 2 is not known"),
        (lines("{broken"), "line 2: no JSON"),
        (lines('{"at": 0, "sta'), "cut off"),
        (lines('{"at": NaN, "station": "answer"}'), "line 2: an event needs"),
        (lines('{"at": 1e300, "station": "answer"}'), "line 2: an event needs"),
        (lines({"at": 0, "station": "answer"}, "null"), "line 3: no JSON object"),
        (lines({"station": "answer"}), "line 2: an event needs"),
        (lines({"at": True, "station": "answer"}), "line 2: an event needs"),
        (lines({"at": 0, "station": 1}), "line 2: an event needs"),
        (lines({"at": 0, "station": "raw", "data": "x"}), "`data` of raw"),
        (lines({"at": 0, "station": "raw", "data": [1]}), "`data` of raw"),
        (lines("", {"at": 0, "station": "emitted"}), "line 3: `text` of emitted"),
        (["[" * 100_000], "line 1: no JSON"),
    ),
)
def test_a_broken_line_is_named(given_lines, words):
    with pytest.raises(CaptureError, match=words):
        read_capture(given_lines)


def test_numbers_of_a_summary_are_numbers():
    given = {"capture": 1, "summary": {"started": "x", "duration": [1], "status": None, "ttft": 0.5, "cost": True, "id": "y"}}
    assert read_capture([json.dumps(given)]).summary == {"status": None, "ttft": 0.5, "id": "y"}


@pytest.mark.parametrize(
    ("data", "words"),
    (
        (gzip.compress(b"x" * 1000, mtime=0)[:-9], "damaged"),
        (b"\x1f\x8bxxxxxxxxxxxxxxxxxx", "damaged"),
        (b"\xff\xfe\x00", "no UTF-8"),
        (b"", "empty"),
    ),
)
def test_a_broken_file_is_refused(tmp_path, data, words):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(CaptureError, match=words):
        load_capture(tmp_path / "x")


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(capture_module, "MOST_BYTES", 1000)
    (tmp_path / "x.gz").write_bytes(gzip.compress(b" " * 10_000))
    with pytest.raises(CaptureError, match="larger than 1000"):
        load_capture(tmp_path / "x.gz")
