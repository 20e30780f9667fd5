"""A head read in one go says what http.client reads of it; what is odd is read by http.client itself."""

import http.client
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.http_head import Response

FIELDS = ("status", "code", "reason", "version", "chunked", "length", "will_close")
NAMES = st.sampled_from(
    ("Content-Length", "content-length", "Transfer-Encoding", "Connection", "X-A", "Keep-Alive", "From ", "")
)
VALUES = st.sampled_from(
    ("5", " 0", "\t7 ", "-1", "+3", "²", "chunked", "gzip, chunked", "Close", "keep-alive", "é: x", "", "a\x0bb")
)
STARTS = st.sampled_from(("HTTP/1.1 200 OK", "HTTP/1.1 204", "HTTP/1.1 304 ", "HTTP/1.0 200 OK", "HTTP/1.1 103 Early",
                          "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 429 Too many  words ", "HTTP/2 200", "200 OK", ""))  # fmt: skip
LINES = st.lists(st.builds("{}:{}".format, NAMES, VALUES) | st.sampled_from((" folded", "no colon", "A b: c")), max_size=6)


class Wire:
    """Has the one method of a socket that a response asks for."""

    def __init__(self, data: bytes, buffer: int = 8192) -> None:
        self._data, self._buffer = data, buffer

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(self._data), self._buffer)  # type: ignore[arg-type]


def read(kind, data, method="POST", buffer=8192):
    response = kind(Wire(data, buffer), method=method)
    try:
        response.begin()
    except http.client.HTTPException as error:
        return type(error).__name__
    return [getattr(response, name) for name in FIELDS], response.headers.items(), response.fp.read()


@given(STARTS, LINES, st.sampled_from(("\r\n", "\n")), st.sampled_from(("POST", "HEAD")), st.sampled_from((8192, 20)))
def test_any_head_is_read_as_by_http_client(start, lines, end, method, buffer):
    data = (end.join([start, *lines, "", ""]) + "body: 1\r\n\r\n").encode("latin-1")
    assert read(Response, data, method, buffer) == read(http.client.HTTPResponse, data, method)


@pytest.mark.parametrize("count", (2, 90, 91, 100, 101))
def test_many_headers(count):
    data = b"HTTP/1.1 200 OK\r\n" + b"".join(b"H-%d: %d\r\n" % (number, number) for number in range(count)) + b"\r\nrest"
    assert read(Response, data) == read(http.client.HTTPResponse, data)


def test_a_plain_head_needs_no_reading_line_by_line(monkeypatch):
    data = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    monkeypatch.setattr(http.client, "parse_headers", None)
    fields, headers, rest = read(Response, data)
    assert (fields[0], headers[1], rest) == (200, ("Content-Length", "2"), b"{}")
