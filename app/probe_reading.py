"""What the chunks of an upstream's answer show about its habits; pure, and knows no upstream by name."""

from collections.abc import Iterator
from typing import Any

LEGAL_FINISH = ("stop", "length", "tool_calls", "content_filter", "function_call")
TAGS = ("<thought>", "<think>", "<thinking>")


def messages_in(chunks: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield each delta, or each message of a whole answer."""
    for choice in choices_in(chunks):
        message = choice.get("delta") or choice.get("message")
        if isinstance(message, dict):
            yield message


def choices_in(chunks: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield the choices of all chunks."""
    for chunk in chunks:
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        yield from (choice for choice in choices or () if isinstance(choice, dict))


def text_of(chunks: list[Any]) -> str:
    """Return the text of an answer."""
    return "".join(m["content"] for m in messages_in(chunks) if isinstance(m.get("content"), str))


def reasoning_field(chunks: list[Any]) -> str | None:
    """Name the field that carries reasoning, or the tag that stands for it in the text."""
    for message in messages_in(chunks):
        for name in ("reasoning_content", "reasoning", "reasoning_details"):
            if message.get(name):
                return name
    text = text_of(chunks)
    return next((tag for tag in TAGS if tag in text), None)


def is_whole(chunks: list[Any]) -> bool:
    """Tell whether an answer to `stream: true` came as one JSON document and not as events."""
    return len(chunks) == 1 and any("message" in choice for choice in choices_in(chunks))


def usages_in(chunks: list[Any]) -> list[dict[str, Any]]:
    """List the chunks that carry usage."""
    return [chunk for chunk in chunks if isinstance(chunk, dict) and isinstance(chunk.get("usage"), dict)]


def usage_place(chunks: list[Any]) -> str:
    """Say where a stream carries its usage."""
    carrying = usages_in(chunks)
    if not carrying:
        return "none"
    if len(carrying) > 1:
        return "every chunk" if len(carrying) == len(chunks) else "several chunks"
    if "choices" not in carrying[0]:
        return "own chunk without choices"
    return "last content chunk" if carrying[0]["choices"] else "own chunk"


def hidden_tokens(chunks: list[Any]) -> int | None:
    """Return how many tokens the total has beyond prompt and completion; None without usage."""
    carrying = usages_in(chunks)
    if not carrying:
        return None
    usage = carrying[-1]["usage"]
    total, prompt, completion = (usage.get(f"{name}_tokens") or 0 for name in ("total", "prompt", "completion"))
    return max(0, total - prompt - completion)


def finish_reasons(chunks: list[Any]) -> list[str]:
    """List the finish reasons in order."""
    return [str(choice["finish_reason"]) for choice in choices_in(chunks) if choice.get("finish_reason")]


def call_deltas(chunks: list[Any]) -> list[dict[str, Any]]:
    """List the deltas of tool calls."""
    found = (message.get("tool_calls") for message in messages_in(chunks))
    return [call for calls in found if isinstance(calls, list) for call in calls if isinstance(call, dict)]


def call_starts(chunks: list[Any]) -> list[dict[str, Any]]:
    """List those deltas with which a call begins: they carry a name."""
    named = [call for call in call_deltas(chunks) if (call.get("function") or {}).get("name")]
    seen: list[dict[str, Any]] = []
    for call in named:
        again = call.get("id") and any(call["id"] == known.get("id") for known in seen)
        if not (again and call.get("index") == seen[-1].get("index")):
            seen.append(call)
    return seen


def index_habit(chunks: list[Any]) -> str:
    """Say how tool calls are numbered: good, missing, all 0, odd."""
    starts = call_starts(chunks)
    numbers = [call.get("index") for call in starts]
    if any(number is None for number in numbers):
        return "missing"
    if len(numbers) > 1 and set(numbers) == {0}:
        return "all 0"
    return "good" if numbers == list(range(len(numbers))) else "odd"


def id_habit(chunks: list[Any]) -> str:
    """Say what the ids of tool calls are: good, missing, empty, repeated."""
    ids = [call.get("id") for call in call_starts(chunks)]
    if any(found is None for found in ids):
        return "missing"
    if "" in ids:
        return "empty"
    return "good" if len(set(ids)) == len(ids) else "repeated"


def cut_habit(chunks: list[Any]) -> str:
    """Say whether a call's arguments come whole or in pieces."""
    return "whole calls" if len(call_deltas(chunks)) == len(call_starts(chunks)) else "in pieces"
