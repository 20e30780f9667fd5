"""Answers, chunks, model lists and errors are what OpenAI's official schemas describe."""

import json
from collections.abc import Iterator

import pytest

from tests import openai_schemas
from tests.maps import ENGINES, MODEL, both_engines
from tests.served import Served, events
from tests.upstream import FakeUpstream

pytestmark = pytest.mark.usefixtures("schemas")
TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    },
}
ASK = {"messages": [{"role": "user", "content": "hi there"}]}
BODIES = (
    ASK,
    {**ASK, "n": 2},
    {**ASK, "tools": [TOOL], "tool_choice": "required"},
    {**ASK, "max_tokens": 1},
    {**ASK, "stream_options": {"include_usage": True}},
    {**ASK, "response_format": {"type": "json_object"}},
)
WHOLE = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": MODEL,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
}
CHUNKS = [
    {
        "id": "x",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    for delta, finish in (({"content": "fi"}, None), ({}, "STOP"))
]


@pytest.fixture
def schemas() -> None:
    openai_schemas.require()


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Served, FakeUpstream]]:
    with FakeUpstream() as upstream, Served(both_engines(upstream.base_url)) as served:
        yield served, upstream


@pytest.mark.parametrize("body", BODIES, ids=lambda body: ",".join(sorted(set(body) - {"messages"})) or "plain")
@pytest.mark.parametrize("model", ("mock", *(f"{engine}/{MODEL}" for engine in ENGINES)))
def test_answers_and_chunks(served: tuple[Served, FakeUpstream], body: dict, model: str) -> None:
    gateway, upstream = served
    upstream.reply_json(WHOLE)
    answer = gateway.post("/v1/chat/completions", {**body, "model": model})
    assert answer.status == 200, answer.data
    openai_schemas.check("CreateChatCompletionResponse", answer.json())
    upstream.reply_sse(CHUNKS)
    stream = events(gateway.post("/v1/chat/completions", {**body, "model": model, "stream": True}).data)
    assert len(stream) >= 2
    for chunk in stream:
        openai_schemas.check("CreateChatCompletionStreamResponse", chunk)


@pytest.mark.parametrize("stream", (False, True))
def test_completions(served: tuple[Served, FakeUpstream], stream: bool) -> None:
    gateway, _ = served
    answer = gateway.post("/v1/completions", {"model": "mock", "prompt": "def f(", "suffix": ")", "stream": stream})
    for value in events(answer.data) if stream else [answer.json()]:
        if stream:  # the schema's usage is for whole answers
            value.setdefault("usage", {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})
            for choice in value["choices"]:
                choice["finish_reason"] = choice["finish_reason"] or "stop"
        openai_schemas.check("CreateCompletionResponse", value)


def test_models(served: tuple[Served, FakeUpstream]) -> None:
    gateway, _ = served
    listed = gateway.get("/v1/models").json()
    openai_schemas.check("ListModelsResponse", listed)
    for row in listed["data"]:
        openai_schemas.check("Model", gateway.get(f"/v1/models/{row['id']}").json())


@pytest.mark.parametrize(
    ("path", "data", "status"),
    (
        ("/v1/chat/completions", b"", 400),
        ("/v1/chat/completions", b"{", 400),
        ("/v1/chat/completions", b"null", 400),
        ("/v1/chat/completions", b"[]", 400),
        ("/v1/chat/completions", b'{"model": 1}', 400),
        ("/v1/chat/completions", json.dumps({**ASK, "model": "nope"}).encode(), 404),
        ("/v1/nothing", b"{}", 404),
        ("/v1/models", b"{}", 405),
        ("/v1/completions", b'{"model":"mock"}', 400),
    ),
)
def test_errors(served: tuple[Served, FakeUpstream], path: str, data: bytes, status: int) -> None:
    answer = served[0].post(path, data)
    assert answer.status == status
    openai_schemas.check("ErrorResponse", answer.json())
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
