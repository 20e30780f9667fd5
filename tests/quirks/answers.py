"""Answers as upstreams give them, and both ways of having them repaired, for tests of the answer side."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from app.quirks.answer import repair, repair_stream
from app.quirks.report import Report

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
BODY = {
    "messages": [{"role": "user", "content": "Hello"}],
    "tools": [{"type": "function", "function": {"name": name}} for name in ("read", "write")],
    "stream_options": {"include_usage": True},
}


@dataclass
class FakeTarget:
    """Only what a repair reads."""

    model: str = "m"
    base_url: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    limit: dict[str, Any] = field(default_factory=dict)


@dataclass
class FakeCall:
    """Only what a repair reads: whether the upstream said [DONE]."""

    saw_done: bool = True


def delta(index: int = 0, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a chunk with one choice."""
    return {**HEAD, "choices": [{"index": index, "delta": fields, "finish_reason": finish}]}


def tool(name: str = "read", arguments: Any = '{"path":"a"}', id: Any = "call_a", **more: Any) -> dict[str, Any]:
    """Return a tool call of a message, or a whole one of a delta."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def whole(finish: str | None = "stop", usage: Any = USAGE, **message: Any) -> dict[str, Any]:
    """Return a whole answer with one choice."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {**HEAD, "object": "chat.completion", "choices": [choice], "usage": usage}


def run_stream(
    chunks: list[Any],
    *,
    done: bool = True,
    body: dict | None = None,
    report: Report | None = None,
    target: FakeTarget | None = None,
    **how: Any,
) -> list[dict[str, Any]]:
    """Return the chunks that a stream of `chunks`, one per read, becomes."""
    batches = ([chunk] for chunk in deepcopy(chunks))
    call = FakeCall(done)
    stream = repair_stream(batches, body or BODY, target or FakeTarget(), report or Report(), call, **how)
    return [chunk for batch in stream for chunk in batch]


def run_whole(
    answer: Any, *, body: dict | None = None, report: Report | None = None, target: FakeTarget | None = None, **how: Any
) -> dict[str, Any]:
    """Return what a whole answer becomes."""
    return repair(deepcopy(answer), body or BODY, target or FakeTarget(), report or Report(), **how)


def deltas(chunks: list[dict[str, Any]], index: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the deltas of one choice."""
    for chunk in chunks:
        for choice in chunk["choices"]:
            if choice["index"] == index:
                yield choice["delta"]


def text(chunks: list[dict[str, Any]], name: str = "content", index: int = 0) -> str:
    """Join a text of all deltas."""
    return "".join(found.get(name) or "" for found in deltas(chunks, index))


def calls(chunks: list[dict[str, Any]], index: int = 0) -> list[dict[str, Any]]:
    """List the tool calls of one choice."""
    return [call for found in deltas(chunks, index) for call in found.get("tool_calls") or ()]


def finishes(chunks: list[dict[str, Any]]) -> list[str]:
    """List all finish reasons."""
    return [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
