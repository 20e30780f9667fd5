"""The fake ChatJimmy answers as the recorded one did, and finds fault with what the web page would not send."""

import http.client
import json

import pytest

from tests.upstream_answers import bytes_answer
from tests.upstream_jimmy import FIXTURES, FakeJimmy, fixture, shape_faults, stats, text_answer


@pytest.fixture
def jimmy():
    with FakeJimmy() as fake:
        yield fake


def request(jimmy, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", jimmy.port, timeout=10)
    try:
        connection.request(method, path, body if body is None or isinstance(body, str) else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def body(text="hi", **fields):
    return {**fixture("request_basic.json"), "messages": [{"role": "user", "content": text}], **fields}


def test_what_can_be_read(jimmy):
    assert json.loads(request(jimmy, "GET", "/api/models")[2]) == fixture("models.json")
    assert json.loads(request(jimmy, "GET", "/api/health")[2]) == fixture("health.json")
    assert request(jimmy, "GET", "/api/chat")[0] == 405
    status, headers, _ = request(jimmy, "POST", "/api/chat/", body())
    assert (status, headers["Location"]) == (308, "/api/chat")
    assert request(jimmy, "POST", "/elsewhere", body())[0] == 404


@pytest.mark.parametrize(("sent", "number"), [
    ({"messages": [{"role": "user", "content": "hi"}]}, 0),
    (body(chatOptions={"selectedModel": ""}), 0),
    ("notjson", 1),
    (body(messages=[]), 2),
])
def test_the_recorded_refusals(jimmy, sent, number):
    status, _, said = request(jimmy, "POST", "/api/chat", sent)
    wanted = fixture("errors.json")[number]
    assert (status, json.loads(said)) == (wanted["status"], wanted["body"])
    assert not jimmy.asked


def test_an_answer_has_the_shape_of_the_real_one(jimmy):
    real = (FIXTURES / "response_basic.txt").read_text("utf-8")
    status, headers, said = request(jimmy, "POST", "/api/chat", body())
    assert (status, headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
    text, _, block = said.partition("<|stats|>")
    assert text == real.partition("<|stats|>")[0]
    numbers = json.loads(block.removesuffix("<|/stats|>"))
    assert numbers.keys() == json.loads(real.partition("<|stats|>")[2].removesuffix("<|/stats|>")).keys()


def test_the_script(jimmy):
    jimmy.say("one", lambda asked: asked.last.upper(), bytes_answer(b"raw"))
    said = [request(jimmy, "POST", "/api/chat", body("two"))[2] for _ in range(4)]
    assert [text.partition("<|stats|>")[0] for text in said] == ["one", "TWO", "raw", "raw"]
    assert said[2] == "raw" and not jimmy.faults


def test_a_prompt_that_is_too_long_is_answered_with_nothing(jimmy):
    for text in ("word " * 5000, "한" * 9200):
        status, _, said = request(jimmy, "POST", "/api/chat", body(text))
        assert status == 200 and said.startswith("<|stats|>") and "max context limit 6144 reached" in said
    jimmy.enforce_limit = False
    assert request(jimmy, "POST", "/api/chat", body("word " * 5000))[2].startswith("Hello")


@pytest.mark.parametrize(("sent", "fault"), [
    (fixture("request_webclient.json"), None),
    (body(stream=True), "unknown field stream"),
    (body(chatOptions={"selectedModel": "m", "systemPrompt": "", "topK": 8, "temperature": 1}), "unknown option temperature"),
    (body(chatOptions={"selectedModel": "m", "systemPrompt": None, "topK": 8}), "systemPrompt is no text"),
    (body(chatOptions={"selectedModel": "m", "systemPrompt": ""}), "topK is no whole number"),
    (body(messages=[{"role": "system", "content": "a"}]), "message 0: role 'system'"),
    (body(messages=[{"role": "user", "content": None}]), "message 0: no text"),
    (body(messages=[{"role": "user", "content": "a", "name": "b"}]), "message 0: unknown fields"),
    (body(messages=[{"role": "user", "content": "a"}] * 2), "message 1: two turns of one role"),
])
def test_faults(sent, fault):
    found = shape_faults(sent)
    assert found == [] if fault is None else len(found) == 1 and found[0].startswith(fault)


def test_answers_can_be_cut_and_their_numbers_set():
    answer = text_answer("한", stats(done_reason="length", prefill_tokens=1), pieces=1)
    assert answer.body.startswith("한<|stats|>".encode()) and b'"done_reason":"length"' in answer.body
    assert answer.cuts == list(range(1, len(answer.body)))
