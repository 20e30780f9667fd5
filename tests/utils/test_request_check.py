"""What a chat request must look like: good ones pass unchanged, bad ones get a 400 that names the place."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest
from app.utils.request_check import FIELDS, ROLES, check_chat_request
from tests.answers import tool, tool_call

CAPTURED = sorted((Path(__file__).parent.parent / "fixtures" / "agents").glob("*.json"))
USER = {"role": "user", "content": "hi"}


def chat(**fields):
    return {"model": "m", "messages": [USER], **fields}


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: path.stem)
def test_what_agents_really_send_passes_unchanged(path):
    body = json.loads(path.read_bytes())["body"]
    before = copy.deepcopy(body)
    assert check_chat_request(body) is body
    assert body == before


def test_there_are_captured_requests():
    assert len(CAPTURED) > 20


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


@pytest.mark.parametrize("body", [
    {"messages": [USER]},
    chat(temperature=1), chat(temperature=0.5), chat(top_p=1), chat(n=2), chat(seed=-1), chat(stop="x"), chat(stop=["x"]),
    chat(**dict.fromkeys(set(FIELDS) - {"messages"})),
    chat(tool_choice="auto", tools=[tool()]), chat(tool_choice={"type": "function", "function": {"name": "read"}}),
    chat(tools=[]), chat(tools=[{"type": "function", "name": "flat", "parameters": {}}]),
    chat(tools=[{"type": "custom", "custom": {"name": "x"}}]), chat(tools=[{"function": {"name": "x"}}]),
    chat(tools=[{"type": "function", "function": {"name": "x", "parameters": None}}]),
    chat(unknown=[1], another={"a": 1}),
    chat(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}, IMAGE]}]),
    chat(messages=[{"role": "user", "content": ["plain", "texts"]}]),
    chat(messages=[{"role": "user", "content": []}]),
    chat(messages=[USER, {"role": "assistant", "content": None, "tool_calls": [tool_call()]},
                   {"role": "tool", "tool_call_id": "call_1", "content": "done"}]),
    chat(messages=[{"role": "assistant", "tool_calls": None}]),
    chat(messages=[{"role": "assistant", "tool_calls": [{"type": "custom", "custom": {"name": "x", "input": ""}}]}]),
    chat(n=128, max_tokens=1, max_completion_tokens=1),
])
def test_good_bodies_pass_unchanged(body):
    before = copy.deepcopy(body)
    assert check_chat_request(body) is body
    assert body == before


@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_role_passes(role):
    check_chat_request(chat(messages=[{"role": role, "content": "x"}]))


# (body, param)
BAD = [
    (None, None), ([], None), ("hi", None), (1, None), (True, None), ([chat()], None),
    ({}, "messages"), ({"model": "m"}, "messages"), (chat(messages=None), "messages"), (chat(messages=[]), "messages"),
    (chat(messages="hi"), "messages"), (chat(messages={"role": "user"}), "messages"),
    (chat(messages=["hi"]), "messages[0]"), (chat(messages=[USER, None]), "messages[1]"),
    (chat(messages=[{"content": "hi"}]), "messages[0].role"), (chat(messages=[{"role": "robot"}]), "messages[0].role"),
    (chat(messages=[{"role": ["user"]}]), "messages[0].role"),
    (chat(messages=[{"role": "user", "content": 1}]), "messages[0].content"),
    (chat(messages=[{"role": "user", "content": {"text": "hi"}}]), "messages[0].content"),
    (chat(messages=[{"role": "user", "content": [{}, 1]}]), "messages[0].content[1]"),
    (chat(messages=[{"role": "user", "content": [None]}]), "messages[0].content[0]"),
    (chat(messages=[{"role": "assistant", "tool_calls": {}}]), "messages[0].tool_calls"),
    (chat(messages=[{"role": "assistant", "tool_calls": ["x"]}]), "messages[0].tool_calls"),
    (chat(messages=[{"role": "assistant", "tool_calls": [{"id": "1"}]}]), "messages[0].tool_calls[0].function"),
    (chat(messages=[{"role": "assistant", "tool_calls": [{"function": "x"}]}]), "messages[0].tool_calls[0].function"),
    (chat(model=1), "model"), (chat(model=["m"]), "model"), (chat(model={}), "model"),
    (chat(temperature="hot"), "temperature"), (chat(temperature=True), "temperature"), (chat(top_p=[]), "top_p"),
    (chat(n=0), "n"), (chat(n=-1), "n"), (chat(n=1.5), "n"), (chat(n=True), "n"), (chat(n=129), "n"),
    (chat(n="2"), "n"), (chat(max_tokens="many"), "max_tokens"), (chat(max_tokens=0), "max_tokens"),
    (chat(max_tokens=10.5), "max_tokens"), (chat(max_completion_tokens=-5), "max_completion_tokens"),
    (chat(stream="true"), "stream"), (chat(stream=1), "stream"), (chat(stream_options=True), "stream_options"),
    (chat(stop=1), "stop"), (chat(seed="x"), "seed"), (chat(tools={}), "tools"), (chat(tools="read"), "tools"),
    (chat(tools=[None]), "tools[0]"), (chat(tools=[tool(), "read"]), "tools[1]"),
    (chat(tools=[{"type": "function", "function": []}]), "tools[0].function"),
    (chat(tools=[{"type": "function", "function": {}}]), "tools[0].function.name"),
    (chat(tools=[{"type": "function", "function": {"name": ""}}]), "tools[0].function.name"),
    (chat(tools=[{"type": "function", "function": {"name": "x", "parameters": []}}]), "tools[0].function.parameters"),
    (chat(tool_choice=1), "tool_choice"), (chat(parallel_tool_calls="no"), "parallel_tool_calls"),
    (chat(response_format="json"), "response_format"), (chat(reasoning_effort=3), "reasoning_effort"),
    (chat(logit_bias=[]), "logit_bias"), (chat(logprobs=1), "logprobs"), (chat(top_logprobs=True), "top_logprobs"),
    (chat(user=7), "user"), (chat(functions={}), "functions"), (chat(modalities="text"), "modalities"),
]


@pytest.mark.parametrize(("body", "param"), BAD)
def test_bad_bodies_are_refused_with_their_place(body, param):
    with pytest.raises(InvalidRequest) as refused:
        check_chat_request(body)
    assert (refused.value.status, refused.value.type) == (400, "invalid_request_error")
    assert refused.value.param == param
    assert param is None or param in str(refused.value)


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_every_known_field_is_checked(name):
    wrong = object()
    with pytest.raises(InvalidRequest):
        check_chat_request({"messages": [USER], name: wrong})


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["role", "content", "tool_calls", "function", "type", "name"]), inner, max_size=3),
                    max_leaves=6)


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), JSON, max_size=4), JSON)
def test_wild_json_is_refused_or_passes_but_never_breaks(fields, message):
    try:
        check_chat_request({"messages": [message], **fields})
    except InvalidRequest as refused:
        assert refused.status == 400
