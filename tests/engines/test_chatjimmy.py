"""The ChatJimmy engine at the wire: what it sends, when its answers leave, and what it tells the call."""

import re
import threading

import pytest

from app.call import UpstreamCall
from app.engines import chatjimmy
from app.errors import ConfigError, InvalidRequest, UpstreamError
from app.trace import Trace
from app.version import USER_AGENT
from tests.engines.jimmy_asking import BOTH, MODEL, ask_fixture, jimmy_fixture, provider, target, usage
from tests.upstream_answers import bytes_answer
from tests.upstream_jimmy import fixture, stats, text_answer

jimmy = pytest.fixture(jimmy_fixture)
ask = pytest.fixture(ask_fixture)


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_the_web_pages_body(ask, jimmy):
    assert ask("Say hi in 3 words.").text == "Hello my friend\n"
    assert [asked.body for asked in jimmy.asked] == [fixture("request_basic.json")]
    assert jimmy.requests[0].path == "/api/chat" and not jimmy.faults


def test_ids_and_dates_if_they_are_wanted(ask, jimmy):
    ask("hello", {"messageIds": True})
    (message,) = jimmy.asked[0].body["messages"]
    assert set(message) == set(fixture("request_webclient.json")["messages"][0]) | {"createdAt"}
    assert re.fullmatch(r"[0-9a-f-]{36}", message["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message["createdAt"])


@BOTH
def test_a_conversation(ask, jimmy, streamed):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": "one"},
        {"role": "user", "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "three"}]},
        {"role": "assistant", "content": "Yes?"},
        {"role": "assistant", "content": "  "},
        {"role": "assistant", "content": "  Go on."},
        {"role": "system", "content": "Late."},
        {"role": "user", "content": "four"},
    ]
    assert ask(messages=messages, stream=streamed, temperature=0.3, max_tokens=5, stop=["x"]).status == 200
    (asked,) = jimmy.asked
    assert asked.system == "Be brief.\nBe kind.\nLate."
    assert asked.messages == [("user", "one\n\ntwo\nthree"), ("assistant", "Yes?\n\n  Go on."), ("user", "four")]
    assert not jimmy.faults


def test_roles_that_the_wire_does_not_know_are_the_users():
    messages = [{"role": "assistant", "content": "a"}, {"role": "tool", "tool_call_id": "1", "content": "b"}]
    assert chatjimmy.split_messages(messages) == ([], [("assistant", ["a"]), ("user", ["b"])])


@pytest.mark.parametrize("messages", [
    [{"role": "system", "content": "Be brief."}],
    [{"role": "user", "content": " \n"}],
    [{"role": "assistant", "content": "Hello."}],
    [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}],
])
@BOTH
def test_without_a_users_text_nothing_is_sent(ask, jimmy, messages, streamed):
    reply = ask(messages=messages, stream=streamed)
    assert (reply.status, reply.error["type"], reply.error["param"]) == (400, "invalid_request_error", "messages")
    assert not jimmy.requests


@pytest.mark.parametrize(("options", "fields", "wanted"), [
    ({}, {}, 8), ({"topK": 3}, {}, 3), ({"topK": 3}, {"top_k": 1}, 1), ({}, {"top_k": None}, 8),
])
def test_top_k(ask, jimmy, options, fields, wanted):
    assert ask(options=options, **fields).status == 200
    assert jimmy.asked[0].body["chatOptions"]["topK"] == wanted


@pytest.mark.parametrize("value", [0, -1, 1.5, "8", True])
def test_a_top_k_that_is_none(value):
    with pytest.raises(InvalidRequest, match="top_k"):
        chatjimmy.top_k({"top_k": value}, target())
    with pytest.raises(ConfigError, match="topK"):
        chatjimmy.top_k({}, target(topK=value))


@pytest.mark.parametrize(("base_url", "url"), [
    (None, "https://chatjimmy.ai/api/chat"),
    ("http://j.example", "http://j.example/api/chat"),
    ("http://j.example/", "http://j.example/api/chat"),
    ("http://j.example/api", "http://j.example/api/chat"),
    ("http://j.example/api/chat/", "http://j.example/api/chat"),
    ("http://j.example/chat", "http://j.example/chat/api/chat"),
    ("http://j.example/mirror?key=1", "http://j.example/mirror/api/chat?key=1"),
])
def test_the_address(base_url, url):
    assert chatjimmy.endpoint(target(base_url)) == url


def test_headers_are_honest_and_hold_no_key(serve, jimmy):
    keyed = provider(jimmy.url, apiKey="sk-of-somebody-0123456789")
    gateway = serve({"chatjimmy": keyed}, OPENAI_API_KEY="sk-other-0123456789")
    gateway.chat({"Authorization": "Bearer sk-client-0123456789"}, model=MODEL)
    sent = jimmy.asked[0].headers
    assert {name: sent.get(name) for name in ("user-agent", "accept", "content-type", "authorization", "origin")} == {
        "user-agent": USER_AGENT, "accept": "*/*", "content-type": "application/json", "authorization": None, "origin": None}
    assert "sk-" not in str(sent)


def test_headers_of_the_map_overrule_ours(ask, jimmy):
    ask(options={"headers": {"user-agent": "mine", "Origin": "https://chatjimmy.ai"}})
    assert (jimmy.asked[0].headers["user-agent"], jimmy.asked[0].headers["origin"]) == ("mine", "https://chatjimmy.ai")


# --- answers ----------------------------------------------------------------------------------------------------------


def test_the_first_words_leave_while_the_upstream_speaks(serve, jimmy):
    answer = text_answer("Hello my friend", stats())
    gate = answer.gate_after(bytes=8)
    jimmy.say(answer)
    gateway = serve({"chatjimmy": provider(jimmy.url)})
    with gateway.open_stream(model=MODEL) as stream:
        blocks = iter(stream)
        seen = next(blocks)
        while b"Hello my" not in seen:
            seen = next(blocks)
        assert not gate.is_open
        gate.open()
        assert list(blocks)[-1] == b"data: [DONE]"


def test_silence_is_bridged(serve, jimmy):
    answer = text_answer("Hello", stats())
    gate = answer.gate_after(bytes=3)
    jimmy.say(answer)
    gateway = serve({"chatjimmy": provider(jimmy.url)}, GATEWAY_KEEP_ALIVE="0.05")
    with gateway.open_stream(model=MODEL) as stream:
        blocks = iter(stream)
        while not next(blocks).startswith(b":"):
            pass
        gate.open()
        assert list(blocks)[-1] == b"data: [DONE]"


@BOTH
def test_nothing_is_waited_for_behind_the_numbers(ask, jimmy, streamed):
    trailing = text_answer("Hello", stats())
    trailing.body += b"trailing"
    jimmy.say(trailing.hang_after(bytes=-4), text_answer("Hello", stats()).cut_after())
    for _ in range(2):
        reply = ask(stream=streamed)
        assert (reply.text, reply.finish) == ("Hello", ["stop"])


@BOTH
def test_one_connection_serves_many_requests(ask, jimmy, streamed):
    for _ in range(3):
        assert ask(stream=streamed).status == 200
    assert (jimmy.connections, jimmy.closed_by_client) == (1, 0)


@BOTH
def test_a_request_does_not_wait_for_another(serve, jimmy, streamed):
    slow = text_answer("slow", stats())
    gate = slow.gate_after(bytes=2)
    jimmy.say(slow, "fast")
    gateway = serve({"chatjimmy": provider(jimmy.url)})
    replies = []
    waiting = threading.Thread(target=lambda: replies.append(gateway.chat(model=MODEL)))
    waiting.start()
    assert gate.wait_reached()
    assert gateway.chat(model=MODEL, stream=streamed).text == "fast" and not replies
    gate.open()
    waiting.join()
    assert replies[0].text == "slow"


def test_a_client_that_goes_takes_the_upstreams_answer_with_it(serve, jimmy):
    jimmy.say(text_answer("Hello my friend", stats()).hang_after(bytes=8))
    with serve({"chatjimmy": provider(jimmy.url)}).open_stream(model=MODEL) as stream:
        assert next(iter(stream))
    assert jimmy.wait_closed()


@BOTH
def test_a_connection_that_breaks_is_no_answer(ask, jimmy, streamed):
    jimmy.say(text_answer("Hello my friend", stats()).cut_after(bytes=8))
    reply = ask(stream=streamed)
    if streamed:
        assert reply.stream_error["code"] == "upstream_truncated" and b"Hello my" in reply.raw
    else:
        assert (reply.status, reply.error["code"]) == (502, "upstream_truncated")
        assert len(jimmy.asked) == 2, "asked once more while nothing has left"


# --- inside -----------------------------------------------------------------------------------------------------------


def test_a_stream_tells_the_call_how_it_ended(jimmy):
    call = UpstreamCall(Trace("POST", "/"))
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    batches = chatjimmy.stream(body, target(jimmy.url), call)
    first = next(batches)
    assert call.saw_done is False and first[0]["choices"][0]["delta"]["role"] == "assistant"
    rest = [chunk for batch in batches for chunk in batch]
    assert call.saw_done is True and rest[-1]["usage"]["prompt_tokens"] > 0
    assert call.trace.raw_chunks > 0


def test_what_came_is_traced_even_if_it_was_no_answer(jimmy):
    jimmy.say(bytes_answer(b"\n"))
    call = UpstreamCall(Trace("POST", "/"))
    with pytest.raises(UpstreamError):
        chatjimmy.complete({"messages": [{"role": "user", "content": "hi"}]}, target(jimmy.url), call)
    assert call.trace.last("upstream_response") is not None


@BOTH
@pytest.mark.parametrize("tools", [None, [{"type": "function", "function": {"name": "f", "parameters": {}}}]])
def test_json_that_was_asked_for_comes_without_a_fence(ask, jimmy, streamed, tools):
    jimmy.say(text_answer('```json\n{"a": "</x> ```"}\n```\nThat is it.', stats(), pieces=3))
    form = {"type": "json_object"}
    reply = ask(options={"toolEmulation": True}, response_format=form, stream=streamed, tools=tools)
    assert (reply.text, reply.finish) == ('{"a": "</x> ```"}', ["stop"])
    assert usage(reply)["prompt_tokens"] == 18
    assert "write only one JSON object" in jimmy.asked[0].system
    assert ask(options={"toolEmulation": True}, stream=streamed, tools=tools).text.startswith("```json"), "nobody asked for it"
