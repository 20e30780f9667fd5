"""One turn: when a second attempt is made, what it changes, and what the client is told in the end."""

import pytest

from app.errors import UpstreamError, UpstreamTimeout
from app.quirks.errors import TurnUnusable
from app.turn import as_client_error
from tests.answers import chunk, completion, stream
from tests.upstream import Answer, json_answer, sse_answer
from tests.upstream_answers import CUT

BOTH = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])


def good(streamed):
    return sse_answer(stream()) if streamed else json_answer(completion())


def unknown(name):
    return json_answer({"error": {"message": f"Unknown parameter: '{name}'.", "type": "invalid_request_error"}}, 400)


@BOTH
def test_a_refused_parameter_is_left_out_and_remembered(gateway, upstream, streamed):
    upstream.reply(unknown("verbosity"), good(streamed))
    assert gateway.chat(verbosity="low", top_k=3, stream=streamed).text == "Hello!"
    first, second = upstream.bodies
    assert first["verbosity"] == "low" and "verbosity" not in second and second["top_k"] == 3
    reply = gateway.chat(verbosity="low", stream=streamed)
    assert reply.text == "Hello!" and "verbosity" not in upstream.bodies[2]
    assert reply.headers["x-gateway-dropped-params"] == "verbosity"


def test_what_one_upstream_refuses_another_still_gets(client_for, upstream):
    upstream.reply(unknown("verbosity"), good(False))
    gateway = client_for("relay", {"some-model": {}, "other": {}})
    assert gateway.chat(verbosity="low").status == 200
    assert gateway.chat(model="other", verbosity="low").status == 200
    assert upstream.bodies[-1]["verbosity"] == "low"


@BOTH
def test_a_parameter_refused_twice_is_told(gateway, upstream, streamed):
    upstream.reply(unknown("verbosity"))
    reply = gateway.chat(verbosity="low", stream=streamed)
    assert (reply.status, len(upstream.requests)) == (400, 2)
    assert "verbosity" in reply.error["message"]


@BOTH
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500, 503])
def test_other_refusals_are_not_repeated(gateway, upstream, status, streamed):
    upstream.refuse(status, {"error": {"message": "no"}})
    assert gateway.chat(stream=streamed).status == status
    assert len(upstream.requests) == 1, "whoever tries again is the client"


@BOTH
@pytest.mark.parametrize("nothing", ["", None])
def test_an_empty_turn_is_asked_for_once_more(gateway, upstream, streamed, nothing):
    said = [chunk(role="assistant", content=nothing), chunk("stop")]
    empty = sse_answer(said) if streamed else json_answer(completion(nothing))
    upstream.reply(empty, good(streamed))
    assert gateway.chat(stream=streamed).text == "Hello!"
    assert upstream.bodies[0] == upstream.bodies[1]


def test_a_turn_of_nothing_but_thoughts_is_asked_for_once_more(gateway, upstream):
    thoughts = [chunk(role="assistant", content=""), chunk(reasoning_content="Hm."), chunk("stop")]
    upstream.reply(sse_answer(thoughts), sse_answer([*thoughts[:-1], *stream()]))
    reply = gateway.chat(stream=True)
    assert reply.text == "Hello!"
    assert [delta["reasoning_content"] for delta in reply.deltas if delta.get("reasoning_content")] == ["Hm."], "once"
    assert len([delta for delta in reply.deltas if "role" in delta]) == 1, "SDKs would join two roles to one word"
    assert len(upstream.requests) == 2 and reply.finish == ["stop"]


def test_a_stream_cut_before_its_first_word_is_asked_for_once_more(gateway, upstream):
    upstream.reply(sse_answer(stream()).cut_after(1), sse_answer(stream()))
    assert gateway.chat(stream=True).text == "Hello!"
    assert len(upstream.requests) == 2


def test_a_stream_cut_after_its_first_word_is_not(gateway, upstream):
    answer = sse_answer(stream())
    gate = answer.gate_after(2)
    upstream.reply(answer.cut_after(2), sse_answer(stream("never")))
    with gateway.open_stream() as reply:
        blocks = iter(reply)
        while b"Hel" not in next(blocks):
            pass
        gate.open()
        *_, error, done = blocks
    assert b"upstream_truncated" in error and done == b"data: [DONE]"
    assert len(upstream.requests) == 1


@BOTH
def test_a_timeout_is_not_repeated(client_for, engine, upstream, streamed):
    upstream.reply(Answer(before_headers="hang"))
    assert client_for(engine, GATEWAY_FIRST_BYTE_TIMEOUT="0.1").chat(stream=streamed).status == 504
    assert len(upstream.requests) == 1


@BOTH
def test_a_dead_connection_is_not_repeated(gateway, upstream, streamed):
    upstream.reply(Answer(before_headers=CUT))
    assert gateway.chat(stream=streamed).status == 502
    assert len(upstream.requests) == 1


@BOTH
def test_two_reasons_to_ask_again_may_come_in_one_turn(gateway, upstream, streamed):
    empty = sse_answer([chunk("stop")]) if streamed else json_answer(completion(""))
    upstream.reply(unknown("verbosity"), empty, good(streamed))
    assert gateway.chat(verbosity="low", stream=streamed).text == "Hello!"
    assert len(upstream.requests) == 3


@pytest.mark.parametrize(("error", "status", "message"), [
    (UpstreamError("x", status=429, upstream_status=429, upstream_body=b'{"error": {"message": "slow"}}'), 429, "slow"),
    (UpstreamError("x", upstream_status=200, upstream_body=b"<html>page</html>"), 502, "page"),
    (UpstreamError("told", upstream_status=302), 502, "told"),
    (UpstreamError("told", upstream_status=200, upstream_body=b" \n"), 502, "told"),
    (UpstreamTimeout("told"), 504, "told"),
    (TurnUnusable("broken", kind="empty"), 502, "broken"),
])
def test_what_the_client_is_told(error, status, message):
    told = as_client_error(error)
    assert told.status == status and message in str(told)
