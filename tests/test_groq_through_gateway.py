"""Groq as agents meet it, through the whole gateway: both engines, streamed and whole, against a fake upstream."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.answers import chunk, completion, stream, tool, tool_call
from tests.client import LiveGateway, Reply
from tests.upstream import FakeUpstream, json_answer, sse_answer

ERRORS = json.loads((Path(__file__).parent / "fixtures" / "groq" / "errors.json").read_text("utf-8"))
BOTH = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
MODEL = "openai/gpt-oss-20b"
MESSAGES = [{"role": "user", "content": "Read a.py"}]


@pytest.fixture
def groq(serve, upstream: FakeUpstream, engine: str):
    """Start a gateway whose provider is Groq's package at the fake upstream: `groq(models={…}, toolIds="mint")`."""

    def start(models: dict[str, Any] | None = None, **options: Any) -> LiveGateway:
        whole = {"baseURL": upstream.base_url, "apiKey": "gsk_0123456789abcdef", "engine": engine, **options}
        return serve({"groq": {"npm": "@ai-sdk/groq", "options": whole, "models": models or {MODEL: {}, "*": {}}}})

    return start


def good(streamed: bool, text: str = "Hello!") -> Any:
    return sse_answer(stream(text)) if streamed else json_answer(completion(text))


def calling(streamed: bool, name: str = "read") -> Any:
    """An answer that calls a tool, as Groq gives it."""
    call = tool_call(name)
    if not streamed:
        answer = completion("", tool_calls=[call])
        answer["choices"][0] |= {"finish_reason": "tool_calls"}
        return json_answer(answer)
    return sse_answer([chunk(role="assistant", content=None, tool_calls=[{"index": 0, **call}]), chunk("tool_calls")])


def ask(gateway: LiveGateway, streamed: bool, headers: dict[str, str] | None = None, **fields: Any) -> Reply:
    return gateway.chat(headers, **({"model": MODEL, "messages": MESSAGES, "stream": streamed} | fields))


# --- which model ----------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("listed", ["gpt-oss-20b", "openai/gpt-oss-20b"])
@pytest.mark.parametrize("asked", ["gpt-oss-20b", "openai/gpt-oss-20b"])
def test_either_spelling_reaches_the_same_model(groq, upstream, streamed, listed, asked):
    upstream.reply(good(streamed))
    reply = ask(groq({listed: {}}), streamed, model=asked)
    assert reply.text == "Hello!" and upstream.bodies[0]["model"] == "openai/gpt-oss-20b"
    models = {chunk["model"] for chunk in reply.chunks} if streamed else {reply.json["model"]}
    assert models == {asked}


@BOTH
@pytest.mark.parametrize("model", ["llama-3.3-70b-versatile", "moonshotai/kimi-k2-instruct", "gpt-oss-120b"])
def test_one_entry_serves_all_other_models(groq, upstream, streamed, model):
    upstream.reply(good(streamed))
    reply = ask(groq(), streamed, model=model, logprobs=True)
    assert reply.text == "Hello!"
    sent = upstream.requests[0]
    assert sent.body["model"] == {"gpt-oss-120b": "openai/gpt-oss-120b"}.get(model, model)
    assert sent.path == "/v1/chat/completions" and sent.headers["authorization"] == "Bearer gsk_0123456789abcdef"
    assert "logprobs" not in sent.body, "Groq's rules serve it"


@BOTH
@pytest.mark.parametrize("model", ["llama3-8b-8192", "llama3-70b-8192", "mixtral-8x7b-32768", "gemma-7b-it"])
def test_a_model_that_groq_has_no_more_is_told_so(groq, upstream, streamed, model):
    message = f"The model `{model}` has been decommissioned and is no longer supported."
    body = {"error": {"message": message, "type": "invalid_request_error", "code": "model_decommissioned"}}
    upstream.refuse(400, body)
    reply = ask(groq({model: {}}), streamed, model=model)
    assert reply.status == 400 and len(upstream.requests) == 1
    assert reply.error == {
        "message": message,
        "type": "invalid_request_error",
        "param": None,
        "code": "model_decommissioned",
    }


# --- what is sent ---------------------------------------------------------------------------------------------------


