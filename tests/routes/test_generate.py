"""POST /api/generate: by the mock, by an upstream over both engines, and by a tiny real model."""

import json
from pathlib import Path

import pytest

from tests.answers import USAGE, chunk, completion, stream
from tests.local_gateway import local, local_data, local_folder  # noqa: F401 (fixtures)

FIXTURE = Path(__file__).resolve().parent.parent / "fixtures" / "shimmy" / "documented_vs_actual.json"
BODY = {"model": "some-model", "prompt": "Hello"}


def events(reply):
    """The events of a stream, which ends with [DONE]."""
    *found, last = reply.events
    assert last == b"[DONE]"
    return [json.loads(event) for event in found]


def test_a_whole_answer(gateway, upstream):
    upstream.reply_json(completion("Hello there"))
    reply = gateway.post("/api/generate", BODY)
    assert reply.status == 200
    assert reply.json == {
        "model": "some-model", "choices": [{"text": "Hello there", "index": 0, "finish_reason": "stop"}], "usage": USAGE,
        "response": "Hello there"}
    sent = upstream.bodies[0]
    assert sent["messages"] == [{"role": "user", "content": "Hello"}]
    assert (sent["max_tokens"], sent["temperature"]) == (100, 0.7) and not sent.get("stream")
    assert "prompt" not in sent


def test_the_described_shape(serve):
    described = json.loads(FIXTURE.read_text("utf-8"))["POST /api/generate"]
    gateway = serve({"m": {"options": {"engine": "mock"}, "models": {"string": {}}}})
    reply = gateway.post("/api/generate", described["request_documented"] | {"prompt": "Hello world", "max_tokens": 1})
    shape = described["response_documented"]
    assert shape.keys() <= reply.json.keys()
    assert shape["choices"][0].keys() == reply.json["choices"][0].keys()
    assert shape["usage"].keys() <= reply.json["usage"].keys()
    assert reply.json["choices"][0]["finish_reason"] == "length"
    *documented, _ = described["stream_documented"]
    first = events(gateway.post("/api/generate", {"model": "string", "prompt": "Hello world", "stream": True}))[0]
    assert first.keys() == json.loads(documented[0]).keys()
    assert first["choices"][0].keys() == json.loads(documented[0])["choices"][0].keys()


def test_a_stream(gateway, upstream):
    upstream.reply_sse([*stream("Hel", "lo"), {"choices": [], "usage": USAGE}])
    reply = gateway.post("/api/generate", {**BODY, "stream": True})
    assert reply.streamed and reply.headers["cache-control"] == "no-cache, no-transform"
    *texts, last = events(reply)
    assert texts == [{"choices": [{"text": text, "index": 0}]} for text in ("Hel", "lo")]
    assert last["choices"] == [{"text": "", "index": 0, "finish_reason": "stop"}]
    assert last["usage"] == USAGE
    assert upstream.bodies[0]["stream"] is True


@pytest.mark.parametrize("text", ["[DONE]", "data: [DONE]\n\n", '"}', "a\nb\r\nc\u2028d", "Grüße 🎉"])
def test_no_text_can_break_the_stream(gateway, upstream, text):
    upstream.reply_sse([*stream(text, " and on"), {"choices": [], "usage": USAGE}])
    *texts, _ = events(gateway.post("/api/generate", {**BODY, "stream": True}))
    assert "".join(event["choices"][0]["text"] for event in texts) == text + " and on"


def test_no_stream_is_the_default(gateway, upstream):
    """The earlier program streamed where nothing was said."""
    upstream.reply_json(completion())
    assert not gateway.post("/api/generate", BODY).streamed
    assert not gateway.post("/api/generate", {**BODY, "stream": None}).streamed


@pytest.mark.parametrize(("more", "sent"), [
    ({"max_tokens": 7, "temperature": 0, "top_p": 0.5}, {"max_tokens": 7, "temperature": 0, "top_p": 0.5}),
    ({"top_k": 3, "seed": 5, "stop": ["x"]}, {"top_k": 3, "seed": 5, "stop": ["x"]}),
    ({"system": "Be brief."}, {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]}),
    ({"prompt": None, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                                   {"role": "user", "content": "c"}]},
     {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]}),
])
def test_what_goes_on(client_for, upstream, more, sent):
    upstream.reply_json(completion())
    assert client_for("relay").post("/api/generate", {**BODY, **more}).status == 200
    assert {name: upstream.bodies[0].get(name) for name in sent} == sent


