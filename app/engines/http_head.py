"""The head of an upstream's answer: a plain one is read in one go, all others by http.client. Knows nothing of bodies."""

import http.client
import re

# A final answer in HTTP/1.1 whose lines say `name: value`; what is longer than the reader's buffer is none of these.
PLAIN = re.compile(rb"HTTP/1\.1 ([2-9][0-9]{2})(?: ([^\r\n]*))?\r\n((?:[!-9;-~]+:[^\r\n]*\r\n){0,90})\r\n")
BODILESS = (204, 304)


class Response(http.client.HTTPResponse):
    """http.client's response, which reads headers as if they were an e-mail's: most of them need no such care."""

    def begin(self) -> None:
        """Read the head: `status`, `headers`, `will_close`. Raises HTTPException, OSError."""
        found = PLAIN.match(self.fp.peek(1))
        if found is None or not self._take(found):
            super().begin()

    def _take(self, found: re.Match[bytes]) -> bool:
        status, reason, lines = int(found[1]), (found[2] or b"").decode("latin-1"), found[3].decode("latin-1")
        headers = http.client.HTTPMessage()
        first: dict[str, str] = {}
        for line in lines.split("\r\n")[:-1]:
            name, _, value = line.partition(":")
            value = value.lstrip(" \t")
            headers[name] = value
            first.setdefault(name.lower(), value)
        length = first.get("content-length")
        if length is not None and not (length.isascii() and length.isdecimal()):
            return False
        self.fp.read(found.end())
        self.status = self.code = status
        self.reason, self.version = reason.strip(), 11
        self.headers = self.msg = headers
        self.chunked = first.get("transfer-encoding", "").lower() == "chunked"
        self.length = 0 if status in BODILESS or self._method == "HEAD" else None  # type: ignore[attr-defined]
        if self.length is None and length is not None and not self.chunked:
            self.length = int(length)
        open_end = not self.chunked and self.length is None
        self.will_close = open_end or "close" in first.get("connection", "").lower()
        return True
