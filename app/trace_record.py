"""What a request leaves behind, as plain values that can be sent to another process. Nothing is masked here but the summary.

`record_of` runs in the process that serves; what reads a Record runs in the one that writes.
"""

import marshal
import struct
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from app.trace_events import Note
from app.utils.masking import Masker

if TYPE_CHECKING:
    from app.trace import Trace

OFF, HEADERS, BODIES, CHUNKS = DEPTHS = ("off", "headers", "bodies", "chunks")
LARGEST_BODIES = 32_000_000  # bytes of request and answer; larger ones are left out
BODY_STATIONS = ("client_request", "upstream_request", "upstream_response", "answer")
WITHOUT_BODIES = ("client_headers", "resolved", "repairs", "error")
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


def record_of(trace: "Trace", depth: str, over: bool = True) -> Record:
    """Return as much of a trace as the depth asks for; of one that is not `over`, what is known of it."""
    summary = trace.summary() | {"depth": depth, "updated": time.time()}
    if not over:
        return Record(summary | {"status": None, "duration": None}, {}, False)
    if trace.measures.cancelled and not summary.get("error"):
        summary["error"] = "The client went away."
    notes = [note for note in trace.noted() if _says_something(note)]
    if depth == HEADERS:
        notes = [_without_bodies(note) for note in notes if note[1] in WITHOUT_BODIES]
    elif trace.body_bytes > LARGEST_BODIES:
        left_out = {"left_out": f"request and answer: {trace.body_bytes} bytes"}
        notes = [(at, name, left_out if name in BODY_STATIONS else value) for at, name, value in notes]
    if depth == BODIES and (answer := trace.answer()) is not None:
        notes.append((summary["duration"], "answer", answer))
    ways = (trace.chunks("raw"), trace.chunks("emitted")) if depth == CHUNKS else ([], [])
    return Record(summary, timings_of(trace), True, notes, *ways, trace.secrets)


def timings_of(trace: "Trace") -> dict[str, float]:
    """Return the seconds of each part of a request's time that took any."""
    measures = trace.measures
    parts = {"queue": measures.queued or 0.0, **dict(zip(PARTS, measures.seconds, strict=True))}
    return {name: round(seconds, 6) for name, seconds in parts.items() if seconds >= SHORTEST_PART}


def encode(record: Record) -> bytes:
    """Return a record as bytes that only the same Python reads; objects that are no plain values by their text."""
    try:
        return marshal.dumps(tuple(record))
    except ValueError:
        masker = record.masker()
        notes: list[Note] = [(at, name, masker.mask(value)) for at, name, value in record.notes]
        summary: Any = masker.mask(record.summary)
        return marshal.dumps(tuple(record._replace(summary=summary, notes=notes)))


def decode(data: bytes) -> Record:
    return Record(*marshal.loads(data))


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
