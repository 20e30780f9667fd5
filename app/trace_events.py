"""The events of one request as a capture file has them: exact texts with their times, merged in order. Pure."""

import heapq
from collections.abc import Iterable, Iterator
from typing import Any

from app.capture import as_text
from app.trace_bodies import Note
from app.utils.exact_masking import mask_payloads, mask_writes
from app.utils.masking import Masker

Reads = list[tuple[float, list[str]]]  # seconds, the exact data of the events of one read
Writes = list[tuple[float, str]]  # seconds, the exact text of one write


def exact_chunks(
    masker: Masker, raw: list[tuple[float, list[bytes]]], emitted: list[tuple[float, bytes]]
) -> tuple[Reads, Writes]:
    """Return what was read and what was written as exact texts, their keys hidden."""
    payloads = iter(mask_payloads(masker, [as_text(payload) for _, batch in raw for payload in batch]))
    reads = [(at, [next(payloads) for _ in batch]) for at, batch in raw]
    writes = mask_writes(masker, [as_text(data) for _, data in emitted])
    return reads, [(at, text) for (at, _), text in zip(emitted, writes, strict=True)]


def in_order(notes: Iterable[Note], reads: Reads, writes: Writes) -> Iterator[dict[str, Any]]:
    """Yield the events of a capture file in time order; at the same time notes come first, then reads, then writes."""
    return heapq.merge(
        sorted(({"at": round(at, 6), "station": station, "value": value} for at, station, value in notes), key=_at),
        ({"at": round(at, 6), "station": "raw", "data": data} for at, data in reads),
        ({"at": round(at, 6), "station": "emitted", "text": text} for at, text in writes),
        key=_at,
    )


def _at(event: dict[str, Any]) -> float:
    return float(event["at"])
