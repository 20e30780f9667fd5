"""Captures made by hand, and captures of what a gateway really did, for the tests of replaying."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.capture import Capture, save_capture, write_capture

WRITE = {"type": "function", "function": {"name": "write", "parameters": {"type": "object"}}}
SYSTEM = {"role": "system", "content": "You are an agent. Working directory: /old/project\nToday's date: Mon Jan 5 2026"}


def chunk(delta: Mapping[str, Any], finish: str | None = None, **top: Any) -> dict[str, Any]:
    """A chunk of OpenAI's dialect."""
    choice = {"index": 0, "delta": dict(delta), "finish_reason": finish}
    return {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 7, "model": "up", "choices": [choice], **top}


def says(*texts: str) -> list[dict[str, Any]]:
    """The chunks of a sound answer."""
    head = chunk({"role": "assistant", "content": ""})
    return [head, *(chunk({"content": text}) for text in texts), chunk({}, "stop")]


def calls(name: str, **arguments: Any) -> list[dict[str, Any]]:
    """The chunks of a call as Gemini's relay sends it: in one piece, without index and id, and with a finish of its own."""
    call = {"function": {"name": name, "arguments": json.dumps(arguments)}}
    return [chunk({"role": "assistant", "tool_calls": [call]}, "STOP")]


def asks(*messages: Mapping[str, Any] | str, tools: bool = True, **fields: Any) -> dict[str, Any]:
    """A request; a text is a user's."""
    said = [{"role": "user", "content": each} if isinstance(each, str) else dict(each) for each in messages]
    body = {"model": "agent-model", "stream": True, "messages": [SYSTEM, *said], **fields}
    return {**body, "tools": [WRITE]} if tools else body


def called(name: str, identifier: str = "call_1", **arguments: Any) -> dict[str, Any]:
    """An assistant's message with a call."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": identifier, "type": "function", "function": function}]}


def result(text: str, identifier: str = "call_1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identifier, "content": text}


def note(at: float, station: str, value: Any) -> dict[str, Any]:
    return {"at": at, "station": station, "value": value}


def raw_events(chunks: Sequence[Any], start: float = 0.1, step: float = 0.01, done: bool = True) -> list[dict[str, Any]]:
    """One read for each chunk; a list among them is one read."""
    reads = [each if isinstance(each, list) else [each] for each in chunks] + ([["[DONE]"]] if done else [])
    texts = [[each if isinstance(each, str) else json.dumps(each) for each in read] for read in reads]
    return [{"at": round(start + step * at, 6), "station": "raw", "data": data} for at, data in enumerate(texts)]


def emitted_events(events: Sequence[str], start: float = 0.1, step: float = 0.01) -> list[dict[str, Any]]:
    texts = [f"data: {event}\n\n" for event in events]
    return [{"at": round(start + step * at, 6), "station": "emitted", "text": text} for at, text in enumerate(texts)]


def target(**fields: Any) -> dict[str, Any]:
    """What is noted of a target."""
    known = {"requested": "agent-model", "provider_id": "relay", "model_key": "agent-model", "model": "gemini-2.5-flash"}
    more = {"engine_name": "litellm", "base_url": "http://up.example/v1", "openai_dialect": True, "options": {}, "limit": {}}
    return {**known, **more, **fields}


def capture(body: Any, *events: Mapping[str, Any], resolved: Any = None, **summary: Any) -> Capture:
    """The capture of one request; `events` come after it was sent."""
    head = {"id": "req_000000000000000000000001", "path": "/v1/chat/completions", "method": "POST", "status": 200}
    head |= {"started": 1.0, "duration": 1.0, "stream": bool(isinstance(body, dict) and body.get("stream"))}
    begin = [note(0.0, "client_request", body), note(0.001, "resolved", resolved or target())]
    begin.append(note(0.05, "upstream_request", body))
    return Capture({**head, **summary}, [*begin, *map(dict, events)])


def save(made: Capture, path: Path) -> Path:
    save_capture(path, write_capture(made.summary, made.events))
    return path
