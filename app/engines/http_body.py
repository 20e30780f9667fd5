"""The three ways an HTTP/1.1 body can end (RFC 9112 section 6), and its content codings. Pure: bytes in, bytes out."""

import re
import zlib
from collections.abc import Mapping
from http.client import HTTPException, IncompleteRead

LONGEST_LINE = 65_536
NUMBER = re.compile(r"[0-9]+")  # int() takes more: signs, underscores, digits of other scripts
CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,16})[ \t]*(?:;|$)")


class BodyDecoder:
    """Turn the raw bytes behind an answer's head, cut anywhere, into the body's. `complete` says that it is at its end."""

    def __init__(self, headers: Mapping[str, str], status: int) -> None:
        """`headers` has lower-case names. Raises HTTPException for a length that is no number."""
        self.complete = status in (204, 304)
        self._chunks = Dechunker() if "chunked" in (headers.get("transfer-encoding") or "").lower() else None
        length = None if self._chunks else headers.get("content-length")
        if length is not None and not NUMBER.fullmatch(length.strip()):
            raise HTTPException("bad Content-Length")
        self._left = int(length) if length is not None else None
        self.complete = self.complete or self._left == 0
        self._inflate = _inflater(headers.get("content-encoding"))

    def feed(self, data: bytes) -> bytes:
        """Return what `data` adds to the body. `b""` means that the connection ended: raises IncompleteRead if too early."""
        if self.complete:
            return b""
        if not data:
            if self._chunks is not None or self._left:
                raise IncompleteRead(b"")
            self.complete = True
            return self._flush()
        if self._chunks is not None:
            data = self._chunks.feed(data)
            self.complete = self._chunks.complete
        elif self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
            self.complete = self._left == 0
        if self._inflate is None:
            return data
        return self._unpack(data) + (self._flush() if self.complete else b"")

    def _unpack(self, data: bytes) -> bytes:
        assert self._inflate is not None
        try:
            return self._inflate.decompress(data)
        except zlib.error as error:
            raise HTTPException("bad content coding") from error

    def _flush(self) -> bytes:
        return self._inflate.flush() if self._inflate is not None else b""


class Dechunker:
    """Take the chunked transfer coding off (RFC 9112 section 7.1). Linear; raises HTTPException for what is none."""

    def __init__(self) -> None:
        self.complete = False
        self._rest = b""  # an unfinished size line, or trailer
        self._left = 0  # bytes of the open chunk still to come
        self._after_data = self._in_trailer = False

    def feed(self, data: bytes) -> bytes:
        if self._rest:
            data, self._rest = self._rest + data, b""
        pieces, at, size = [], 0, len(data)
        while at < size and not self.complete:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._after_data = self._left == 0
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._rest = data[at:]
                if len(self._rest) > LONGEST_LINE:
                    raise HTTPException("chunk line too long")
                break
            self._line(data[at:end].strip())
            at = end + 1
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _line(self, line: bytes) -> None:
        if self._in_trailer:
            self.complete = not line
        elif self._after_data:
            if line:
                raise HTTPException("bad chunk end")
            self._after_data = False
        else:
            found = CHUNK_SIZE.match(line)
            if found is None:
                raise HTTPException("bad chunk size")
            self._left = int(found[1], 16)
            self._in_trailer = self._left == 0


def _inflater(coding: str | None) -> "zlib._Decompress | None":
    coding = (coding or "identity").strip().lower()
    if coding == "identity":
        return None
    if coding in ("gzip", "x-gzip"):
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    if coding == "deflate":
        return zlib.decompressobj()
    raise HTTPException(f"content coding {coding[:20]} was not asked for")
