"""A stored request as rows of the database: its summary in one flat row, its parts in packages.

Every text in it is masked, short enough for its column, and one that any database takes.
"""

from typing import Any

from app.trace_events import exact_chunks
from app.trace_packing import CHUNKS, NOTES, Packer, pack_chunks
from app.trace_record import LONGEST_ASKED, Record, last_words
from app.utils.masked_json import dump
from app.utils.masking import Masker

LENGTHS = {"id": 64, "server": 64, "session": 200, "client": 200, "user_agent": 300, "method": 16, "path": 500,
           "model": 200, "target": 300, "engine": 64, "error": 1000, "finish_reason": 64, "repairs": 4000, "depth": 16,
           "asked": LONGEST_ASKED, "timings": 400}  # fmt: skip
COUNTS = ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "raw_chunks", "emitted_chunks",
          "dropped_events", "status", "stream", "size")  # fmt: skip
NUMBERS = ("started", "updated", "cost", "ttft", "duration")
COLUMNS = ("id", "started", "updated", "server", "session", "client", "user_agent", "method", "path", "model", "target",
           "engine", "stream", "status", "error", "finish_reason", "prompt_tokens", "completion_tokens",
           "reasoning_tokens", "cached_tokens", "cost", "ttft", "duration", "raw_chunks", "emitted_chunks",
           "dropped_events", "repairs", "depth", "size", "asked", "timings")  # fmt: skip
LARGEST = 2**62

Row = dict[str, Any]
Part = tuple[str, str, bytes]  # trace_id, part, data


def rows_of(record: Record, server: str, packer: Packer, masker: Masker) -> tuple[Row, list[Part]]:
    """Return the row of a request, COLUMNS in their order, and its parts; of one that runs, those that its record holds."""
    facts = record.summary | {"server": server, "stream": 1 if record.summary.get("stream") else 0}
    packages = []
    if record.over:
        facts["timings"] = dump(record.timings).decode()
        asked = next((last_words(value) for _, station, value in record.notes if station == "client_request"), None)
        facts["asked"] = packer.shown(asked, masker) if asked else None
    if record.over or record.notes:
        packages.append((NOTES, packer.pack_notes(record.notes, masker)))
    if record.raw or record.emitted:
        packages.append((CHUNKS, pack_chunks(*exact_chunks(masker, record.raw, record.emitted))))
    facts["size"] = sum(len(data) for _, data in packages)
    row = {name: None if (value := facts.get(name)) is None else fit(value, longest) for name, fit, longest in _FITTING}
    return row, [(str(row["id"]), name, data) for name, data in packages]


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
