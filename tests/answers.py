"""Answers of an OpenAI-compatible upstream, in good shape, for tests that need any."""

from typing import Any

HEAD = {"id": "chatcmpl-up1", "created": 1_700_000_000, "model": "upstream-name"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
HTML = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"


def completion(text: str = "Hello!", **message: Any) -> dict[str, Any]:
    """A whole answer that says `text`."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    return {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """One chunk of a stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}


def stream(*words: str) -> list[dict[str, Any]]:
    """A stream that says `words`, one chunk each, then stops."""
    first = chunk(role="assistant", content="")
    return [first, *(chunk(content=word) for word in words or ("Hel", "lo!")), chunk("stop")]


def tool_call(name: str = "read", arguments: str = '{"path":"a.py"}', identifier: str = "call_1") -> dict[str, Any]:
    """A tool call as it stands in a message."""
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


def tool(name: str = "read") -> dict[str, Any]:
    """A tool as a client describes it."""
    parameters = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    return {"type": "function", "function": {"name": name, "description": "Read a file.", "parameters": parameters}}
