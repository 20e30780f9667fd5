"""The capture file, version 1: one request in JSON Lines, exact to the chunk and its time. Knows no database and no trace.

    {"capture": 1, "gateway": "1.2.3", "summary": {…}}
    {"at": 0.001, "station": "client_request", "value": {…}}          a station of app.trace, its value masked
    {"at": 0.210, "station": "raw", "data": ["…", "…"]}               the events of one read from the upstream
    {"at": 0.211, "station": "emitted", "text": "data: {…}\\n\\n"}      one write to the client

`at` is in seconds since the request began; events are in that order. Texts are exact: bytes that are no UTF-8 are kept as
lone surrogates (surrogateescape), written `\\udcXX`; `as_bytes` gives the bytes back. Only `\\n` ends a line.
"""

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from app.version import VERSION

CAPTURE_VERSION = 1
CHUNKS = {"raw": "data", "emitted": "text"}  # the stations of chunks, and where their exact text stands
LONE = re.compile("[\ud800-\udfff]")
GZIP_MAGIC = b"\x1f\x8b"
NUMBERS = ("started", "updated", "duration", "ttft", "cost", "status", "dropped_events")  # of a summary
LARGEST_NUMBER = 1e11  # a date in seconds is smaller; not so NaN and infinity
MOST_BYTES = 1 << 30  # of one file, unpacked


class CaptureError(ValueError):
    """A file that is no capture, or one that this version cannot read; the message names the line."""


@dataclass(frozen=True)
class Capture:
    """One request: its summary, and its events in the order of their time."""

    summary: Mapping[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    gateway: str = ""

    def last(self, station: str) -> Any:
        """Return the value noted last at a station, or None."""
        values = [event["value"] for event in self.events if event["station"] == station and "value" in event]
        return values[-1] if values else None

    def raw(self) -> Iterator[tuple[float, list[bytes]]]:
        """Yield the upstream's events, read by read: seconds, payloads."""
        for event in self.events:
            if event["station"] == "raw":
                yield event["at"], [as_bytes(text) for text in event["data"]]

    def emitted(self) -> Iterator[tuple[float, bytes]]:
        """Yield what was written to the client, write by write: seconds, bytes."""
        for event in self.events:
            if event["station"] == "emitted":
                yield event["at"], as_bytes(event["text"])


def write_capture(summary: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a capture file, each with its line feed."""
    yield dump({"capture": CAPTURE_VERSION, "gateway": VERSION, "summary": dict(summary)}) + "\n"
    for event in events:
        yield dump(event) + "\n"


def read_capture(lines: Iterable[str]) -> Capture:
    """Read a capture from its lines, with or without their line feeds. Raises CaptureError.

    Events of stations that this version does not know are kept: a newer gateway may note more.
    """
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    number, first = next(numbered, (1, ""))
    if not first:
        raise CaptureError("the file is empty")
    head = _load(number, first)
    if "capture" not in head or not isinstance(head.get("summary"), dict):
        raise CaptureError("line 1: this is no capture of the gateway")
    if head["capture"] != CAPTURE_VERSION:
        known = f"capture version {head['capture']!r} is not known, only {CAPTURE_VERSION}"
        raise CaptureError(f"line 1: {known}; a newer gateway made it")
    events = [_checked(number, _load(number, line)) for number, line in numbered]
    events.sort(key=lambda event: event["at"])  # stable: what has the same time stays in its order
    return Capture(_sound(head["summary"]), events, str(head.get("gateway", "")))


def save_capture(path: Path, lines: Iterable[str]) -> None:
    """Write the lines of a capture to a file, packed where its name ends in .gz. Raises OSError."""
    data = "".join(lines).encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def load_capture(path: Path) -> Capture:
    """Read a capture file, packed or not, whatever its name. Raises OSError, CaptureError."""
    with path.open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        try:
            data = (gzip.GzipFile(fileobj=file) if packed else file).read(MOST_BYTES + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise CaptureError(f"the packed file is damaged: {error}") from None
    if len(data) > MOST_BYTES:
        raise CaptureError(f"the file is larger than {MOST_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CaptureError(f"the file is no UTF-8: {error}") from None
    return read_capture(io.StringIO(text, newline="\n"))


def as_text(data: bytes) -> str:
    """Return bytes as the text that a capture holds."""
    return data.decode("utf-8", "surrogateescape")


def as_bytes(text: str) -> bytes:
    """Return the bytes that a text of a capture stands for; a lone surrogate that stands for no byte becomes U+FFFD."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udc7f\udd00-\udfff]", "\ufffd", text).encode("utf-8", "surrogateescape")


def dump(value: object) -> str:
    """Return JSON in one line that any UTF-8 file holds: lone surrogates are written as escapes."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a lone surrogate, an integer beyond 64 bits
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return LONE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def _load(number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        cut = "" if line.endswith("\n") else " (is the file cut off?)"
        raise CaptureError(f"line {number}: no JSON: {error}{cut}") from None
    if not isinstance(value, dict):
        raise CaptureError(f"line {number}: no JSON object")
    return value


def _sound(summary: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a summary what is no number where one belongs: a file may have been edited."""
    return {name: value for name, value in summary.items() if name not in NUMBERS or value is None or _is_number(value)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER


def _checked(number: int, event: dict[str, Any]) -> dict[str, Any]:
    """Return an event that is sound. Raises CaptureError."""
    at, station = event.get("at"), event.get("station")
    if not _is_number(at) or not isinstance(station, str):
        raise CaptureError(f"line {number}: an event needs `at` (seconds) and `station`")
    content = event.get(CHUNKS.get(station, "value"))
    if station == "raw" and not (isinstance(content, list) and all(isinstance(text, str) for text in content)):
        raise CaptureError(f"line {number}: `data` of raw must be a list of texts")
    if station == "emitted" and not isinstance(content, str):
        raise CaptureError(f"line {number}: `text` of emitted must be a text")
    return event
