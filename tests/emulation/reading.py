"""Runs the readers of text dialects: in one piece, in given pieces, and what became of it."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from app.emulation.events import Call, End, Event, Reasoning, Text
from app.emulation.harmony_simple_text import SimpleReader
from app.emulation.harmony_text import HarmonyReader

Reader = HarmonyReader | SimpleReader
VECTORS = json.loads((Path(__file__).parent.parent / "fixtures" / "harmony" / "parse_vectors.json").read_text("utf-8"))


class Read(NamedTuple):
    """An answer as a client sees it: texts joined, calls as (name, arguments)."""

    content: str
    reasoning: str
    calls: list[tuple[str, Any]]
    finish: str


def events_of(reader: Reader, pieces: Iterable[str], finish: str | None = None) -> list[Event]:
    """Read an answer in pieces; texts that follow each other are joined."""
    found: list[Event] = [event for piece in pieces for event in reader.feed(piece)]
    found += reader.end(finish)
    joined: list[Event] = []
    for event in found:
        last = joined[-1] if joined else None
        if isinstance(event, Text | Reasoning) and type(event) is type(last):
            joined[-1] = type(event)(last.text + event.text)
        else:
            joined.append(event)
    return joined


def read(reader: Reader, pieces: Iterable[str], finish: str | None = None) -> Read:
    """Read an answer in pieces."""
    return fold(events_of(reader, pieces, finish))


def fold(events: Sequence[Event]) -> Read:
    assert [isinstance(event, End) for event in events] == [False] * (len(events) - 1) + [True]
    return Read(
        "".join(event.text for event in events if isinstance(event, Text)),
        "".join(event.text for event in events if isinstance(event, Reasoning)),
        [(event.name, event.arguments) for event in events if isinstance(event, Call)],
        events[-1].finish,
    )


def expected(vector: dict) -> Read:
    """What a vector asks for; null and empty are the same here."""
    wanted = vector["gateway_expect"]
    calls = [(call["name"], call["arguments"]) for call in wanted["tool_calls"]]
    return Read(wanted["content"] or "", wanted["reasoning_content"] or "", calls, wanted["finish_reason"])


def cuts(text: str) -> Iterable[list[str]]:
    """Yield `text` whole, character by character, and cut in two at every place."""
    yield [text]
    yield list(text)
    for at in range(1, len(text)):
        yield [text[:at], text[at:]]


def at(text: str, places: Iterable[int]) -> list[str]:
    """Cut `text` at some places."""
    bounds = sorted({min(place, len(text)) for place in places} | {0, len(text)})
    return [text[low:high] for low, high in zip(bounds, bounds[1:], strict=False)] or [text]