@BOTH
def test_a_conversation_with_reasoning_goes_on(groq, upstream, streamed):
    """Groq refuses its own `reasoning` and every null in the history (gptel#774, req_llm#772)."""
    upstream.reply(good(streamed))
    told = {"role": "assistant", "content": None, "reasoning": "r", "reasoning_content": "r", "refusal": None}
    history = [
        {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": "x", "name": "bob"},
        {**told, "channel": "commentary", "annotations": [], "tool_calls": [{**tool_call(), "index": 0}]},
        {"role": "tool", "tool_call_id": "call_1", "name": "read", "content": [{"type": "text", "text": "out"}]},
        {**told, "content": "Done."},
        {"role": "user", "content": [{"type": "text", "text": "More"}]},
    ]
    assert ask(groq(), streamed, messages=history, tools=[tool()]).text == "Hello!"
    assert upstream.bodies[0]["messages"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [tool_call()]},
        {"role": "tool", "tool_call_id": "call_1", "content": "out"},
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": [{"type": "text", "text": "More"}]},
    ]


@BOTH
@pytest.mark.parametrize(
    ("given", "sent"),
    (
        ({"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        ({"reasoning_effort": "high"}, {"reasoning_effort": "high"}),
        ({"reasoning_effort": "minimal"}, {"reasoning_effort": "low"}),
        ({"reasoning_effort": "none"}, {"reasoning_effort": "low"}),
        ({"reasoning_format": "hidden"}, {"reasoning_format": "hidden"}),
        ({"include_reasoning": False}, {"include_reasoning": False}),
    ),
)
def test_reasoning_parameters(groq, upstream, streamed, given, sent):
    upstream.reply(good(streamed))
    assert ask(groq(), streamed, **given).status == 200
    names = ("reasoning_effort", "reasoning_format", "include_reasoning")
    assert {name: value for name, value in upstream.bodies[0].items() if name in names} == sent


@BOTH
def test_an_effort_that_the_model_does_not_know_is_left_out(groq, upstream, streamed):
    refusal = {"error": {"message": "`reasoning_effort` is not supported with this model", "param": "reasoning_effort"}}
    upstream.reply(json_answer(refusal, 400), good(streamed))
    assert ask(groq(), streamed, model="llama-3.3-70b-versatile", reasoning_effort="high").text == "Hello!"
    assert [body.get("reasoning_effort") for body in upstream.bodies] == ["high", None]


@BOTH
@pytest.mark.parametrize("kind", ["json_object", "json_schema"])
def test_json_comes_whole_and_is_streamed_where_that_is_asked(groq, upstream, streamed, kind):
    upstream.reply(json_answer(completion('{"a":1}')))
    form = {"type": kind} | ({"json_schema": {"name": "n", "schema": {"type": "object"}}} if kind != "json_object" else {})
    reply = ask(groq(), streamed, response_format=form, stream_options={"include_usage": True} if streamed else None)
    assert reply.text == '{"a":1}' and reply.finish == ["stop"] and reply.streamed is streamed
    sent = upstream.bodies[0]
    assert not sent.get("stream") and "stream_options" not in sent and sent["response_format"] == form
    if streamed:
        assert reply.chunks[-1]["usage"]["total_tokens"] == 5
        assert reply.headers["x-gateway-repairs"].count("groq.json_stream") == 1


@BOTH
def test_json_beside_tools_is_said_in_words(groq, upstream, streamed):
    upstream.reply(calling(streamed))
    reply = ask(groq(), streamed, response_format={"type": "json_object"}, tools=[tool()])
    assert [call["function"]["name"] for call in reply.tool_calls] == ["read"]
    sent = upstream.bodies[0]
    assert "response_format" not in sent and "JSON" in sent["messages"][0]["content"]
    assert bool(sent.get("stream")) is streamed


# --- what comes back ------------------------------------------------------------------------------------------------


@BOTH
def test_reasoning_comes_under_the_name_that_agents_read(groq, upstream, streamed):
    if streamed:
        said = [chunk(role="assistant", content=""), chunk(reasoning="I ", channel="analysis"), chunk(reasoning="think")]
        upstream.reply(sse_answer([*said, *stream("Hi")[1:]]))
    else:
        upstream.reply(json_answer(completion("Hi", reasoning="I think")))
    reply = ask(groq(), streamed)
    if streamed:
        assert "".join(delta.get("reasoning_content") or "" for delta in reply.deltas) == "I think"
        assert not [delta for delta in reply.deltas if "reasoning" in delta or "channel" in delta]
    else:
        message = reply.json["choices"][0]["message"]
        assert message["reasoning_content"] == "I think" and "reasoning" not in message
    assert reply.text == "Hi"


@BOTH
def test_a_name_with_leaked_tokens_is_cut(groq, upstream, streamed):
    upstream.reply(calling(streamed, "functions.read<|channel|>commentary"))
    reply = ask(groq(), streamed, tools=[tool()])
    assert [call["function"]["name"] for call in reply.tool_calls] == ["read"]


# --- tools that may not be called -----------------------------------------------------------------------------------

NONE = {"tools": [tool()], "tool_choice": "none"}
FORBIDDEN = ERRORS[0]["body"]


@BOTH
@pytest.mark.parametrize("headers", [{"User-Agent": "Cline/3.1"}, {"X-Title": "Roo Code"}, None])
def test_assistants_that_forbid_their_tools_get_them(groq, upstream, streamed, headers):
    upstream.reply(calling(streamed))
    reply = ask(groq(), streamed, headers, **NONE)
    assert upstream.bodies[0]["tool_choice"] == "auto" and len(reply.tool_calls) == 1
    assert "client.tool_choice_none=1" in reply.headers["x-gateway-repairs"]


@BOTH
def test_a_forbidden_call_is_asked_for_once_more(groq, upstream, streamed):
    """`Tool choice is none, but model called a tool` (litellm#21242), where the rule for assistants is off."""
    upstream.reply(json_answer(FORBIDDEN, 400), calling(streamed))
    reply = ask(groq(repairs={"client.tool_choice_none": "off"}), streamed, **NONE)
    assert [body["tool_choice"] for body in upstream.bodies] == ["none", "auto"]
    assert len(reply.tool_calls) == 1 and reply.finish == ["tool_calls"]
    assert "groq.tool_choice_none=1" in reply.headers["x-gateway-repairs"]


def test_a_forbidden_call_in_a_stream_is_asked_for_once_more(groq, upstream):
    upstream.reply(sse_answer([FORBIDDEN]), calling(True))
    reply = ask(groq(repairs={"client.tool_choice_none": "off"}), True, **NONE)
    assert [body["tool_choice"] for body in upstream.bodies] == ["none", "auto"] and len(reply.tool_calls) == 1


@BOTH
def test_a_forbidden_call_is_asked_for_never_more_than_once(groq, upstream, streamed):
    upstream.refuse(400, FORBIDDEN)
    reply = ask(groq(repairs={"client.tool_choice_none": "off"}), streamed, **NONE)
    assert [body["tool_choice"] for body in upstream.bodies] == ["none", "auto"]
    assert reply.status == 400 and reply.error["code"] == "tool_use_failed"
    assert reply.error["message"] == FORBIDDEN["error"]["message"]


@BOTH
def test_none_may_be_kept(groq, upstream, streamed):
    upstream.refuse(400, FORBIDDEN)
    reply = ask(groq(toolChoiceNone="keep"), streamed, **NONE)
    assert {body["tool_choice"] for body in upstream.bodies} == {"none"} and len(upstream.bodies) == 2
    assert reply.status == 400 and reply.error["code"] == "tool_use_failed"


@BOTH
def test_a_call_without_tools_is_asked_again_as_it_was(groq, upstream, streamed):
    upstream.reply(json_answer(FORBIDDEN, 400), good(streamed))
    assert ask(groq(), streamed).text == "Hello!"
    assert upstream.bodies[0] == upstream.bodies[1]


# --- calls that Groq refuses ----------------------------------------------------------------------------------------

FAILED = "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details."


def refused(generation: str, message: str = FAILED) -> dict[str, Any]:
    error = {"message": message, "type": "invalid_request_error", "code": "tool_use_failed"}
    return {"error": error | {"failed_generation": generation}}


@BOTH
@pytest.mark.parametrize("how", ["refused", "event"])
@pytest.mark.parametrize("generation", [
    '{"name": "read", "arguments": {"path": "a.py"}}',
    '{"name": "functions.read<|channel|>commentary", "arguments": {"path": "a.py"}}',
    '<function=read{"path": "a.py"}</function>',
    '<|channel|>commentary to=functions.read <|constrain|>json<|message|>{"path": "a.py"}<|call|>',
])
def test_a_refused_call_is_read_and_made(groq, upstream, streamed, how, generation):
    body = refused(generation)
    upstream.reply(json_answer(body, 400) if how == "refused" else sse_answer([body]) if streamed else json_answer(body))
    reply = ask(groq(), streamed, tools=[tool()])
    assert reply.status == 200 and len(upstream.requests) == 1
    (call,) = reply.tool_calls
    assert call["function"]["name"] == "read" and json.loads(call["function"]["arguments"]) == {"path": "a.py"}
    assert reply.finish == ["tool_calls"]
    assert "groq.failed_generation=1" in reply.headers["x-gateway-repairs"]


def test_a_refused_call_goes_on_where_the_stream_has_begun(groq, upstream):
    answer = sse_answer([chunk(reasoning="Hm."), refused('{"name": "read", "arguments": {"path": "a.py"}}')])
    gate = answer.gate_after(1)
    upstream.reply(answer)
    with groq().open_stream(model=MODEL, messages=MESSAGES, tools=[tool()]) as reply:
        blocks = iter(reply)
        while b"Hm." not in next(blocks):
            pass
        gate.open()
        rest = list(blocks)
    assert any(b'"name":"read"' in block for block in rest) and b'"finish_reason":"tool_calls"' in rest[-2]
    assert rest[-1] == b"data: [DONE]" and len(upstream.requests) == 1


@BOTH
def test_a_long_name_that_was_changed_comes_back_as_it_was(groq, upstream, streamed):
    name = "mcp__" + "server_" * 12 + "read"

    def refuse(request):
        sent = request.body["tools"][0]["function"]["name"]
        assert len(sent) <= 64
        return json_answer(refused(json.dumps({"name": sent, "arguments": {"path": "a"}})), 400)

    upstream.reply_with(refuse)
    reply = ask(groq(), streamed, tools=[tool(name)])
    assert [call["function"]["name"] for call in reply.tool_calls] == [name]


@BOTH
def test_words_in_place_of_a_call_are_the_answer(groq, upstream, streamed):
    upstream.refuse(400, refused("I need to know which file."))
    reply = ask(groq(), streamed, tools=[tool()])
    assert (reply.text, reply.finish) == ("I need to know which file.", ["stop"])


@BOTH
@pytest.mark.parametrize("generation", ["import csv\\nmax_country=None", '{"name": "read", "arguments": {"path": "a', "",
                                        '{"name": "nobody", "arguments": {}}'])  # fmt: skip
def test_what_cannot_be_read_is_asked_for_once_more(groq, upstream, streamed, generation):
    body = refused(generation, "Failed to parse tool call arguments as JSON")
    upstream.reply(json_answer(body, 400, {"x-request-id": "req_1"}), calling(streamed))
    gateway = groq()
    assert len(ask(gateway, streamed, tools=[tool()]).tool_calls) == 1
    assert upstream.bodies[0] == upstream.bodies[1]
    upstream.refuse(400, body)
    reply = ask(gateway, streamed, tools=[tool()])
    assert len(upstream.requests) == 4 and reply.status == 400
    assert reply.error == {name: body["error"].get(name) for name in ("message", "type", "param", "code")}


@BOTH
def test_the_models_own_words_teach_nothing(groq, upstream, streamed):
    """A refused generation may quote anything: an upstream's real refusals are learned from, not this."""
    upstream.reply(json_answer(refused('{ property \'seed\' is unsupported; Unknown name "top_p"'), 400), good(streamed))
    assert ask(groq(), streamed, seed=1, top_p=0.5, tools=[tool()]).text == "Hello!"
    assert upstream.bodies[1]["seed"] == 1 and upstream.bodies[1]["top_p"] == 0.5


@BOTH
def test_long_tool_lists_of_assistants_are_cut_where_that_is_asked(groq, upstream, streamed):
    upstream.reply(good(streamed))
    tools = [tool(f"t{number}") for number in range(20)]
    gateway = groq(maxAssistantTools=3)
    for agent, names in (("Cline/3.1", ["t0", "t1", "t2"]), ("curl/8", [f"t{number}" for number in range(20)])):
        ask(gateway, streamed, {"User-Agent": agent}, tools=tools)
        assert [sent["function"]["name"] for sent in upstream.bodies[-1]["tools"]] == names


@BOTH
def test_other_refusals_stay_what_they_are(groq, upstream, streamed):
    for entry in ERRORS[3:]:
        body = {"error": entry["body"]["error"] | {"message": entry["body"]["error"]["message"].replace("property", "field")}}
        upstream.refuse(entry["status"], body)
        reply = ask(groq(), streamed)
        assert reply.status == 400 and reply.error["message"] == body["error"]["message"]


