"""A trace as rows of the database: its summary in one flat row, its parts in packages, as much as the depth asks for.

Runs in the writer's thread, never in a request's. Every text is masked, short enough for its column, and one that any
database takes.
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app.trace_events import Note, exact_chunks
from app.trace_packing import CHUNKS as CHUNKS_PACKAGE
from app.trace_packing import NOTES as NOTES_PACKAGE
from app.trace_packing import Packer, pack_chunks
from app.utils.masked_json import dump

if TYPE_CHECKING:
    from app.trace import Trace

OFF, HEADERS, BODIES, CHUNKS = DEPTHS = ("off", "headers", "bodies", "chunks")
LENGTHS = {"id": 64, "server": 64, "session": 200, "client": 200, "user_agent": 300, "method": 16, "path": 500,
           "model": 200, "target": 300, "engine": 64, "error": 1000, "finish_reason": 64, "repairs": 4000, "depth": 16,
           "asked": 400, "timings": 400}  # fmt: skip
COUNTS = ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "raw_chunks", "emitted_chunks",
          "dropped_events", "status", "stream", "size")  # fmt: skip
NUMBERS = ("started", "updated", "cost", "ttft", "duration")
COLUMNS = ("id", "started", "updated", "server", "session", "client", "user_agent", "method", "path", "model", "target",
           "engine", "stream", "status", "error", "finish_reason", "prompt_tokens", "completion_tokens",
           "reasoning_tokens", "cached_tokens", "cost", "ttft", "duration", "raw_chunks", "emitted_chunks",
           "dropped_events", "repairs", "depth", "size", "asked", "timings")  # fmt: skip
LARGEST_BODIES = 32_000_000  # bytes of request and answer; larger ones are left out
BODY_STATIONS = ("client_request", "upstream_request", "upstream_response", "answer")
WITHOUT_BODIES = ("client_headers", "resolved", "repairs", "error")
BODY_FIELDS = ("upstream_body", "before", "after")  # of an error and of a repair: they quote bodies
PARTS = ("read", "prepare", "engine", "upstream", "repair", "format", "write")  # in the order of app.measures
SHORTEST_PART = 0.0001  # seconds
LARGEST = 2**62

Row = dict[str, Any]
Part = tuple[str, str, bytes]  # trace_id, part, data


def row_of(trace: "Trace", depth: str, server: str, size: int = 0, asked: str | None = None, over: bool = True) -> Row:
    """Return the row of a trace: COLUMNS in their order. While it is not `over` it has no status."""
    summary = trace.summary()
    cancelled = trace.measures.cancelled and not summary.get("error")
    facts = summary | {"server": server, "depth": depth, "asked": asked, "updated": time.time(), "size": size}
    if cancelled:
        facts["error"] = "The client went away."
    if over:
        facts["timings"] = dump(timings_of(trace)).decode()
    else:
        facts |= {"status": None, "duration": None}
    facts["stream"] = 1 if facts.get("stream") else 0
    return {name: None if (value := facts.get(name)) is None else fit(value, longest) for name, fit, longest in _FITTING}


def timings_of(trace: "Trace") -> dict[str, float]:
    """Return the seconds of each part of a request's time that took any."""
    measures = trace.measures
    parts = {"queue": measures.queued or 0.0, **dict(zip(PARTS, measures.seconds, strict=True))}
    return {name: round(seconds, 6) for name, seconds in parts.items() if seconds >= SHORTEST_PART}


def rows_of(trace: "Trace", depth: str, server: str, packer: Packer) -> tuple[Row, list[Part]]:
    """Return the row of a finished trace and its parts."""
    masker = trace.masker()
    notes, asked = trace.noted(), None
    if depth == HEADERS:
        notes = [_without_bodies(note) for note in notes if note[1] in WITHOUT_BODIES]
    else:
        asked = next((last_words(value) for _, station, value in notes if station == "client_request"), None)
        notes = [note for note in notes if note[1] != "repairs" or not isinstance(note[2], dict) or note[2].get("header")]
    if depth == BODIES and (answer := trace.answer()) is not None:
        notes.append((trace.summary()["duration"], "answer", answer))
    if trace.body_bytes > LARGEST_BODIES:
        left_out = {"left_out": f"request and answer: {trace.body_bytes} bytes"}
        notes = [(at, name, left_out if name in BODY_STATIONS else value) for at, name, value in notes]
    packages = [(NOTES_PACKAGE, packer.pack_notes(notes, masker))]
    if depth == CHUNKS and (raw := trace.chunks("raw"), emitted := trace.chunks("emitted")) != ([], []):
        packages.append((CHUNKS_PACKAGE, pack_chunks(*exact_chunks(masker, raw, emitted))))
    shown = packer.shown(asked, masker) if asked else None
    row = row_of(trace, depth, server, sum(len(data) for _, data in packages), shown)
    return row, [(row["id"], name, data) for name, data in packages]


def last_words(body: object) -> str | None:
    """Return the beginning of what the user said last, a bit more than is kept: a key must not be cut before it is seen."""
    if not isinstance(body, Mapping):
        return None
    messages = body.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, Mapping) and message.get("role") == "user" and (text := _words(message.get("content"))):
            return text
    prompt = body.get("prompt")
    return _words(prompt) or None


def _words(content: object) -> str:
    if isinstance(content, list):  # the last part: coding agents put what they know of the machine before the question
        parts = [part.get("text") for part in content if isinstance(part, Mapping) and isinstance(part.get("text"), str)]
        content = next((text for text in reversed(parts) if text), None)
    return " ".join(content[: 2 * LENGTHS["asked"]].split()) if isinstance(content, str) else ""


def _without_bodies(note: Note) -> Note:
    at, station, value = note
    if station == "repairs" and isinstance(value, dict):
        entries = [_less(entry) for entry in value.get("entries", ()) if isinstance(entry, dict)]
        value = value | {"entries": entries}
    return at, station, _less(value) if isinstance(value, dict) else value


def _less(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in value.items() if name not in BODY_FIELDS}


def _fit_text(value: object, longest: int) -> str:
    """Return a text that fits: no NUL, no lone surrogate; what is no text as its text."""
    text = str(value)[:longest]
    return text if text.isprintable() else text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _fit_count(value: Any, longest: int) -> int | None:
    return int(value) if isinstance(value, int | float) and abs(value) < LARGEST else None


def _fit_number(value: Any, longest: int) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < LARGEST else None


_FITS = dict.fromkeys(COUNTS, _fit_count) | dict.fromkeys(NUMBERS, _fit_number)
_FITTING = tuple((name, _FITS.get(name, _fit_text), LENGTHS.get(name, 0)) for name in COLUMNS)
