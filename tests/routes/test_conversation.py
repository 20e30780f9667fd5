"""How answers leave: the status of a stream waits for its first chunk, errors keep OpenAI's shape, silence is bridged."""

import json

import pytest

from tests.answers import chunk, completion, stream
from tests.client import checked_error
from tests.upstream import json_answer, sse_answer

REFUSALS = {  # name: (status, body, headers, expected status, what the message says)
    "bad request": (400, {"error": {"message": "bad thing", "code": "x"}}, {}, 400, "bad thing"),
    "a list of it": (400, [{"error": {"code": 400, "message": "bad list", "status": "INVALID_ARGUMENT"}}], {}, 400, "bad list"),
    "no key": (401, {"error": {"message": "who are you"}}, {}, 401, "who are you"),
    "forbidden": (403, {"error": {"message": "not here"}}, {}, 403, "not here"),
    "no such model": (404, {"error": {"message": "model gone"}}, {}, 404, "model gone"),
    "conflict": (409, {"error": {"message": "again"}}, {}, 409, "again"),
    "unprocessable": (422, {"detail": [{"loc": ["body", "n"], "msg": "too big"}]}, {}, 422, "too big"),
    "rate limit": (429, {"error": {"message": "slow down"}}, {"Retry-After": "7"}, 429, "slow down"),
    "server error": (500, {"error": {"message": "boom"}}, {}, 500, "boom"),
    "bad gateway in HTML": (502, "<html><body>Bad <b>Gateway</b></body></html>", {}, 502, "Bad Gateway"),
    "overloaded": (503, {"error": {"message": "busy"}}, {"Retry-After": "3"}, 503, "busy"),
    "only text": (500, "it broke", {}, 500, "it broke"),
    "nothing": (500, b"", {}, 500, "500"),
}
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
BOTH = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])


@BOTH
@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_keeps_its_status(gateway, upstream, name, streamed):
    status, body, headers, expected, said = REFUSALS[name]
    upstream.refuse(status, body, headers)
    reply = gateway.chat(stream=streamed)
    assert reply.status == expected
    assert said in reply.error["message"]
    assert reply.error["type"] == TYPES.get(expected, "server_error" if expected >= 500 else "invalid_request_error")
    assert reply.headers.get("retry-after") == headers.get("Retry-After")


@BOTH
def test_a_redirect_is_explained_and_not_followed(gateway, upstream, streamed):
    upstream.refuse(301, b"", {"Location": upstream.url + "/elsewhere"})
    reply = gateway.chat(stream=streamed)
    assert (reply.status, len(upstream.requests)) == (502, 1)
    assert "baseURL" in reply.error["message"]


@BOTH
def test_a_dead_upstream(serve, upstream, engine, streamed):
    address = upstream.base_url
    upstream.close()
    gateway = serve({"p": {"options": {"baseURL": address, "engine": engine}, "models": {"some-model": {}}}})
    reply = gateway.chat(stream=streamed)
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
    assert "connection refused" in reply.error["message"]


@BOTH
def test_a_provider_without_an_address(serve, streamed):
    gateway = serve({"p": {"options": {"engine": "relay"}, "models": {"some-model": {}}}})
    reply = gateway.chat(stream=streamed)
    assert (reply.status, reply.error["code"]) == (500, "config_error")
    assert "baseURL" in reply.error["message"]


@BOTH
def test_an_error_in_a_200_is_an_error(gateway, upstream, streamed):
    error = {"error": {"message": "out of luck", "code": 429, "status": "RESOURCE_EXHAUSTED"}}
    upstream.reply_sse([error]) if streamed else upstream.reply_json(error)
    reply = gateway.chat(stream=streamed)
    assert reply.status == 429
    assert "out of luck" in reply.error["message"]


@pytest.mark.parametrize("event", [
    {"error": {"message": "later trouble"}}, [{"error": {"code": 503, "message": "later trouble"}}],
    b'event: error\ndata: {"message": "later trouble"}\n\n', b'{"error": {"message": "later trouble"}}\n\n'])
def test_an_error_after_the_first_words_ends_the_stream_in_order(gateway, upstream, event):
    gate = upstream.reply_sse([*stream()[:2], event], done=False).gate_after(2)
    with gateway.open_stream() as reply:
        blocks = iter(reply)
        while b"Hel" not in next(blocks):
            pass
        gate.open()
        *_, error, done = blocks
    assert done == b"data: [DONE]"
    assert "later trouble" in checked_error(json.loads(error.removeprefix(b"data: ")))["message"]


def test_an_error_in_the_first_read_keeps_its_status(gateway, upstream):
    """Nothing has left yet: a client tries again by status, so that is worth more than a word or two."""
    upstream.reply_sse([*stream()[:2], {"error": {"message": "busy", "code": 503}}], done=False, pieces=[])
    reply = gateway.chat(stream=True)
    assert (reply.status, reply.error["message"]) == (503, "busy")


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_a_cut_stream_is_no_happy_stop(gateway, upstream, reset, framing):
    upstream.reply_sse(stream(), framing=framing, done=False).cut_after(2, reset=reset)
    reply = gateway.chat(stream=True)
    assert reply.stream_error["code"] == "upstream_truncated"
    assert b'"stop"' not in reply.raw


