"""Harmony over real HTTP when things go wrong: refusals, servers without raw completions, cut answers, clients that leave."""

import pytest

from app.call import UpstreamCall
from app.engines import harmony
from app.errors import ClientGone
from app.trace import Trace
from tests.engines.harmony_asking import ASK, BOTH, TOOLS, at_fixture, message_of, target
from tests.upstream import sse_answer
from tests.upstream_completions import CompletionServer, call, final, thought

at = pytest.fixture(at_fixture)


@BOTH
@pytest.mark.parametrize("answer", [({"detail": "Not Found"}, 404), ({"detail": "Method Not Allowed"}, 405), ("<html>", 404)])
def test_a_server_without_raw_completions(at, upstream, answer, streamed):
    gateway = at(CompletionServer([]))
    upstream.refuse(answer[1], answer[0])
    reply = gateway.chat(**ASK, stream=streamed)
    assert (reply.status, reply.error["code"]) == (answer[1], "no_completions_endpoint")
    for word in ("vLLM", "llama.cpp", "transformers serve", "/v1/completions", f"127.0.0.1:{upstream.port}", "relay"):
        assert word in reply.error["message"]
    assert len(upstream.requests) == 1


@BOTH
@pytest.mark.parametrize(("status", "message", "code"), [
    (400, "temperature must be non-negative", "invalid_request"),
    (400, "This model's maximum context length is 8192 tokens. However, you requested 9000", "context_length_exceeded"),
    (401, "Unauthorized", "invalid_api_key"),
    (404, "The model `gpt-oss-20b` does not exist.", "model_not_found"),
    (429, "Too many requests", None),
    (503, "Loading model", None),
])
def test_refusals_keep_their_status_and_words(at, upstream, status, message, code, streamed):
    gateway = at(CompletionServer([]))
    upstream.refuse(status, {"error": {"message": message, "type": "X", "code": status}})
    reply = gateway.chat(**ASK, stream=streamed)
    assert reply.status == status and message.split(" ")[0] in reply.error["message"]
    assert code is None or reply.error["code"] == code
    assert len(upstream.requests) == 1


@BOTH
def test_an_error_in_the_stream_is_told(at, upstream, streamed):
    gateway = at(CompletionServer([]))
    upstream.reply(sse_answer([{"error": {"message": "CUDA out of memory", "code": 500}}], done=False))
    reply = gateway.chat(**ASK, stream=streamed)
    assert reply.status == 500 and "CUDA out of memory" in reply.error["message"]


@BOTH
def test_a_whole_answer_in_place_of_a_stream(at, upstream, streamed):
    gateway = at(CompletionServer([]))
    upstream.reply_json({"id": "cmpl-1", "choices": [{"index": 0, "text": thought("a") + final("b"), "finish_reason": "stop"}]})
    assert message_of(gateway.chat(**ASK, stream=streamed)) == ("b", "a", [], ["stop"])


@BOTH
@pytest.mark.parametrize("cut", [0, 1])
def test_a_cut_answer_is_asked_for_once_more(at, upstream, cut, streamed):
    gateway = at(CompletionServer([]))
    server = CompletionServer([final("Hello!")], pieces=100)
    upstream.reply(lambda request: CompletionServer([final("x")], pieces=22)(request).cut_after(cut), server)
    assert gateway.chat(**ASK, stream=streamed).text == "Hello!"
    assert len(upstream.requests) == 2


@BOTH
def test_an_answer_without_end_is_cut(at, upstream, streamed):
    gateway = at(CompletionServer([]))
    begun = {"id": "cmpl-1", "choices": [{"index": 0, "text": f"<|channel|>final<|message|>Hel{call('read')[:-9]}"}]}
    upstream.reply(sse_answer([begun], done=False))
    reply = gateway.chat(**ASK, tools=TOOLS, stream=streamed)
    error = reply.stream_error if streamed and reply.status == 200 else reply.error
    assert error["code"] == "upstream_truncated"


def test_the_key_and_headers_go_along(at, upstream):
    gateway = at(CompletionServer([final("Hi")]), headers={"X-Org": "o"})
    assert gateway.chat(**ASK).text == "Hi"
    (request,) = upstream.requests
    assert request.path == "/v1/completions" and request.headers["x-org"] == "o"
    assert request.headers["authorization"] == "Bearer sk-upstream-0123456789"


# --- silence and departure --------------------------------------------------------------------------------------------


def ask_at(upstream, **call_options):
    made = UpstreamCall(Trace("POST", "/"), **call_options)
    return harmony.stream(ASK, target(upstream.base_url), made), made


def test_silence_is_bridged_by_ticks(upstream):
    answer = CompletionServer([final("Hi")], "raw", pieces=1000).answer({"prompt": "x", "stream": True})
    gate = answer.gate_after(0)
    upstream.reply(answer)
    batches, _ = ask_at(upstream, keep_alive=0.02)
    assert next(batches) == []
    gate.open()
    said = [chunk for batch in batches for chunk in batch]
    assert said[0]["choices"][0]["delta"] == {"content": "Hi"}


def test_a_client_that_leaves_frees_the_server(upstream):
    begun = {"choices": [{"index": 0, "text": "<|channel|>final<|message|>Hi there"}]}
    upstream.reply(sse_answer([begun], done=False).hang_after(1))
    batches, made = ask_at(upstream)
    assert next(batches)[0]["choices"][0]["delta"]["content"]
    made.cancel.cancel()
    with pytest.raises(ClientGone):
        list(batches)
    assert upstream.wait_closed()


def test_a_stream_that_is_left_closes_its_connection(upstream):
    begun = {"choices": [{"index": 0, "text": "<|channel|>final<|message|>Hi there"}]}
    upstream.reply(sse_answer([begun], done=False).hang_after(1))
    batches, _ = ask_at(upstream)
    next(batches)
    batches.close()
    assert upstream.wait_closed()