def test_the_length_limit_is_told(gateway, upstream):
    answer = completion()
    answer["choices"][0]["finish_reason"] = "length"
    upstream.reply_json(answer)
    assert gateway.post("/api/generate", BODY).json["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("status", "code"), [(400, "invalid_request"), (429, "generation_failed"), (500, "generation_failed")])
def test_a_refusal_keeps_its_status(gateway, upstream, streamed, status, code):
    upstream.refuse(status, {"error": {"message": "no, not so"}}, {"Retry-After": "2"} if status == 429 else {})
    reply = gateway.post("/api/generate", {**BODY, "stream": streamed})
    assert (reply.status, reply.json["error"]["code"]) == (status, code)
    assert "no, not so" in reply.json["error"]["message"]
    assert reply.headers.get("retry-after") == ("2" if status == 429 else None)


def test_a_dead_upstream_has_words(gateway, upstream):
    """The earlier program answered 502 with nothing."""
    upstream.close()
    reply = gateway.post("/api/generate", BODY)
    assert (reply.status, reply.json["error"]["code"]) == (502, "generation_failed")
    assert reply.json["error"]["details"] == "upstream_unreachable"


def test_an_error_in_the_stream_is_an_event_in_the_one_shape(gateway, upstream):
    gate = upstream.reply_sse([*stream()[:2], {"error": {"message": 'bad "luck"'}}], done=False).gate_after(2)
    connection = gateway.connect()
    connection.request("POST", "/api/generate", json.dumps({**BODY, "stream": True}))
    answer = connection.getresponse()
    assert answer.status == 200 and b"Hel" in answer.readline()
    gate.open()
    *_, error, done = answer.read().strip().split(b"\n\n")
    connection.close()
    assert done == b"data: [DONE]"
    told = json.loads(error.removeprefix(b"data: "))
    assert set(told["error"]) == {"code", "message", "details"}
    assert (told["error"]["code"], told["error"]["message"]) == ("generation_failed", 'bad "luck"')


def test_silence_is_bridged(client_for, engine, upstream):
    gate = upstream.reply_sse(stream()).gate_after(2)
    gateway = client_for(engine, GATEWAY_KEEP_ALIVE="0.05")
    connection = gateway.connect()
    connection.request("POST", "/api/generate", json.dumps({**BODY, "stream": True}))
    answer = connection.getresponse()
    lines = [answer.readline() for _ in range(2)]
    assert b"Hel" in lines[0]
    assert answer.readline() == b": keep-alive\n"
    gate.open()
    assert answer.read().endswith(b"data: [DONE]\n\n")
    connection.close()


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_that_leaves_ends_the_upstreams_work(gateway, upstream, streamed):
    answer = upstream.reply_sse(stream()) if streamed else upstream.reply_json(completion())
    gate = answer.gate_after(2) if streamed else answer.gate_after(bytes=5)
    connection = gateway.connect()
    connection.request("POST", "/api/generate", json.dumps({**BODY, "stream": streamed}))
    assert gate.wait_reached()
    connection.close()
    assert upstream.wait_closed()


@pytest.mark.parametrize(("model", "meant"), [("default", "some-model"), ("some-model", "some-model")])
def test_default_means_the_default_model(client_for, upstream, model, meant):
    upstream.reply_json(completion())
    reply = client_for("relay").post("/api/generate", {"model": model, "prompt": "x"})
    assert (reply.status, reply.json["model"], upstream.bodies[0]["model"]) == (200, meant, "some-model")


def test_default_may_be_a_models_name(client_for, upstream):
    upstream.reply_json(completion())
    reply = client_for("relay", models={"first": {}, "default": {}}).post("/api/generate", {"model": "default", "prompt": "x"})
    assert (reply.json["model"], upstream.bodies[0]["model"]) == ("default", "default")


def test_two_answers(client_for, upstream):
    second = {**chunk("length", content="b")["choices"][0], "index": 1}
    upstream.reply_sse([chunk(content="a"), {**chunk(), "choices": [second]}, chunk("stop")])
    found = events(client_for("relay").post("/api/generate", {**BODY, "n": 2, "stream": True}))
    assert [choice["index"] for event in found[:-1] for choice in event["choices"]] == [0, 1]
    assert [choice["finish_reason"] for choice in found[-1]["choices"]] == ["stop", "length"]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_model_on_this_machine(local, streamed):  # noqa: F811
    reply = local().post("/api/generate", {"model": "tiny", "prompt": "Hello", "stream": streamed})
    assert reply.status == 200, reply.raw
    if streamed:
        *texts, last = events(reply)
        text, usage = "".join(event["choices"][0]["text"] for event in texts), last["usage"]
        assert last["choices"][0]["finish_reason"] == "stop"
    else:
        text, usage = reply.json["response"], reply.json["usage"]
    assert "tiny test model" in text
    assert usage["completion_tokens"] > 5 and usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_the_limit_of_a_model_on_this_machine(local):  # noqa: F811
    reply = local().post("/api/generate", {"model": "loop", "prompt": "Count", "max_tokens": 5})
    assert reply.json["choices"] == [{"text": reply.json["response"], "index": 0, "finish_reason": "length"}]
    assert reply.json["response"].split() == ["one", "two", "three", "four", "five"]
