"""The three ways an HTTP/1.1 body ends, cut at every byte."""

import gzip
import zlib
from http.client import HTTPException, HTTPMessage, IncompleteRead

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.http_body import BodyDecoder, Dechunker

BODY = b"Hello, world, hello again!"


def headers(**values):
    message = HTTPMessage()
    for name, value in values.items():
        message[name.replace("_", "-")] = value
    return message


def chunked(*pieces, extension=b"", trailer=b"", newline=b"\r\n"):
    parts = [b"%x" % len(piece) + extension + newline + piece + newline for piece in pieces]
    return b"".join(parts) + b"0" + newline + trailer + newline


GZIP, DEFLATE = gzip.compress(BODY), zlib.compress(BODY)
# name: (headers, bytes on the wire)
BODIES = {
    "length": (headers(Content_Length=str(len(BODY))), BODY),
    "length with more behind it": (headers(Content_Length=f" {len(BODY)} "), BODY + b"HTTP/1.1 200"),
    "chunks": (headers(Transfer_Encoding="chunked"), chunked(BODY[:3], BODY[3:4], BODY[4:])),
    "chunks overrule a length": (headers(Transfer_Encoding="Chunked", Content_Length="3"), chunked(BODY)),
    "chunk extensions": (headers(Transfer_Encoding="chunked"), chunked(BODY[:9], BODY[9:], extension=b' ; a="b;c"')),
    "trailers": (headers(Transfer_Encoding="chunked"), chunked(BODY, trailer=b"X-Cost: 1\r\nX-More: 2\r\n")),
    "bare line feeds": (headers(Transfer_Encoding="chunked"), chunked(BODY[:9], BODY[9:], newline=b"\n")),
    "upper case and leading zeros": (headers(Transfer_Encoding="chunked"), b"00001A\r\n" + BODY + b"\r\n0000\r\n\r\n"),
    "gzip with a length": (headers(Content_Length=str(len(GZIP)), Content_Encoding="gzip"), GZIP),
    "gzip in chunks": (headers(Transfer_Encoding="chunked", Content_Encoding="GZIP"), chunked(GZIP[:7], GZIP[7:])),
    "deflate": (headers(Content_Length=str(len(DEFLATE)), Content_Encoding="deflate"), DEFLATE),
    "identity": (headers(Content_Length=str(len(BODY)), Content_Encoding="identity"), BODY),
}


def decode(decoder, pieces):
    return b"".join([decoder.feed(piece) for piece in pieces])


@pytest.mark.parametrize("name", BODIES)
def test_a_body_comes_out_whole_wherever_it_is_cut(name):
    found, wire = BODIES[name]
    for at in range(1, len(wire)):
        decoder = BodyDecoder(found, 200)
        assert decode(decoder, [wire[:at], wire[at:]]) == BODY, at
        assert decoder.complete
    decoder = BodyDecoder(found, 200)
    assert decode(decoder, [bytes([byte]) for byte in wire]) == BODY
    assert decoder.complete


@pytest.mark.parametrize("name", BODIES)
def test_an_early_end_is_noticed_at_every_byte(name):
    found, wire = BODIES[name]
    end = next(at for at in range(len(wire) + 1) if _complete(found, wire[:at]))
    for at in range(1, end):
        decoder = BodyDecoder(found, 200)
        decoder.feed(wire[:at])
        assert not decoder.complete
        with pytest.raises(IncompleteRead):
            decoder.feed(b"")


def _complete(found, wire):
    decoder = BodyDecoder(found, 200)
    if wire:
        decoder.feed(wire)
    return decoder.complete


def test_without_a_length_the_connections_end_is_the_bodys():
    decoder = BodyDecoder(headers(), 200)
    assert decode(decoder, [BODY[:5], BODY[5:]]) == BODY
    assert not decoder.complete
    assert decoder.feed(b"") == b""
    assert decoder.complete


def test_a_packed_body_without_a_length_ends_too():
    decoder = BodyDecoder(headers(Content_Encoding="gzip"), 200)
    assert decode(decoder, [GZIP[:11], GZIP[11:], b""]) == BODY
    assert decoder.complete


@pytest.mark.parametrize(("found", "status"), [
    (headers(), 204), (headers(), 304), (headers(Content_Length="0"), 200),
    (headers(Content_Length="5"), 304), (headers(Transfer_Encoding="chunked"), 204)])
def test_a_body_that_cannot_be_is_at_its_end_at_once(found, status):
    assert BodyDecoder(found, status).complete


@pytest.mark.parametrize("wire", [
    b"x\r\n", b"\r\n", b"-1\r\nhello", b"0x5\r\nhello\r\n", b"1_0\r\n", b"+5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello!\r\n",
    b"5 5\r\nhello\r\n", b"<html>\r\n", b"a" * 100_000])
def test_what_is_no_chunk_is_an_error(wire):
    with pytest.raises(HTTPException):
        Dechunker().feed(wire)
        raise AssertionError("nothing was wrong with it")


@pytest.mark.parametrize("length", ["-1", "x", "1,1", "", "1.5", "\u0665"])
def test_a_length_that_is_no_number_is_an_error(length):
    with pytest.raises(HTTPException):
        BodyDecoder({"content-length": length}, 200)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
def test_a_coding_that_was_not_asked_for_is_an_error(coding):
    with pytest.raises(HTTPException, match="not asked for"):
        BodyDecoder(headers(Content_Encoding=coding), 200)


def test_bytes_that_are_not_packed_are_an_error():
    with pytest.raises(HTTPException, match="content coding"):
        BodyDecoder(headers(Content_Encoding="gzip"), 200).feed(b"<html>this is not gzip</html>")


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.lists(st.integers(0, 300)))
def test_any_bytes_survive_any_chunks(pieces, cuts):
    wire = chunked(*pieces)
    at = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    decoder = Dechunker()
    assert decode(decoder, [wire[a:b] for a, b in zip(at, at[1:], strict=False)]) == b"".join(pieces)
    assert decoder.complete


@given(st.binary(max_size=60), st.integers(0, 60))
def test_wild_bytes_raise_one_kind_of_error(wire, at):
    try:
        Dechunker().feed(wire)
    except HTTPException:
        return
    split = Dechunker()
    split.feed(wire[:at])
    split.feed(wire[at:])
