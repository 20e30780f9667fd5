"""What becomes of every kind of answer that ChatJimmy gives, streamed and whole, at the gateway's own wire."""

import re

import pytest

from app.engines.chatjimmy_answer import Answer
from app.errors import UpstreamError
from tests.engines.jimmy_asking import BOTH, MODEL, ask_fixture, jimmy_fixture, provider, usage
from tests.upstream_answers import bytes_answer, json_answer
from tests.upstream_jimmy import EVENTS, FIXTURES, fixture, stats, text_answer

jimmy = pytest.fixture(jimmy_fixture)
ask = pytest.fixture(ask_fixture)

REAL = (FIXTURES / "response_basic.txt").read_bytes()


@pytest.mark.parametrize("size", [None, 1, 7])
@BOTH
def test_a_real_answer(ask, jimmy, streamed, size):
    answer = bytes_answer(REAL, headers=EVENTS, framing="chunked")
    answer.cuts = list(range(size, len(REAL), size)) if size else []
    jimmy.say(answer)
    reply = ask(stream=streamed)
    assert (reply.status, reply.text, reply.finish) == (200, "Hello my friend\n", ["stop"])
    part = reply.chunks[-1] if streamed else reply.json
    assert part["usage"] == {"prompt_tokens": 18, "completion_tokens": 4, "total_tokens": 22}
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{24}", part["id"]) and part["model"] == MODEL
    assert part["object"] == ("chat.completion.chunk" if streamed else "chat.completion")
    assert b"stats" not in reply.raw and "x-gateway-repairs" not in reply.headers


@BOTH
@pytest.mark.parametrize("size", [None, 1])
def test_a_byte_order_mark_is_no_text(ask, jimmy, streamed, size):
    jimmy.say(text_answer("\ufeff한 \ufeff", stats(), pieces=size))
    assert ask(stream=streamed).text == "한 \ufeff"


@BOTH
def test_texts_cut_at_every_byte(ask, jimmy, streamed):
    text = "  한국어 🎉 a < b <|star|> <|sta\n\n```\n<div>\n```"
    jimmy.say(text_answer(text, stats(), pieces=1))
    assert ask(stream=streamed).text == text


@BOTH
def test_without_numbers_usage_is_estimated(ask, jimmy, streamed):
    jimmy.say(text_answer("partial answer"))
    reply = ask(stream=streamed)
    assert (reply.text, reply.finish) == ("partial answer", ["stop"])
    assert usage(reply)["completion_tokens"] > 0


@BOTH
def test_a_broken_block_is_never_shown(ask, jimmy, streamed):
    for end in range(len("answer<|"), len("answer<|stats|>{\"prefill_tokens\":18")):
        jimmy.say(bytes_answer(b"answer<|stats|>{\"prefill_tokens\":18"[:end], headers=EVENTS))
        assert ask(stream=streamed).text == "answer"


@BOTH
def test_marks_of_the_models_template_are_taken_out(ask, jimmy, streamed):
    jimmy.say(text_answer("Hi<|eot_id|> there<|eom_id|><|end_of_text|>", stats(), pieces=1))
    assert ask(stream=streamed).text == "Hi there"
    jimmy.say("Keep <|im_start|> and <|x|> and F# x <| y |> z")
    assert ask(stream=streamed).text == "Keep <|im_start|> and <|x|> and F# x <| y |> z"


@pytest.mark.parametrize(("numbers", "finish"), [
    ({"done_reason": "length"}, "length"),
    ({"reason": "max context limit 6144 reached"}, "length"),
    ({"done_reason": None}, "stop"),
    ({"done_reason": "eos"}, "stop"),
])
@BOTH
def test_how_it_ended(ask, jimmy, streamed, numbers, finish):
    jimmy.say(text_answer("Hello", stats(**numbers)))
    assert ask(stream=streamed).finish == [finish]


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [
    bytes_answer(b""), bytes_answer(b"", headers=EVENTS, framing="chunked"), bytes_answer(b"", 204), bytes_answer(b" \n\n"),
    bytes_answer(b"", headers={"Content-Type": "application/json"}),
    text_answer("", stats(prompt_tokens=6100, reason="max context limit 6144 reached")),
    text_answer("\n", stats()), text_answer("<|eot_id|>", stats()),
    bytes_answer(b'd:{"finishReason":"stop"}\n', headers={"X-Vercel-AI-Data-Stream": "v1"}),
])
@BOTH
def test_an_empty_answer_means_that_the_prompt_is_too_long(ask, jimmy, streamed, answer):
    jimmy.say(answer)
    reply = ask(stream=streamed)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "context_length_exceeded", "messages")
    assert reply.error["type"] == "invalid_request_error" and "exceeds the context window" in reply.error["message"]
    assert len(jimmy.requests) == 1, "not asked again"


