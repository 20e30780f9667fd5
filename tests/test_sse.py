"""Server-sent events: bytes to payloads however they are cut, chunks to bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import sse

# name: (bytes, payloads)
STREAMS = {
    "one event": (b"data: a\n\n", [b"a"]),
    "two events": (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
    "no space after the colon": (b"data:a\n\n", [b"a"]),
    "only one space is taken off": (b"data:  a\n\n", [b" a"]),
    "carriage return and line feed": (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    "carriage return alone": (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    "line ends of all kinds": (b"data: a\r\n\ndata: b\r\r\ndata: c\n\r", [b"a", b"b", b"c"]),
    "U+2028, U+0085 and form feed end no line": (
        "data: a\u2028b\x85c\x0cd\x1ce\n\n".encode(), ["a\u2028b\x85c\x0cd\x1ce".encode()]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
    "a byte order mark later is text": (b"data: \xef\xbb\xbfa\n\n", [b"\xef\xbb\xbfa"]),
    "comments": (b": hello\n\n:\n\ndata: a\n: in between\n\n", [b"a"]),
    "several data lines": (b"data: a\ndata: b\ndata:\n\n", [b"a\nb\n"]),
    "empty data is an event": (b"data:\n\n", [b""]),
    "id, retry and event lines": (b"id: 1\nretry: 5\nevent: message\ndata: a\n\n", [b"a"]),
    "fields without a colon": (b"id\nretry\nevent\ndata: a\n\n", [b"a"]),
    "the last blank line is missing": (b"data: a\n\ndata: b\n", [b"a", b"b"]),
    "the last line end is missing": (b"data: a\n\ndata: b", [b"a", b"b"]),
    "ends between \\r and \\n": (b"data: a\r\n\r", [b"a"]),
    "blank lines say nothing": (b"\n\n\n\ndata: a\n\n\n\n", [b"a"]),
    "error event": (b'event: error\ndata: {"message":"no"}\n\n', [b'{"error":{"message":"no"}}']),
    "error event that says so itself": (b'event: error\ndata: {"error":1}\n\n', [b'{"error":1}']),
    "an error's name is not the next event's": (
        b'event: error\ndata: {"m":1}\n\ndata: {"m":2}\n\n', [b'{"error":{"m":1}}', b'{"m":2}']),
    "another event's name": (b'event: delta\ndata: {"m":1}\n\n', [b'{"m":1}']),
    "done": (b"data: [DONE]\n\n", [b"[DONE]"]),
    "nothing": (b"", []),
}


def decode(pieces):
    decoder = sse.Decoder()
    payloads = [payload for piece in pieces for payload in decoder.feed(piece)]
    return payloads + decoder.flush()


@pytest.mark.parametrize("name", STREAMS)
def test_events_come_out_whole_wherever_the_stream_is_cut(name):
    data, expected = STREAMS[name]
    assert decode([data]) == expected
    assert decode([bytes([byte]) for byte in data]) == expected
    for at in range(len(data) + 1):
        assert decode([data[:at], data[at:]]) == expected, at
        assert decode([data[:at], b"", data[at:]]) == expected, at


@given(st.lists(st.binary(max_size=12).filter(lambda text: not set(text) & set(b"\r\n")), max_size=6),
       st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(0, 200)))
def test_what_was_said_is_what_is_read(texts, newline, cuts):
    data = b"".join(b"data: " + text + newline + newline for text in texts)
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    assert decode([data[a:b] for a, b in zip(at, at[1:], strict=False)]) == texts


@given(st.binary(max_size=80), st.integers(0, 80))
def test_no_bytes_break_the_decoder(data, at):
    assert decode([data[:at], data[at:]]) == decode([data])


def test_an_event_leaves_with_its_blank_line():
    decoder = sse.Decoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\n") == [b"a"]
    assert decoder.feed(b"data: b\r\n\r\n") == [b"b"], "the \\n of \\r\\n is not waited for twice"


def test_a_carriage_return_at_the_end_of_a_read_waits_for_what_follows():
    decoder = sse.Decoder()
    assert decoder.feed(b"data: a\r") == []
    assert decoder.feed(b"\ndata: b\n\n") == [b"a\nb"]


@pytest.mark.parametrize("data", [b'{"error": "no"}', b'{"error": "no"}\n', b'<html>\n</html>\n\n'])
def test_lines_that_are_no_field_are_kept_to_explain_a_failure(data):
    decoder = sse.Decoder()
    assert decoder.feed(data) + decoder.flush() == []
    assert decoder.stray.strip() == data.strip()


@pytest.mark.parametrize("line", [b": comment", b"id: 1", b"retry: 1", b"event: x", b"data: {}", b""])
def test_lines_that_are_fields_are_not_stray(line):
    decoder = sse.Decoder()
    decoder.feed(line + b"\n\n")
    assert decoder.stray == b""


def test_stray_lines_do_not_fill_the_memory():
    decoder = sse.Decoder()
    for _ in range(100):
        decoder.feed(b"x" * 10_000 + b"\n")
    assert len(decoder.stray) <= sse.STRAY_LIMIT + 10_001


@pytest.mark.parametrize(("payload", "values"), [
    (b'{"a":1}', [{"a": 1}]),
    (b'{"a":\n1}', [{"a": 1}]),
    (b'{"a":1}\n{"a":2}', [{"a": 1}, {"a": 2}]),
    (b'{"a":1}\n\n{"a":2}\n[DONE]', [{"a": 1}, {"a": 2}]),
    (b'["x"]', [["x"]]),
])
def test_an_events_json_is_parsed(payload, values):
    assert sse.parse(payload) == values


@pytest.mark.parametrize("payload", [b"", b"{", b"hello", b'{"a":1}{', b"{\n}}", b'{"a":1}\nhello'])
def test_what_is_no_json_is_an_error(payload):
    with pytest.raises(ValueError):
        sse.parse(payload)


def test_chunks_leave_in_one_piece():
    assert sse.encode([{"a": "é\u2028"}, {"b": 1}]) == 'data: {"a":"é\u2028"}\n\ndata: {"b":1}\n\n'.encode()
    assert sse.encode([]) == b""
