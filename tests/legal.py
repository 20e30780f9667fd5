"""Reads an answer of the gateway, whole or streamed, and asserts on the way that it is one that every client takes.

Whatever an upstream did: one legal finish_reason per choice, unique tool ids, one whole call per chunk, indices 0..n,
usage once and only if asked for, errors in OpenAI's shape without a program's innards, [DONE] at the end.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests import openai_schemas
from tests.scenarios import LEGAL_FINISH, RETRY_DIGITS

INNARDS = re.compile(r"Traceback|litellm|\{'|\['|<class |Error code:|Exception\b|object has no attribute|/app/", re.I)
BUG = "The gateway failed on this request"


@dataclass
class Choice:
    """What one choice says. `calls` are (name, arguments as a value) in order."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    finish: str | None = None
    refusal: str = ""
    message: dict[str, Any] = field(default_factory=dict)  # all deltas merged, or the message


@dataclass
class Answer:
    """One answer. `error` without `choices`: refused with `status`; with a streamed 200: an event at the end."""

    status: int
    headers: Mapping[str, str]
    choices: dict[int, Choice] = field(default_factory=dict)
    usage: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    @property
    def repairs(self) -> dict[str, int]:
        """Rule id -> count, as the header X-Gateway-Repairs tells."""
        pairs = (pair.split("=") for pair in self.headers.get("X-Gateway-Repairs", "").split(",") if pair)
        return {rule: int(count) for rule, count in pairs}


def _check_schema(name: str, value: Any) -> None:
    if openai_schemas.FOLDER.is_dir():
        openai_schemas.check(name, value)


def read(response: Any, streamed: bool, usage_asked: bool = True, functions: bool = False) -> Answer:
    """Return the answer in a urllib3 response; AssertionError when it is not legal."""
    kind = response.headers["Content-Type"]
    if response.status != 200:
        assert kind == "application/json", kind
        answer = Answer(response.status, response.headers, error=_error(json.loads(response.data)))
        if 400 <= response.status < 500 and response.status != 429:
            assert not RETRY_DIGITS.search(response.data.decode()), response.data
        return answer
    if streamed:
        assert kind == "text/event-stream; charset=utf-8", kind
        return _read_stream(response, usage_asked, functions)
    assert kind == "application/json", kind
    return _read_whole(response, functions)


def _error(body: Any) -> dict[str, Any]:
    assert set(body) == {"error"}, body
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}, error
    assert isinstance(error["message"], str) and error["message"].strip(), error
    assert isinstance(error["type"], str) and error["type"] and isinstance(error["code"], str | None), error
    assert not INNARDS.search(error["message"]), error["message"]
    assert BUG not in error["message"], error
    _check_schema("ErrorResponse", body)
    return dict(error)


def _read_whole(response: Any, functions: bool) -> Answer:
    body = json.loads(response.data)
    _check_schema("CreateChatCompletionResponse", body)
    answer = Answer(200, response.headers, usage=_checked_usage(body["usage"]))
    assert body["choices"]
    for position, choice in enumerate(body["choices"]):
        assert choice["index"] == position
        message = choice["message"]
        assert message["role"] == "assistant"
        read = answer.choices[position] = Choice(
            message["content"] or "", message.get("reasoning_content") or "", finish=choice["finish_reason"],
            refusal=message.get("refusal") or "", message=message,
        )  # fmt: skip
        assert message.get("tool_calls") != []
        for call in message.get("tool_calls") or ():
            assert "index" not in call
            _take_call(read, call)
        _check_choice(read, functions)
    return answer


def _read_stream(response: Any, usage_asked: bool, functions: bool) -> Answer:
    assert response.data.endswith(b"data: [DONE]\n\n"), response.data[-200:]
    blocks = [block for block in response.data.split(b"\n\n") if block and not block.startswith(b":")]
    assert all(block.startswith(b"data: ") and b"\n" not in block and b"\r" not in block for block in blocks)
    *payloads, last = [block[6:] for block in blocks]
    assert last == b"[DONE]" and b"[DONE]" not in payloads
    answer = Answer(200, response.headers)
    parsed = {payload: json.loads(payload) for payload in payloads}
    for payload in parsed:
        if "error" not in parsed[payload]:
            _check_schema("CreateChatCompletionStreamResponse", parsed[payload])
    heads = set()
    for position, payload in enumerate(payloads):
        chunk = parsed[payload]
        if "error" in chunk:
            assert position == len(payloads) - 1
            answer.error = _error(chunk)
            break
        assert answer.usage is None, "something follows usage"
        heads.add((chunk["id"], chunk["object"], chunk["created"], chunk["model"]))
        if chunk.get("usage") is not None:
            assert usage_asked and chunk["choices"] == [], chunk
            answer.usage = _checked_usage(chunk["usage"])
        else:
            assert len(chunk["choices"]) == 1, chunk
            _take_delta(answer, chunk["choices"][0])
    assert len(heads) <= 1, heads
    if answer.error is None:
        assert answer.choices and sorted(answer.choices) == list(range(len(answer.choices)))
        assert (answer.usage is not None) == usage_asked
        for read in answer.choices.values():
            _check_choice(read, functions)
    return answer


def _take_delta(answer: Answer, choice: dict[str, Any]) -> None:
    delta = choice["delta"]
    if choice["index"] not in answer.choices:
        assert delta.get("role") == "assistant", "the first delta of a choice carries the role"
        answer.choices[choice["index"]] = Choice()
    else:
        assert "role" not in delta, "the role leaves once"
    read = answer.choices[choice["index"]]
    assert read.finish is None, "something follows the finish reason"
    read.text += delta.get("content") or ""
    read.reasoning += delta.get("reasoning_content") or ""
    read.refusal += delta.get("refusal") or ""
    read.finish = choice["finish_reason"]
    known = ("role", "content", "reasoning_content", "refusal", "tool_calls")
    for name in set(delta) - set(known):
        old, new = read.message.get(name), delta[name]
        read.message[name] = old + new if isinstance(old, str | list) and type(old) is type(new) else new
    calls = delta.get("tool_calls")
    if calls is not None:
        assert len(calls) == 1, "one call per chunk"
        assert calls[0]["index"] == len(read.calls), "indices 0..n, each once"
        _take_call(read, calls[0])


def _take_call(read: Choice, call: dict[str, Any]) -> None:
    assert isinstance(call["id"], str) and 0 < len(call["id"]) <= 64, call
    assert call["id"] not in read.ids, call
    assert call["type"] in ("function", "custom"), call
    called = call[call["type"]]
    assert isinstance(called["name"], str) and called["name"], call
    value = called["input"] if call["type"] == "custom" else json.loads(called["arguments"])
    read.ids.append(call["id"])
    read.calls.append((called["name"], value))


def _check_choice(read: Choice, functions: bool) -> None:
    assert read.finish in (*LEGAL_FINISH, *(["function_call"] if functions else [])), read
    if read.calls:
        assert read.finish in ("tool_calls", "length"), read
    else:
        assert read.finish != "tool_calls", read


def _checked_usage(usage: dict[str, Any]) -> dict[str, Any]:
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert type(usage[name]) is int and usage[name] >= 0, usage
    return usage