@BOTH
def test_the_limit_of_the_fake(ask, jimmy, streamed):
    reply = ask("word " * 5000, stream=streamed)
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")
    assert "max context limit 6144 reached" in reply.error["message"]
    jimmy.enforce_limit = False
    assert ask("word " * 5000, stream=streamed).status == 200


@pytest.mark.parametrize(("answer", "status", "words"), [
    (json_answer(fixture("errors.json")[0]["body"], 400), 400, "Selected model is required"),
    (json_answer(fixture("errors.json")[1]["body"], 500), 500, "is not valid JSON"),
    (json_answer(fixture("errors.json")[2]["body"], 500), 500, "Expected text/event-stream"),
    (bytes_answer(b"", 405), 405, "says nothing more"),
    (bytes_answer(b"busy", 503), 503, "busy"),
    (bytes_answer(b"/api/chat", 308, {"Location": "/api/chat"}), 502, "redirects"),
    (json_answer({"success": False, "error": "backend is down"}), 502, "backend is down"),
    (bytes_answer(b' {"success": false, "error": "backend is down"}\n', headers=EVENTS), 502, "backend is down"),
    (bytes_answer(b'{"error":"backend is down"}', headers={"Content-Type": "application/json"}), 502, "backend is down"),
    (bytes_answer(b"<html><body>Log in</body></html>", headers={"Content-Type": "text/html"}), 502, "Log in"),
    (bytes_answer(b'3:"An error occurred."\n', headers={"X-Vercel-AI-Data-Stream": "v1"}), 502, "An error occurred."),
])
@BOTH
def test_refusals_keep_their_status_and_words(ask, jimmy, streamed, answer, status, words):
    jimmy.say(answer)
    reply = ask(stream=streamed)
    assert reply.status == status and words in reply.error["message"]


@pytest.mark.parametrize("text", [
    '{"success": false, "error": "the example you asked for"}', '{"success": false', '{"success": true}', '{"s": 1}', "{",
    '{"success":false} is it',
])
@BOTH
def test_json_of_the_models_own_is_an_answer(ask, jimmy, streamed, text):
    jimmy.say(text_answer(text, stats(), pieces=3))
    assert ask(stream=streamed).text == text


# --- older builds -----------------------------------------------------------------------------------------------------

LINES = """f:{"messageId":"m"}
0:"Hel"
0:"lo \\ud55c"
d:{"finishReason":"length","usage":{"promptTokens":7,"completionTokens":3}}
"""


@pytest.mark.parametrize("headers", [{"x-vercel-ai-data-stream": "v1"}, {}], ids=["announced", "by its lines"])
@pytest.mark.parametrize("size", [None, 1])
@BOTH
def test_vercels_lines(ask, jimmy, streamed, headers, size):
    answer = bytes_answer(LINES.encode(), headers=headers, framing="chunked")
    answer.cuts = list(range(1, len(LINES))) if size else []
    jimmy.say(answer)
    reply = ask(stream=streamed)
    assert (reply.text, reply.finish) == ("Hello 한", ["length"])
    assert usage(reply)["prompt_tokens"] == 7


@BOTH
def test_numbers_within_vercels_lines(ask, jimmy, streamed):
    lines = '0:"Hello<|sta"\n0:"ts|>{\\"prefill_tokens\\":9,\\"decode_tokens\\":1}<|/stats|>"\n'
    jimmy.say(bytes_answer(lines.encode(), headers={"X-Vercel-AI-Data-Stream": "v1"}))
    reply = ask(stream=streamed)
    assert reply.text == "Hello"
    assert usage(reply)["prompt_tokens"] == 9


@pytest.mark.parametrize("text", ['0:"one"', '0:"one"\n0:"two"\n', 'Lines look so:\n0:"text"\n', '0:"a"\nand so on'])
@BOTH
def test_an_answer_about_vercels_lines(ask, jimmy, streamed, text):
    jimmy.say(text)
    assert ask(stream=streamed).text == text


def test_an_error_in_the_middle_of_a_stream(serve, jimmy):
    answer = bytes_answer(b'0:"Hello"\n3:"Overloaded"\n', headers={"X-Vercel-AI-Data-Stream": "v1"})
    gate = answer.gate_after(bytes=10)
    jimmy.say(answer)
    with serve({"chatjimmy": provider(jimmy.url)}).open_stream(model=MODEL) as stream:
        blocks = iter(stream)
        assert stream.status == 200 and next(blocks)
        gate.open()
        *_, error, done = blocks
    assert b"Overloaded" in error and b'"error"' in error and done == b"data: [DONE]"


def test_an_answer_without_end():
    answer = Answer({}, limit=10)
    assert answer.feed(b"0123456789") == "0123456789"
    with pytest.raises(UpstreamError, match="too large"):
        answer.feed(b"x")
