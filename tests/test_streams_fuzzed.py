"""Whatever an upstream sends, over the real wire: the client gets a legal answer or an OpenAI-shaped error, soon.

`legal.read` refuses the words with which the gateway admits a bug of its own, so none may hide behind a 500.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.engines import wire
from tests import legal
from tests.maps import ENGINES, MODEL, both_engines
from tests.served import Served
from tests.upstream import FakeUpstream
from tests.upstream_answers import Answer, encode_event, encode_json

scalars = st.none() | st.booleans() | st.integers(-2, 1 << 70) | st.floats() | st.sampled_from(["", "x", "\ud800", "é"])
names = st.sampled_from(["a", "message", "code", "type", "text", "index"])
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2))
texts = st.sampled_from(["Hello", "", " ", "<thought>", "</thought>", "\u2028", "🙂", "a\ud83d"]) | values
arguments = st.sampled_from(['{"a":1}', '{"a":', "1}", "", "{}", "null", "[1]", '{"a":1}{"b":2}']) | values
numbers = st.sampled_from([0, 0, 1, 2, None, "0", -1, True, 10**30]) | values
reasons = st.sampled_from(
    [None, None, "stop", "STOP", "length", "tool_calls", "SAFETY", "MALFORMED_FUNCTION_CALL", "error"]
)
shallow = scalars | st.just([]) | st.just({})  # what is inside these passes as it came
SIGNED = {"google": {"thought_signature": "c2lnbmF0dXJl"}}


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


calls = objects(
    index=numbers,
    id=st.sampled_from(["call_1", "call_2", "", None, "x" * 80]) | values,
    type=st.just("function") | values,
    function=objects(name=st.sampled_from(["write", "read", "", None]) | values, arguments=arguments) | values,
    extra_content=st.just(SIGNED) | values,
)
deltas = objects(
    role=st.just("assistant") | values,
    content=texts,
    reasoning_content=texts,
    reasoning=texts,
    tool_calls=st.lists(calls | values, max_size=3) | values,
    refusal=values,
    function_call=values,
    extra_content=values,
    audio=shallow,
    annotations=shallow,
)
choices = objects(
    index=numbers,
    delta=deltas | values,
    message=deltas | values,
    text=texts,
    finish_reason=reasons | values,
    logprobs=shallow,
)
usages = objects(prompt_tokens=numbers, completion_tokens=numbers, total_tokens=numbers, prompt_tokens_details=values)
chunks = objects(
    id=values,
    created=values,
    model=values,
    object=values,
    system_fingerprint=values,
    service_tier=values,
    choices=st.lists(choices, min_size=1, max_size=2) | values,
    usage=usages | values,
    error=values,
    promptFeedback=values,
)
likely = st.fixed_dictionaries({"choices": st.lists(choices, min_size=1, max_size=1)})
events = likely | likely | chunks | values | st.binary(max_size=12) | st.sampled_from([b": c\n\n", b"data: [DONE]\n\n"])


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """An event stream, or now and then one JSON value, cut anywhere and perhaps cut off."""
    status = draw(st.sampled_from([200] * 9 + [400, 429, 500, 503]))
    if draw(st.integers(0, 9)) == 0:
        body, kind = encode_json(draw(chunks | values)), "application/json"
    else:
        newline = draw(st.sampled_from(["\n", "\r\n"]))
        said = draw(st.lists(events, max_size=6))
        body = b"".join(encode_event(json.dumps(event) if isinstance(event, str) else event, newline) for event in said)
        body, kind = body + (b"data: [DONE]\n\n" if draw(st.booleans()) else b""), "text/event-stream"
    cuts = draw(st.lists(st.integers(1, max(1, len(body))), max_size=5))
    answer = Answer(body, status, {"Content-Type": kind}, draw(st.sampled_from(["chunked", "length", "close"])), cuts)
    if draw(st.integers(0, 5)) == 0:
        answer.cut_after(bytes=draw(st.integers(0, len(body))))
    return answer


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory, litellm_loaded: None) -> Iterator[Served]:
    with Served(both_engines(upstream.base_url), GATEWAY_DATA_DIR=str(tmp_path_factory.mktemp("var"))) as served:
        yield served
    wire.close_idle()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(answer=answers(), engine=st.sampled_from(ENGINES), streamed=st.booleans(), usage=st.booleans())
def test_any_upstream(
    gateway: Served, upstream: FakeUpstream, answer: Answer, engine: str, streamed: bool, usage: bool
) -> None:
    upstream.reply(answer)
    body: dict[str, Any] = {"model": f"{engine}/{MODEL}", "messages": [{"role": "user", "content": "hi"}]}
    body |= {"stream": True, "stream_options": {"include_usage": usage}} if streamed else {}
    before = len(upstream.requests)
    got = legal.read(gateway.post("/v1/chat/completions", body), streamed, usage)
    assert got.error or got.choices
    assert 1 <= len(upstream.requests) - before <= 3
