"""What a request leaves behind, as plain values that can be sent to another process. Nothing is masked here but the summary.

`record_of` runs in the process that serves; what reads a Record runs in the one that writes.
"""

import marshal
import struct
import time
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from app.trace_bodies import RECEIVED, lengthen, read_value, shorten
from app.trace_events import Note
from app.utils.masking import Masker

if TYPE_CHECKING:
    from app.trace import Trace

OFF, HEADERS, BODIES, CHUNKS = DEPTHS = ("off", "headers", "bodies", "chunks")
LARGEST_BODIES = 32_000_000  # bytes of request and answer; larger ones are left out
BODY_STATIONS = ("client_request", "upstream_request", "upstream_response", "answer")
WITHOUT_BODIES = ("client_headers", "resolved", "repairs", "error")
NOTES, PIECES = "notes", "chunks"  # what of a request can be left out while it runs
LONGEST_ASKED = 400  # characters
BODY_FIELDS = ("upstream_body", "before", "after")  # of an error and of a repair: they quote bodies
PARTS = ("read", "prepare", "engine", "upstream", "repair", "format", "write")  # in the order of app.measures
SHORTEST_PART = 0.0001  # seconds
FRAME = struct.Struct(">cI")  # before each message to the writing process: its letter, its length in bytes


class Record(NamedTuple):
    """One request: Trace.summary and the seconds of its parts; notes and chunks as the trace has them; the keys to hide."""

    summary: dict[str, Any]
    timings: dict[str, float]
    over: bool
    notes: list[Note] = []
    raw: list[tuple[float, list[bytes]]] = []
    emitted: list[tuple[float, bytes]] = []
    secrets: tuple[str, ...] = ()

    def masker(self) -> Masker:
        return Masker(self.secrets)


def record_of(trace: "Trace", depth: str, over: bool = True, parts: Container[str] = (NOTES, PIECES)) -> Record:
    """Return as much of a trace as the depth asks for, of one that is not `over` what is known of it by now.

    `parts`: which of NOTES and PIECES (its chunks) are wanted.
    """
    summary = trace.summary() | {"depth": depth, "updated": time.time()}
    if not over:
        return _of_running(trace, depth, summary, parts)
    if trace.measures.cancelled and not summary.get("error"):
        summary["error"] = "The client went away."
    notes = _notes(trace, depth)
    if depth == BODIES and (answer := trace.answer()) is not None:
        notes.append((summary["duration"], "answer", answer))
    ways = (trace.chunks("raw"), trace.chunks("emitted")) if depth == CHUNKS else ([], [])
    return Record(summary, timings_of(trace), True, notes, *ways, trace.secrets)


def _of_running(trace: "Trace", depth: str, summary: dict[str, Any], parts: Container[str]) -> Record:
    request = next((value for _, station, value in trace.noted() if station == RECEIVED), None)
    asked = last_words(read_value(RECEIVED, request))
    if asked and depth != HEADERS:
        summary["asked"] = trace.mask_text(asked)
    summary |= {"status": None, "duration": None}
    notes = _notes(trace, depth) if NOTES in parts else []
    ways = (trace.chunks("raw"), trace.chunks("emitted")) if depth == CHUNKS and PIECES in parts else ([], [])
    return Record(summary, {}, False, notes, *ways, trace.secrets)


def _notes(trace: "Trace", depth: str) -> list[Note]:
    notes = [note for note in trace.noted() if _says_something(note)]
    if depth == HEADERS:
        return [_without_bodies(note) for note in notes if note[1] in WITHOUT_BODIES]
    if trace.body_bytes > LARGEST_BODIES:
        left_out = {"left_out": f"request and answer: {trace.body_bytes} bytes"}
        return [(at, name, left_out if name in BODY_STATIONS else value) for at, name, value in notes]
    return notes


def last_words(body: object) -> str | None:
    """Return the beginning of what the user said last, a bit more than is kept: a key must not be cut before it is seen."""
    if not isinstance(body, Mapping):
        return None
    messages = body.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, Mapping) and message.get("role") == "user" and (text := _words(message.get("content"))):
            return text
    return _words(body.get("prompt")) or None


def _words(content: object) -> str:
    if isinstance(content, list):  # the last part: coding agents put what they know of the machine before the question
        parts = [
            part.get("text") for part in content if isinstance(part, Mapping) and isinstance(part.get("text"), str)
        ]
        content = next((text for text in reversed(parts) if text), None)
    return " ".join(content[: 2 * LONGEST_ASKED].split()) if isinstance(content, str) else ""


def timings_of(trace: "Trace") -> dict[str, float]:
    """Return the seconds of each part of a request's time that took any."""
    measures = trace.measures
    parts = {"queue": measures.queued or 0.0, **dict(zip(PARTS, measures.seconds, strict=True))}
    return {name: round(seconds, 6) for name, seconds in parts.items() if seconds >= SHORTEST_PART}


def encode(record: Record) -> bytes:
    """Return a record as bytes that only the same Python reads; objects that are no plain values by their text."""
    try:
        return marshal.dumps(tuple(record._replace(notes=shorten(record.notes))))
    except ValueError:
        masker = record.masker()
        notes: list[Note] = [(at, name, masker.mask(read_value(name, value))) for at, name, value in record.notes]
        summary: Any = masker.mask(record.summary)
        return marshal.dumps(tuple(record._replace(summary=summary, notes=notes)))


def decode(data: bytes) -> Record:
    record = Record(*marshal.loads(data))
    return record._replace(notes=lengthen(record.notes))


def _says_something(note: Note) -> bool:
    return note[1] != "repairs" or not isinstance(note[2], Mapping) or bool(note[2].get("header"))


def _without_bodies(note: Note) -> Note:
    at, station, value = note
    if station == "repairs" and isinstance(value, dict):
        entries = [_less(entry) for entry in value.get("entries", ()) if isinstance(entry, dict)]
        value = value | {"entries": entries}
    return at, station, _less(value) if isinstance(value, dict) else value


def _less(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in value.items() if name not in BODY_FIELDS}
