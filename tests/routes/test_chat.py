"""POST /v1/chat/completions over both engines: what the upstream gets, and what the client gets back."""

import json
from pathlib import Path

import pytest

from tests.answers import USAGE, chunk, completion, stream, tool, tool_call
from tests.client import chat_body
from tests.conftest import provider_at

CAPTURED = sorted((Path(__file__).parent.parent / "fixtures" / "agents").glob("*.json"))
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "out", "strict": True, "schema": {
    "type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}}}
CONVERSATION = [
    {"role": "system", "content": [{"type": "text", "text": "Also kind."}]},
    {"role": "user", "name": "ann", "content": [{"type": "text", "text": "What is this?"}, IMAGE]},
    {"role": "assistant", "content": "Let me look.", "tool_calls": [tool_call()]},
    {"role": "tool", "tool_call_id": "call_1", "content": "1: é\u2028🙂"},
    {"role": "user", "content": "Go on."},
]

# Every request field of OpenAI's chat completions, and some that are not: each reaches the upstream as it was sent.
FIELDS = {
    "temperature": 0.25, "top_p": 0.5, "n": 2, "max_tokens": 77, "max_completion_tokens": 78, "stop": ["\n\n", "END"],
    "presence_penalty": 0.5, "frequency_penalty": -0.5, "logit_bias": {"50256": -100}, "logprobs": True,
    "top_logprobs": 3, "user": "user-1", "seed": 2**40, "store": True, "metadata": {"session": "s1"},
    "reasoning_effort": "low", "verbosity": "low", "service_tier": "flex", "parallel_tool_calls": False,
    "response_format": SCHEMA, "prediction": {"type": "content", "content": "abc"}, "modalities": ["text"],
    "audio": {"voice": "alloy", "format": "wav"}, "web_search_options": {"search_context_size": "low"},
    "prompt_cache_key": "k1", "prompt_cache_retention": "24h", "safety_identifier": "u1",
    "tool_choice": {"type": "function", "function": {"name": "read"}}, "tools": [tool(), tool("write")],
    "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1, "chat_template_kwargs": {"enable_thinking": False},
    "extra_body": {"google": {"thinking_config": {"include_thoughts": True}}}, "provider": {"order": ["a"]},
    "api_key": "a field of that name", "custom_llm_provider": "another", "headers": {"X": "y"}, "timeout": 3,
    "messages": CONVERSATION, "stop_text": "x", "some_future_field": [1, {"a": None}],
}
WITH_TOOLS = {"tool_choice", "parallel_tool_calls"}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", FIELDS)
def test_every_field_reaches_the_upstream(gateway, upstream, name, streamed):
    upstream.reply_sse(stream()) if streamed else upstream.reply_json(completion())
    others = {"tools": [tool()]} if name in WITH_TOOLS else {}
    body = chat_body(**{name: FIELDS[name], **others, "stream": streamed})
    assert gateway.post("/v1/chat/completions", body).status == 200
    (sent,) = upstream.bodies
    assert sent[name] == FIELDS[name]


def test_nothing_else_reaches_the_upstream(gateway, upstream):
    upstream.reply_json(completion())
    assert gateway.chat().status == 200
    (request,) = upstream.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == "Bearer sk-upstream-0123456789"
    assert request.headers["content-type"] == "application/json"
    expected = chat_body(temperature=0.7, max_tokens=1000)
    assert {name: value for name, value in request.body.items() if name != "stream"} == expected
    assert request.body.get("stream", False) is False


def test_both_engines_send_the_same(client_for, upstream, litellm_loaded):
    upstream.reply_json(completion())
    body = chat_body(**FIELDS, stream=False)
    for engine in ("relay", "litellm"):
        assert client_for(engine).post("/v1/chat/completions", body).status == 200
    first, second = upstream.requests
    assert first.body == second.body
    ours = {"host", "content-length", "accept", "accept-encoding", "connection"}
    assert {name: first.headers[name] for name in set(first.headers) - ours} == {
        name: second.headers[name] for name in set(second.headers) - ours}


@pytest.mark.parametrize(("options", "role"), [({"developerRole": "keep"}, "developer"), ({}, "system")])
def test_the_developer_role_is_kept_or_its_change_is_told(serve, upstream, engine, options, role):
    upstream.reply_json(completion())
    gateway = serve({"up": provider_at(upstream.base_url, engine, **options)})
    reply = gateway.chat(messages=[{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}])
    assert [message["role"] for message in upstream.bodies[0]["messages"]] == [role, "user"]
    assert ("developer_role" in reply.headers.get("x-gateway-repairs", "")) is (role == "system")


@pytest.mark.parametrize("options", [{"include_usage": True}, {"include_usage": True, "include_obfuscation": False}])
def test_stream_options_reach_the_upstream(gateway, upstream, options):
    upstream.reply_sse([*stream(), {"choices": [], "usage": USAGE}])
    reply = gateway.chat(stream=True, stream_options=options)
    assert upstream.bodies[0]["stream_options"] == options
    assert reply.chunks[-1]["usage"] == USAGE and reply.chunks[-1]["choices"] == []


def test_a_stream_without_include_usage_has_no_usage(gateway, upstream):
    upstream.reply_sse([*stream(), {"choices": [], "usage": USAGE}])
    assert not [part for part in gateway.chat(stream=True).chunks if part.get("usage") or not part["choices"]]


def test_null_is_not_sent(gateway, upstream):
    upstream.reply_json(completion())
    gateway.chat(stop=None, tools=None, seed=None, stream=None, temperature=None)
    assert not {"stop", "tools", "seed"} & set(upstream.bodies[0])
    assert upstream.bodies[0]["temperature"] == 0.7


@pytest.mark.parametrize(("environ", "entry", "fields", "expected"), [
    ({}, {}, {}, {"temperature": 0.7, "max_tokens": 1000, "tool_choice": None}),
    ({}, {"limit": {"output": 8192}}, {"tools": [tool()]}, {"max_tokens": 8192, "tool_choice": "auto"}),
    ({"MAX_TOKENS": "none", "TEMPERATURE": "none", "GATEWAY_TOOL_CHOICE": "none"}, {}, {"tools": [tool()]},
     {"max_tokens": None, "temperature": None, "tool_choice": None}),
    ({}, {}, {"max_completion_tokens": 5000}, {"max_completion_tokens": 5000, "max_tokens": None}),
    ({}, {"options": {"reasoningEffort": "high"}}, {}, {"reasoning_effort": "high", "reasoningEffort": None}),
])
def test_defaults_at_the_wire(client_for, engine, upstream, environ, entry, fields, expected):
    upstream.reply_json(completion())
    client_for(engine, {"some-model": entry}, **environ).chat(**fields)
    assert {name: upstream.bodies[0].get(name) for name in expected} == expected


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions", "/v1/chat/completions/"])
def test_both_paths_answer(gateway, upstream, path):
    upstream.reply_json(completion())
    assert gateway.post(path, chat_body()).text == "Hello!"


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/json; charset=utf-8"])
def test_the_content_type_does_not_matter(gateway, upstream, content_type):
    upstream.reply_json(completion())
    assert gateway.post("/v1/chat/completions", chat_body(), {"Content-Type": content_type}).status == 200


# --- names -------------------------------------------------------------------------------------------------------

NAMES = {"some-model": {"id": "vendor/the-real-name"}, "other": {}, "SOME-other": {}}


@pytest.mark.parametrize(("asked", "sent"), [
    ("some-model", "vendor/the-real-name"), ("up/some-model", "vendor/the-real-name"), ("other", "other"),
    ("vendor/the-real-name", "vendor/the-real-name"), ("some-OTHER", "SOME-other"), ("alias", "other"),
    ("Local Provider/alias", "other"), ("first", "vendor/the-real-name")])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_the_answer_carries_the_name_that_was_asked_for(serve, upstream, engine, asked, sent, streamed):
    options = {"baseURL": upstream.base_url, "engine": engine}
    gateway = serve({
        "up": {"options": options, "models": NAMES},
        "Local Provider": {"options": {"engine": "alias"}, "models": {"alias": {"id": "other"}, "first": {}}}})
    upstream.reply_sse(stream()) if streamed else upstream.reply_json(completion())
    reply = gateway.chat(model=asked, stream=streamed)
    assert upstream.bodies[0]["model"] == sent
    assert {part["model"] for part in (reply.chunks if streamed else [reply.json])} == {asked}


@pytest.mark.parametrize("streamed", [False, True])
def test_an_unknown_name_lists_near_ones(client_for, upstream, streamed):
    reply = client_for("relay", {"some-model": {}, "some-modem": {}}).chat(model="some-mode", stream=streamed)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (404, "model_not_found", "model")
    assert "some-model" in reply.error["message"] and "some-modem" in reply.error["message"]
    assert upstream.requests == []


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("missing", [None, ""])
def test_model_name_stands_in_for_a_missing_model(client_for, upstream, missing, streamed):
    upstream.reply_sse(stream("hi")) if streamed else upstream.reply_json(completion())
    client = client_for("relay", {"other-model": {}, "some-model": {}}, MODEL_NAME="some-model")
    reply = client.chat(model=missing, stream=streamed)
    assert reply.status == 200 and upstream.bodies[0]["model"] == "some-model"
    assert {part["model"] for part in (reply.chunks if streamed else [reply.json])} == {"some-model"}


def test_without_any_model_a_missing_one_is_said(serve):
    reply = serve({}).chat(model=None)
    assert (reply.status, reply.error["param"]) == (400, "model")
    assert reply.error["code"] == "missing_required_parameter"


def test_the_first_model_of_the_file_stands_in_for_a_missing_one(client_for, upstream):
    upstream.reply_json(completion())
    reply = client_for("relay", {"first-model": {}, "second-model": {}}).post(
        "/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}
    )
    assert (reply.status, reply.json["model"], upstream.bodies[0]["model"]) == (200, "first-model", "first-model")


# --- answers -----------------------------------------------------------------------------------------------------


def test_a_whole_answer_is_openais(gateway, upstream):
    upstream.reply_json(completion("Hi é 🙂") | {"system_fingerprint": "fp_1"})
    reply = gateway.chat()
    assert reply.headers["content-type"] == "application/json"
    assert reply.json["object"] == "chat.completion" and reply.json["usage"]["total_tokens"] == 5
    assert reply.json["choices"][0]["message"] == {"role": "assistant", "content": "Hi é 🙂", "refusal": None}
    assert reply.finish == ["stop"]


def test_a_stream_is_openais(gateway, upstream):
    upstream.reply_sse(stream("Hi ", "é ", "🙂"))
    reply = gateway.chat(stream=True)
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["cache-control"] == "no-cache, no-transform" and reply.headers["x-accel-buffering"] == "no"
    assert (reply.text, reply.finish) == ("Hi é 🙂", ["stop"])
    assert {part["object"] for part in reply.chunks} == {"chat.completion.chunk"}
    assert {(part["id"], part["created"]) for part in reply.chunks} == {("chatcmpl-up1", 1_700_000_000)}
    assert [delta for delta in reply.deltas if "role" in delta] == [reply.deltas[0]]


def call_chunks():
    begin = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "read", "arguments": ""}}
    return [chunk(role="assistant", content=None, tool_calls=[begin]),
            *(chunk(tool_calls=[{"index": 0, "function": {"arguments": part}}]) for part in ('{"pa', 'th":"a.', 'py"}')),
            chunk("tool_calls")]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_tool_calls_come_back(gateway, upstream, streamed):
    if streamed:
        upstream.reply_sse(call_chunks())
    else:
        answer = completion(None, tool_calls=[tool_call()])
        answer["choices"][0]["finish_reason"] = "tool_calls"
        upstream.reply_json(answer)
    reply = gateway.chat(tools=[tool()], tool_choice="required", stream=streamed)
    assert reply.tool_calls == [tool_call()]
    assert reply.finish == ["tool_calls"]
    assert upstream.bodies[0]["tools"] == [tool()] and upstream.bodies[0]["tool_choice"] == "required"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_several_choices_come_back(gateway, upstream, streamed):
    if streamed:
        parts = []
        for index in (0, 1):
            for part in stream(f"choice {index}"):
                part["choices"][0]["index"] = index
                parts.append(part)
        upstream.reply_sse(parts)
    else:
        answer = completion("choice 0")
        answer["choices"].append({**answer["choices"][0], "index": 1, "message": {"role": "assistant", "content": "choice 1"}})
        upstream.reply_json(answer)
    reply = gateway.chat(n=2, stream=streamed)
    said = {}
    for part in reply.chunks if streamed else [reply.json]:
        for choice in part["choices"]:
            text = choice["delta" if streamed else "message"].get("content")
            said[choice["index"]] = said.get(choice["index"], "") + (text or "")
    assert said == {0: "choice 0", 1: "choice 1"}
    assert reply.finish == ["stop", "stop"]


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: path.stem)
def test_what_agents_really_send_gets_an_answer(gateway, upstream, path):
    body = json.loads(path.read_bytes())["body"] | {"model": "some-model"}
    streamed = bool(body.get("stream"))
    upstream.reply_sse(stream()) if streamed else upstream.reply_json(completion())
    reply = gateway.post("/v1/chat/completions", body)
    assert (reply.status, reply.text, reply.finish) == (200, "Hello!", ["stop"])
    (sent,) = upstream.bodies
    assert len(sent["messages"]) == len(body["messages"])
    assert [call["function"]["name"] for call in sent.get("tools", ())] == [
        call["function"]["name"] for call in body.get("tools", ())]
