"""Server-sent events, both ways: bytes to events, chunks to bytes. Pure; it does not know what an event means."""

from collections.abc import Iterable

from app.utils.json_text import dump, load

DONE = b"[DONE]"
DONE_EVENT = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
MARK = b"\xef\xbb\xbf"
STRAY_LIMIT = 65_536  # bytes of lines outside any event that are kept to explain a failure


class Decoder:
    """Turn a byte stream, cut anywhere, into the `data` of its events. One object per stream; linear in its length.

    Only \\n, \\r\\n and \\r end a line (WHATWG HTML, "interpreting an event stream"): `bytes.splitlines` and `iter_lines`
    of common clients also cut at others. `stray` collects lines that are no field at all, such as a bare JSON error.
    """

    def __init__(self) -> None:
        self.stray = b""
        self._parts: list[bytes] = []
        self._data: bytes | None = None
        self._event = b""
        self._held_cr = False
        self._started = False
        self._head = b""  # the beginning of a byte order mark

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads of the events that `data` completes."""
        if not self._started:
            data = self._begin(data)
        if self._held_cr:
            data = b"\r" + data
        if b"\r" in data:
            self._held_cr = data[-1:] == b"\r"  # may be the first half of \r\n
            data = (data[:-1] if self._held_cr else data).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        else:
            self._held_cr = False
        end = data.rfind(b"\n")
        if end < 0:
            self._parts.append(data)
            return []
        if self._parts:
            whole = b"".join(self._parts) + data[:end]
            self._parts.clear()
        else:
            whole = data[:end]
        if end + 1 < len(data):
            self._parts.append(data[end + 1 :])
        return self._take(whole.split(b"\n"))

    def flush(self) -> list[bytes]:
        """Return what the end of the stream completes; servers often leave out the last blank line."""
        rest = b"".join(self._parts)
        self._parts.clear()
        self._held_cr = False
        return self._take([rest, b""])

    def _begin(self, data: bytes) -> bytes:
        """Take a byte order mark off the beginning of the stream; it may come in pieces."""
        data, self._head = self._head + data, b""
        if len(data) < len(MARK) and MARK.startswith(data):
            self._head = data
            return b""
        self._started = True
        return data.removeprefix(MARK)

    def _take(self, lines: list[bytes]) -> list[bytes]:
        payloads = []
        for line in lines:
            if line[:5] == b"data:":
                value = line[6:] if line[5:6] == b" " else line[5:]
                self._data = value if self._data is None else self._data + b"\n" + value
            elif not line:
                if self._data is not None:
                    payloads.append(self._data if not self._event else self._named(self._data))
                    self._data, self._event = None, b""
            else:
                self._note_other(line)
        return payloads

    def _note_other(self, line: bytes) -> None:
        if line.startswith(b"event:"):
            self._event = b"error" if line[6:].strip() == b"error" else b""
        elif (
            not line.startswith((b":", b"id:", b"retry:", b"id", b"retry", b"event")) and len(self.stray) < STRAY_LIMIT
        ):
            self.stray += line[:STRAY_LIMIT] + b"\n"

    def _named(self, data: bytes) -> bytes:
        """An `event: error` says by its name what others say by an `error` key."""
        return data if b'"error"' in data else b'{"error":' + data + b"}"


def parse(payload: bytes) -> list[object]:
    """Return the JSON values of one event; some servers forget the blank line between two. Raises ValueError."""
    try:
        return [load(payload)]
    except ValueError:
        lines = [line for line in payload.split(b"\n") if line.strip() and line.strip() != DONE]
        if len(lines) < 2:
            raise
        return [load(line) for line in lines]


def encode(chunks: Iterable[object]) -> bytes:
    """Return all `chunks` as events in one piece, so that what came in one read leaves in one write."""
    return b"".join([b"data: " + dump(chunk) + b"\n\n" for chunk in chunks])
