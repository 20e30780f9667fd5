"""What upstreams send in place of an answer, over both engines: nothing of it becomes a happy stop."""

import json

import pytest

from app.quirks import finish
from tests.answers import HTML, chunk, completion, stream
from tests.upstream import sse_answer

SSE = {"Content-Type": "text/event-stream"}
JSON = {"Content-Type": "application/json"}
NO_ANSWER = {  # body of a 200, whole and streamed
    "nothing": b"",
    "blank lines": b"\n\n\n",
    "a page": HTML,
    "a page behind blank lines": b"\r\n\r\n  " + HTML,
    "plain text": b"Service temporarily unavailable",
    "half a JSON": b'{"id": "x", "choices": [',
    "only comments": b": hello\n\n: bye\n\n",
    "an event that is no JSON": b"data: hello\n\ndata: [DONE]\n\n",
    "a page in an event": b"data: <html>no</html>\n\n",
    "an event cut in the middle": b'data: {"id":"x","choices":[{"index":0,"delta":{"con',
    "a number": b"42",
}
SILENT = ("nothing", "blank lines", "only comments")
EMPTY_TURNS = {  # sound, but the model says nothing in it: asked again, and then said in words, or agents ask for ever
    "only done": b"data: [DONE]\n\n",
    "an empty list": b"[]",
    "an empty object": b"{}",
    "no choices": b'{"id": "x", "object": "chat.completion", "choices": []}',
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", EMPTY_TURNS)
def test_an_empty_turn_is_asked_again_and_then_told(gateway, upstream, name, streamed):
    upstream.reply_bytes(EMPTY_TURNS[name], 200, {"Content-Type": "application/json"})
    reply = gateway.chat(stream=streamed)
    assert len(upstream.requests) == 2
    assert reply.text == finish.WORDS_EMPTY


@pytest.mark.parametrize("name", SILENT)
def test_an_empty_stream_is_asked_again_and_then_told(gateway, upstream, name):
    """As a 502 it would make an agent ask five times more, over a minute (OpenCode)."""
    upstream.reply_bytes(NO_ANSWER[name], 200, SSE)
    reply = gateway.chat(stream=True)
    assert len(upstream.requests) == 2
    assert reply.text == finish.WORDS_EMPTY


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json", "text/html"])
@pytest.mark.parametrize(
    ("name", "streamed"),
    [(name, streamed) for name in NO_ANSWER for streamed in (False, True) if not (streamed and name in SILENT)],
)
def test_what_is_no_answer_is_an_error(gateway, upstream, name, content_type, streamed):
    upstream.reply_bytes(NO_ANSWER[name], 200, {"Content-Type": content_type})
    reply = gateway.chat(stream=streamed)
    error = reply.error if reply.status != 200 else reply.stream_error
    assert reply.status in (200, 500, 502), reply.raw
    assert error["type"] == "server_error"
    assert b"<html" not in reply.raw.lower() and b'"stop"' not in reply.raw


@pytest.mark.parametrize("body", [json.dumps(completion()).encode(), b"\n\n " + json.dumps(completion(), indent=1).encode(),
                                  b"\xef\xbb\xbf" + json.dumps(completion()).encode()])
@pytest.mark.parametrize("headers", [JSON, SSE])
def test_a_whole_answer_to_a_streaming_request_is_streamed(gateway, upstream, body, headers):
    upstream.reply_bytes(body, 200, headers)
    reply = gateway.chat(stream=True)
    assert reply.streamed
    assert (reply.text, reply.finish) == ("Hello!", ["stop"])


def test_a_stream_to_a_whole_request_is_put_together(gateway, upstream):
    upstream.reply_sse(stream("one ", "two"))
    reply = gateway.chat(stream=False)
    assert not reply.streamed
    assert (reply.text, reply.finish) == ("one two", ["stop"])


@pytest.mark.parametrize("answer", [
    sse_answer(stream(), newline="\r\n"), sse_answer(stream(), newline="\r"), sse_answer(stream(), space=False),
    sse_answer(stream(), pieces=1), sse_answer(stream(), framing="close"), sse_answer(stream(), framing="length"),
    sse_answer(stream(), headers={"Content-Type": "application/octet-stream"}),
    sse_answer([b": hi\n\n", *stream(), b": bye\n\n"]),
    sse_answer([b"id: 1\nevent: message\nretry: 5\n", *stream()]),
    sse_answer([b"\xef\xbb\xbf", *stream()]),
    sse_answer([*stream(), b"data: [DONE]\n"], done=False),
    sse_answer([*stream(), b"data: [DONE]"], done=False),
    sse_answer([*stream(), b"data:  [DONE] \n\n"], done=False),
    sse_answer([*stream(), "[DONE]", chunk(content="after the end")], done=False),
], ids=["crlf", "cr", "no space", "byte by byte", "until closed", "with a length", "another type", "comments", "fields",
        "byte order mark", "one line end", "no line end", "blanks around done", "more after done"])
def test_streams_of_all_manners_say_the_same(gateway, upstream, answer):
    upstream.reply(answer)
    reply = gateway.chat(stream=True)
    assert (reply.text, reply.finish) == ("Hello!", ["stop"])


def test_the_line_separator_of_unicode_is_text(gateway, upstream):
    upstream.reply_sse(stream("a\u2028b", "c\x85d\u2029"))
    assert gateway.chat(stream=True).text == "a\u2028bc\x85d\u2029"


def test_events_without_a_blank_line_between_them(gateway, upstream):
    joined = b"".join(b"data: " + json.dumps(part).encode() + b"\n" for part in stream()) + b"\n"
    upstream.reply_sse([joined])
    assert gateway.chat(stream=True).text == "Hello!"


@pytest.mark.parametrize("error", [b'{"error": {"message": "no luck", "code": 503}}',
                                   b'[{"error": {"message": "no luck", "code": 503}}]',
                                   b'\n{"error": {"message": "no luck", "code": 503}}\n'])
@pytest.mark.parametrize("headers", [JSON, SSE])
def test_a_bare_error_in_place_of_a_stream(gateway, upstream, error, headers):
    upstream.reply_bytes(error, 200, headers)
    reply = gateway.chat(stream=True)
    assert (reply.status, reply.error["message"]) == (503, "no luck")


def test_words_before_a_broken_event_are_not_lost(gateway, upstream):
    upstream.reply_sse([*stream()[:3], "this is no JSON"], done=False).gate_after(3).open()
    reply = gateway.chat(stream=True)
    if reply.status == 200:
        assert b"Hel" in reply.raw and reply.stream_error["code"] == "upstream_malformed"
    else:
        assert reply.error["code"] == "upstream_malformed"
