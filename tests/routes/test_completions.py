"""POST /v1/completions over both engines: asked as a chat, answered as text."""

import json

import pytest

from app.utils.legacy_completion import FILL_INSTRUCTION, INSTRUCTION
from tests.answers import USAGE, completion, stream

BODY = {"model": "some-model", "prompt": "def add(a, b):\n    return"}


@pytest.mark.parametrize("path", ["/v1/completions", "/completions"])
def test_a_whole_answer(gateway, upstream, path):
    upstream.reply_json(completion(" a + b"))
    reply = gateway.post(path, {**BODY, "max_tokens": 50, "stop": ["\n\n"]})
    assert reply.status == 200
    answer = reply.json
    assert answer["object"] == "text_completion" and answer["model"] == "some-model" and answer["id"].startswith("cmpl-")
    assert answer["choices"] == [{"text": " a + b", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert answer["usage"]["total_tokens"] == 5
    sent = upstream.bodies[0]
    assert (sent["max_tokens"], sent["stop"]) == (50, ["\n\n"]) and "prompt" not in sent
    assert sent["messages"] == [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": BODY["prompt"]}]


def test_a_stream(gateway, upstream):
    upstream.reply_sse([*stream(" a", " + b"), {"choices": [], "usage": USAGE}])
    reply = gateway.post("/v1/completions", {**BODY, "stream": True, "stream_options": {"include_usage": True}})
    *texts, usage = [json.loads(event) for event in reply.events[:-1]]
    assert reply.events[-1] == b"[DONE]"
    assert "".join(choice["text"] for part in texts for choice in part["choices"]) == " a + b"
    assert [choice["finish_reason"] for part in texts for choice in part["choices"]][-1] == "stop"
    assert usage["usage"]["total_tokens"] == 5
    assert {part["object"] for part in (*texts, usage)} == {"text_completion"}
    assert {part["model"] for part in (*texts, usage)} == {"some-model"}


def test_a_suffix_asks_to_fill_in(gateway, upstream):
    upstream.reply_json(completion(" a + b"))
    gateway.post("/v1/completions", {**BODY, "suffix": "\n\nprint(add(1, 2))"})
    system, user = upstream.bodies[0]["messages"]
    assert system["content"] == FILL_INSTRUCTION
    assert user["content"] == BODY["prompt"] + "<CURSOR>\n\nprint(add(1, 2))"


@pytest.mark.parametrize(("body", "param"), [
    ({"model": "some-model"}, "prompt"), ({**BODY, "prompt": [1, 2]}, "prompt"), ({**BODY, "prompt": ["a", "b"]}, "prompt"),
    ({**BODY, "logprobs": 2}, "logprobs"), ({**BODY, "model": 5}, "model")])
def test_bad_requests(gateway, upstream, body, param):
    reply = gateway.post("/v1/completions", body)
    assert (reply.status, reply.error["param"]) == (400, param)
    assert upstream.requests == []


@pytest.mark.parametrize("missing", [{}, {"model": None}, {"model": ""}])
def test_a_missing_model_is_the_default_one(gateway, upstream, missing):
    upstream.reply_json(completion(" a + b"))
    reply = gateway.post("/v1/completions", {"prompt": "def add(a, b):\n    return", **missing})
    assert (reply.status, reply.json["model"]) == (200, "some-model")
    assert upstream.bodies[0]["model"] == "some-model"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_refusal_keeps_its_status(gateway, upstream, streamed):
    upstream.refuse(429, {"error": {"message": "slow down"}}, {"Retry-After": "2"})
    reply = gateway.post("/v1/completions", {**BODY, "stream": streamed})
    assert (reply.status, reply.headers["retry-after"]) == (429, "2")
