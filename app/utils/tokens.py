"""Token counts by length, 1 token = 4 characters; knows the shapes of OpenAI messages, no tokenizer and no model."""

import json
from collections.abc import Iterator
from typing import Any

import orjson

CHARACTERS_PER_TOKEN = 4


def count_text(text: str) -> int:
    """Count the tokens of a text: a quarter of its characters, rounded down (`Hello!` -> 1)."""
    return len(text) // CHARACTERS_PER_TOKEN


def count_message(message: dict[str, Any]) -> int:
    """Count the tokens of one message or answer: its texts, and names and arguments of its tool calls."""
    return sum(map(len, message_texts(message))) // CHARACTERS_PER_TOKEN


def count_request(body: dict[str, Any]) -> int:
    """Count the prompt tokens of a chat request: characters are added up first, then divided once.

    Tool definitions count as their JSON text, because models are billed for them and agents watch the sum to know
    when to compact. Images, audio and files count nothing: their length in base64 says nothing about tokens.
    """
    messages = body.get("messages") or ()
    characters = sum(len(text) for message in messages if isinstance(message, dict) for text in message_texts(message))
    for definitions in (body.get("tools"), body.get("functions")):
        characters += len(as_text(definitions)) if definitions else 0
    return characters // CHARACTERS_PER_TOKEN


def usage(prompt_tokens: int, completion_tokens: int, reasoning_tokens: int = 0) -> dict[str, Any]:
    """Return OpenAI's usage object; `completion_tokens` includes `reasoning_tokens`."""
    counts: dict[str, Any] = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    if reasoning_tokens:
        counts["completion_tokens_details"] = {"reasoning_tokens": reasoning_tokens}
    return counts


def message_texts(message: dict[str, Any]) -> Iterator[str]:
    """Yield the texts that count in one message, whatever of its fields is missing, null or of another type."""
    yield from content_texts(message.get("content"))
    for name in ("reasoning_content", "refusal"):
        if isinstance(message.get(name), str):
            yield message[name]
    calls = message.get("tool_calls")
    for call in (*(calls if isinstance(calls, list) else ()), {"function": message.get("function_call")}):
        if isinstance(call, dict):
            yield from call_texts(call)


def content_texts(content: object) -> Iterator[str]:
    """Yield the texts of a message's content: a string, or a list of parts."""
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) else ():
        text = part.get("text", part.get("refusal")) if isinstance(part, dict) else part
        if isinstance(text, str):
            yield text


def call_texts(call: dict[str, Any]) -> Iterator[str]:
    """Yield name and arguments of a tool call; some clients send arguments as an object, it counts as its JSON."""
    for kind in ("function", "custom"):
        called = call.get(kind)
        for value in (
            (called.get("name"), called.get("arguments", called.get("input"))) if isinstance(called, dict) else ()
        ):
            if value is not None:
                yield as_text(value)


def as_text(value: object) -> str:
    """Return a string as it is, anything else as compact JSON."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # lone surrogates and numbers over 64 bits are legal JSON, orjson refuses them
        return json.dumps(value, separators=(",", ":"))