def test_a_stream_that_ends_well_without_done_is_whole(gateway, upstream):
    upstream.reply_sse(stream(), done=False)
    assert gateway.chat(stream=True).finish == ["stop"]


@pytest.mark.parametrize(("how", "finish"), [("length", ["length"]), ("stop", ["stop"])])
def test_a_cut_stream_ends_as_the_setting_says(client_for, engine, upstream, how, finish):
    upstream.reply_sse(stream(), done=False).cut_after(2)
    reply = client_for(engine, GATEWAY_ON_TRUNCATED=how).chat(stream=True)
    assert (reply.text, reply.finish) == ("Hel", finish)


@BOTH
def test_an_answer_that_says_nothing_is_asked_for_again(gateway, upstream, streamed):
    nothing = sse_answer([chunk(role="assistant", content=""), chunk("stop")]) if streamed else json_answer(completion(""))
    good = sse_answer(stream()) if streamed else json_answer(completion())
    upstream.reply(nothing, good)
    reply = gateway.chat(stream=streamed)
    assert (reply.text, len(upstream.requests)) == ("Hello!", 2)
    if not streamed:
        assert "turn.retry=1" in reply.headers["x-gateway-repairs"]


def test_a_silent_upstream_is_bridged_by_comments(client_for, engine, upstream):
    gate = upstream.reply_sse(stream()).gate_after(2)
    gateway = client_for(engine, GATEWAY_KEEP_ALIVE="0.05")
    with gateway.open_stream() as reply:
        seen = []
        for block in reply:
            seen.append(block)
            if seen.count(b": keep-alive") == 3:
                gate.open()
    assert b"Hel" in b"".join(seen[: seen.index(b": keep-alive")]), "what was there has left before"
    assert seen[-1] == b"data: [DONE]" and b"lo!" in b"".join(seen)


def test_the_head_waits_only_so_long_for_the_first_chunk(client_for, engine, upstream):
    gate = upstream.reply_sse(stream()).gate_after(0)
    gateway = client_for(engine, GATEWAY_KEEP_ALIVE="0.05", GATEWAY_FIRST_CHUNK_WAIT="0.1")
    with gateway.open_stream() as reply:
        assert reply.status == 200
        blocks = iter(reply)
        assert next(blocks) == b": keep-alive"
        gate.open()
        rest = [block for block in blocks if not block.startswith(b":")]
    assert rest[-1] == b"data: [DONE]" and len(rest) > 2


def test_a_refusal_after_that_is_an_error_event(client_for, engine, upstream):
    answer = json_answer({"error": {"message": "too late for a status"}}, 429)
    gate = answer.gate_after(bytes=0)
    answer.before_headers = gate
    answer.actions.clear()
    upstream.reply(answer)
    gateway = client_for(engine, GATEWAY_KEEP_ALIVE="0.05", GATEWAY_FIRST_CHUNK_WAIT="0.1")
    with gateway.open_stream() as reply:
        assert reply.status == 200
        blocks = iter(reply)
        next(blocks)
        gate.open()
        *_, error, done = [block for block in blocks if not block.startswith(b":")]
    assert b"too late for a status" in error and done == b"data: [DONE]"


def test_each_chunk_leaves_before_the_next_one_comes(gateway, upstream):
    answer = upstream.reply_sse(stream("one ", "two ", "three "))
    gates = [answer.gate_after(number) for number in (2, 3, 4)]
    with gateway.open_stream() as reply:
        blocks = iter(reply)
        for gate, word in zip(gates, (b"one ", b"two ", b"three "), strict=True):
            while word not in next(blocks):  # would wait for ever if the word were held back
                pass
            gate.open()
        assert list(blocks)[-1] == b"data: [DONE]"


def test_a_key_in_a_refusal_is_masked(gateway, upstream):
    upstream.refuse(401, {"error": {"message": "Incorrect API key provided: sk-upstream-0123456789."}})
    reply = gateway.chat()
    assert reply.status == 401 and b"sk-upstream-0123456789" not in reply.raw


@BOTH
def test_half_a_surrogate_pair_does_not_break_the_way_back_or_forth(gateway, upstream, streamed):
    upstream.reply_sse([chunk(role="assistant", content="a\ud83d"), chunk("stop")]) if streamed else upstream.reply_json(
        completion("a\ud83d"))
    messages = [{"role": "user", "content": "b\ud83d"}]
    reply = gateway.chat(messages=messages, stream=streamed)
    assert (reply.status, reply.text) == (200, "a\ufffd")
    assert upstream.bodies[0]["messages"][0]["content"] == "b\ufffd"


@BOTH
def test_a_parameter_of_any_name_breaks_no_header(client_for, engine, upstream, streamed):
    """Names of parameters that a dialect does not know are told in a header; a client may call them anything."""
    upstream.reply_sse(stream()) if streamed else upstream.reply_json(completion())
    odd = {"x\r\nset-cookie: a=b": 1, "größe\u2028": 2, "long" * 5000: 3}
    reply = client_for(engine, models={"gemini-3-pro": {}}).chat(model="gemini-3-pro", stream=streamed, **odd)
    assert reply.status == 200, reply.raw
