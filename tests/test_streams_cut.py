"""A stream cut at every byte at the upstream comes out the same, from both engines."""

from collections.abc import Iterator

import pytest

from tests.maps import ENGINES, MODEL, both_engines
from tests.served import Served
from tests.upstream import FakeUpstream

HEAD = {"id": "chatcmpl-abc", "object": "chat.completion.chunk", "created": 7, "model": MODEL}


def chunk(delta: dict, finish: str | None = None) -> dict:
    return {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "write", "arguments": '{"a": "é"}'}}
STREAM = [
    chunk({"role": "assistant", "content": "héllo "}),
    chunk({"content": "a\u2028b 끝 🙂"}),
    chunk({"reasoning_content": "hm"}),
    chunk({"tool_calls": [CALL]}),
    chunk({}, "tool_calls"),
    {**HEAD, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
]
BODY = {"stream": True, "stream_options": {"include_usage": True}, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Served, FakeUpstream]]:
    with FakeUpstream() as upstream, Served(both_engines(upstream.base_url)) as served:
        yield served, upstream


def ask(served: Served, engine: str) -> bytes:
    return served.post("/v1/chat/completions", {**BODY, "model": f"{engine}/{MODEL}"}).data


@pytest.mark.parametrize("newline", ("\n", "\r\n"))
def test_cut_anywhere(served: tuple[Served, FakeUpstream], newline: str) -> None:
    gateway, upstream = served
    answer = upstream.reply_sse(STREAM, newline=newline)
    size = sum(len(step) for step in answer.steps() if isinstance(step, bytes))
    wanted = {engine: ask(gateway, engine) for engine in ENGINES}
    assert wanted["relay"].replace(b"relay/", b"") == wanted["litellm"].replace(b"litellm/", b"")
    assert wanted["relay"].endswith(b"data: [DONE]\n\n") and "끝 🙂".encode() in wanted["relay"]
    for offset in range(1, size):
        upstream.reply_sse(STREAM, newline=newline, pieces=[offset])
        engine = ENGINES[offset % 2]
        assert ask(gateway, engine) == wanted[engine], f"cut at {offset}"


@pytest.mark.parametrize("engine", ENGINES)
def test_one_byte_at_a_time(served: tuple[Served, FakeUpstream], engine: str) -> None:
    gateway, upstream = served
    upstream.reply_sse(STREAM)
    wanted = ask(gateway, engine)
    upstream.reply_sse(STREAM, pieces=1)
    assert ask(gateway, engine) == wanted
