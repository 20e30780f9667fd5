"""A capture through today's gateway: the same as then for every misbehaviour of an upstream, and a diff where it is not."""

import json
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import replay
from app.capture import Capture, read_capture, write_capture
from app.config import Settings
from app.engines import wire
from app.recording import Recording
from app.replay import NotReplayable, compare, difference
from tests.captures import asks, capture, chunk, emitted_events, note, raw_events, says, target
from tests.maps import both_engines
from tests.scenarios import GEMINI, PLAIN_MODEL, SCENARIOS
from tests.served import Served
from tests.upstream import FakeUpstream, json_answer, sse_answer
from tests.upstream_jimmy import FakeJimmy

SETTINGS = Settings.load({}, dotenv=False, opencode={})


class Keeper:
    """A sink that keeps what a capture file would hold."""

    live = False

    def __init__(self) -> None:
        self.captures: queue.Queue[Capture] = queue.Queue()

    def note(self, trace: Any, station: str, value: Any) -> None: ...
    def raw(self, trace: Any, events: Any) -> None: ...
    def emitted(self, trace: Any, events: Any) -> None: ...

    def finished(self, trace: Any) -> None:
        lines = "".join(write_capture(trace.summary(), trace.capture_events()))
        self.captures.put(read_capture(lines.split("\n")))


def keep(served: Served) -> Keeper:
    keeper = Keeper()
    served.app.extensions["trace_sinks"] = (*served.app.extensions["trace_sinks"], keeper)
    return keeper


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def jimmy() -> Iterator[FakeJimmy]:
    with FakeJimmy() as jimmy:
        yield jimmy


@pytest.fixture(scope="module")
def gateway(upstream, jimmy, tmp_path_factory, litellm_loaded) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("var")
    model_map = both_engines(upstream.base_url, PLAIN_MODEL, GEMINI)
    model_map["provider"]["jimmy"] = {"options": {"engine": "chatjimmy", "baseURL": jimmy.url}, "models": {"llama": {}}}
    with Served(model_map, GATEWAY_DATA_DIR=str(folder)) as served:
        yield served
    wire.close_idle()


@pytest.fixture
def record(gateway):
    """Ask the gateway and return what was captured."""
    keeper, sinks = keep(gateway), gateway.app.extensions["trace_sinks"][:-1]

    def record(body, path="/v1/chat/completions"):
        record.got = gateway.post(path, body).data
        return Recording(keeper.captures.get(timeout=10))  # a request ends a moment after its last byte

    yield record
    gateway.app.extensions["trace_sinks"] = sinks


ROWS = [
    pytest.param(row, streamed, engine, id=f"{row.name}-{'stream' if streamed else 'whole'}-{engine}")
    for number, row in enumerate(SCENARIOS)
    for streamed, engine in ((True, "relay"), (True, "litellm"), (False, "relay"))
    if (row.stream if streamed else row.plain) and (engine == "relay" or number % 5 == 0)
]


@pytest.mark.parametrize(("row", "streamed", "engine"), ROWS)
def test_what_a_bad_upstream_said_comes_out_as_it_did(record, upstream, row, streamed, engine):
    upstream.reply(*(row.stream if streamed else row.plain))
    made = record(row.request_body(f"{engine}/{row.model}", streamed))
    assert difference(made, SETTINGS) == ""


HELLO = {"messages": [{"role": "user", "content": "Say hello."}]}
CALLS = [{"name": "write", "arguments": {"path": "a", "content": "b c d"}}] * 2
MOCK_STEPS = {
    "text": {"text": "Hello there."},
    "thoughts and calls": {"text": "Now.", "reasoning": "Let me see.", "tool_calls": CALLS, "arguments_pieces": 4},
    "refused": {"error": {"status": 429, "message": "Too many.", "retry_after": 7}},
    "an error half-way": {"text": "One two three.", "error_after": 2, "error": {"status": 503, "message": "Gone."}},
    "cut": {"text": "One two three.", "cut_after": 2},
    "chunks as they are": {"raw_chunks": [{"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "STOP"}]}]},
    "nothing": {"raw_chunks": []},
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("step", MOCK_STEPS)
def test_what_the_mock_was_told_to_say(record, step, stream):
    content = f"mock-script: {json.dumps({'turns': [MOCK_STEPS[step]]})}"
    made = record({"model": "mock", "messages": [{"role": "user", "content": content}], "stream": stream})
    assert made.is_raw and difference(made, SETTINGS) == ""


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", HELLO),
        ("/v1/completions", {"prompt": "Once upon", "echo": True}),
        ("/api/generate", {"prompt": "Once upon"}),
    ],
)
def test_each_format_of_the_gateway(record, upstream, path, body, stream):
    said = says("Hello ", "there.") if stream else None
    if stream:
        upstream.reply_sse(said)
    else:
        upstream.reply_json({"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]})
    made = record({**body, "model": "relay/plain-model", "stream": stream}, path)
    assert made.is_raw and difference(made, SETTINGS) == ""


def test_an_answer_that_is_no_utf_8_comes_out_as_it_did(record, upstream):
    upstream.reply_bytes(b'{"choices":[{"message":{"content":"a\xff"}}]}', 200, {"Content-Type": "application/json"})
    made = record({**HELLO, "model": "relay/plain-model"})
    assert made.status == 502 and difference(made, SETTINGS) == ""


def talked(*frames, **summary):
    """What a WebSocket said; its upstream said "Hello there."."""
    body = {"model": "agent-model", "prompt": "Hi", "stream": True}
    made = emitted_events(list(map(json.dumps, frames)), start=0.2)
    return Recording(capture(body, *raw_events(says("Hello ", "there.")), *made, path="/ws/generate", **summary))


def test_what_a_websocket_said():
    last = {"done": True, "finish_reason": "stop", "usage": {"prompt_tokens": 0, "completion_tokens": 3, "total_tokens": 3}}
    assert difference(talked({"token": "Hello "}, {"token": "there."}, last), SETTINGS) == ""
    found = difference(talked({"token": "Hello "}, {"token": "you."}, last), SETTINGS)
    assert '-{"token": "you."}' in found and '+{"token": "there."}' in found


def test_an_error_on_a_websocket():
    body = {"model": "agent-model", "prompt": "Hi", "stream": True}
    refused = {"type": "UpstreamError", "message": "Not you.", "status": 403, "upstream_status": 403,
               "upstream_body": '{"error": {"message": "Not you."}}'}  # fmt: skip
    told = {"error": {"code": "generation_failed", "message": "Not you.", "details": "permission_denied"}}
    events = note(0.2, "error", refused), *emitted_events([json.dumps(told)], start=0.3)
    assert difference(Recording(capture(body, *events, path="/ws/generate", status=403)), SETTINGS) == ""


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/api/generate"])
def test_a_refusal_in_each_format(record, upstream, path):
    upstream.refuse(403, {"error": {"message": "Not you."}})
    body = HELLO if "chat" in path else {"prompt": "Once upon"}
    made = record({**body, "model": "relay/plain-model", "stream": True}, path)
    assert made.status == 403 and difference(made, SETTINGS) == ""
    assert json.loads(made.writes[0][1]) == json.loads(record.got)


@pytest.mark.parametrize("stream", [True, False])
def test_what_an_upstream_taught_by_refusing_is_taught_again(record, upstream, stream):
    """One capture is replayed again and again in one process, beside the upstream itself."""
    refusal = json_answer({"error": {"message": "Unknown parameter: 'verbosity'.", "param": "verbosity"}}, 400)
    whole = {"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]}
    upstream.reply(refusal, sse_answer(says("Hello")) if stream else json_answer(whole))
    made = record({**HELLO, "model": f"relay/{PLAIN_MODEL if stream else GEMINI}", "stream": stream, "verbosity": "low"})
    assert made.status == 200 and len(made.answers) == 2
    for _ in range(2):
        assert difference(made, SETTINGS) == ""


KEY = "AIzaSyCANARY-said-0123456789abcdefghijkl"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/api/generate"])
def test_a_key_that_was_hidden_is_no_difference(record, upstream, path):
    upstream.reply_sse(says("It is ", KEY[:7], KEY[7:20], KEY[20:], " I think."))
    body = {"messages": [{"role": "user", "content": f"Tell me {KEY}"}]} if "chat" in path else {"prompt": f"Tell me {KEY}"}
    made = record({**body, "model": "relay/plain-model", "stream": True}, path)
    assert KEY[:20] not in str(made.writes) and difference(made, SETTINGS) == ""


def test_tokens_that_were_guessed_from_hidden_texts_are_no_difference(record, upstream):
    upstream.reply_json({"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]})
    body = {"messages": [{"role": "user", "content": f"Tell me {KEY}"}], "model": "relay/plain-model"}
    assert difference(record(body), SETTINGS) == ""


def test_a_hidden_key_hides_no_other_difference():
    raw = [chunk({"content": "AIza…ijkl is it"}), chunk({}, "stop")]
    emitted = emitted_events([json.dumps(each | {"model": "agent-model"}) for each in [chunk({"content": "… was it"}), raw[1]]])
    found = difference(Recording(capture(asks("Hi"), *raw_events(raw), *emitted)), SETTINGS)
    assert "-" in found and "was it" in found


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_without_tools_and_its_repair_turn(record, jimmy, stream):
    broken = '<tool_call>{"name": "write", "arguments": {"content": "x"}}</tool_call>'
    good = '<tool_call>{"name": "write", "arguments": {"filePath": "a", "content": "x"}}</tool_call>'
    script = [broken, good]
    jimmy.say(lambda asked: script.pop(0))
    parameters = {"type": "object", "properties": {"filePath": {"type": "string"}}, "required": ["filePath"]}
    tool = {"type": "function", "function": {"name": "write", "parameters": parameters}}
    made = record({**HELLO, "model": "jimmy/llama", "tools": [tool], "stream": stream})
    assert script == [] and len(made.answers) == 2
    assert difference(made, SETTINGS) == ""


# --- differences ------------------------------------------------------------------------------------------------------


def test_a_difference_is_shown_as_a_diff():
    events = [*says("Hel", "lo"), chunk({}, None, usage={"prompt_tokens": 1})]
    other = emitted_events([json.dumps(each) for each in says("Hel", "LO")])
    made = Recording(capture(asks("Hi"), *raw_events(events), *other))
    found = difference(made, SETTINGS).split("\n")
    assert "--- captured" in found and "+++ now" in found
    assert [line[0] for line in found if '"LO"' in line] == ["-"] and [line[0] for line in found if '"lo"' in line] == ["+"]


def test_minted_ids_and_times_are_no_difference_but_the_upstreams_own_are():
    def outcome(identifier, call, created):
        calls = [{"index": 0, "id": call, "function": {"name": "x", "arguments": "{}"}}]
        made = {"id": identifier, "created": created, "choices": [{"delta": {"tool_calls": calls}}]}
        return replay.Outcome(200, [json.dumps(made)])

    one, other = outcome("chatcmpl-1", "call_a", 5), outcome("chatcmpl-2", "call_b", 6)
    assert replay.lines_of(one) == replay.lines_of(other)
    kept = replay.Settling(frozenset({"call_a"}))
    assert replay.lines_of(one, kept) != replay.lines_of(other, kept)
    assert replay.lines_of(one, kept) == replay.lines_of(outcome("chatcmpl-3", "call_a", 7), kept)


def test_calls_must_keep_their_own_ids():
    def twice(one, other):
        return replay.lines_of(replay.Outcome(200, [json.dumps([{"id": one}, {"id": other}])]))

    assert twice("call_a", "call_b") != twice("call_a", "call_a")


def test_what_would_have_come_after_a_client_left_is_no_difference():
    events = [*raw_events(says("Hel", "lo")), *emitted_events([json.dumps(each) for each in says("Hel", "lo")[:2]])]
    gone = note(0.4, "error", {"type": "ClientGone", "message": "It went away."})
    # the model of a chunk is what the client asked for, whatever the upstream calls it
    for event in events:
        if event["station"] == "emitted":
            event["text"] = event["text"].replace('"up"', '"agent-model"')
    made = Recording(capture(asks("Hi"), *events, gone))
    assert difference(made, SETTINGS) == ""
    told = emitted_events([json.dumps({"error": {"message": "gone", "code": "client_closed_request"}}), "[DONE]"], start=0.5)
    assert difference(Recording(capture(asks("Hi"), *events, gone, *told)), SETTINGS) == ""
    assert difference(Recording(capture(asks("Hi"), *events, error="The client went away.")), SETTINGS) == ""
    assert difference(Recording(capture(asks("Hi"), *events)), SETTINGS) != ""


def test_settings_count():
    thought = [chunk({"content": "<think>Hm.</think>Hello"}), chunk({}, "stop")]
    resolved = target(options={"thinkTags": True})
    made = Recording(capture(asks("Hi"), *raw_events(thought), resolved=resolved))
    events = replay.replay(made, SETTINGS).events
    assert any("reasoning_content" in event for event in events)
    off = Settings.load({"GATEWAY_REPAIRS": "reasoning.tags=off"}, dotenv=False, opencode={})
    assert not any("reasoning_content" in event for event in replay.replay(made, off).events)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (capture(asks("Hi"), path="/v1/models"), "no route"),
        (capture("no JSON", *raw_events(says("x"))), "client's request"),
        (capture(asks("Hi"), *emitted_events(["[DONE]"]), resolved=target(engine_name="mock")), "engine mock"),
        (capture(asks("Hi"), *raw_events(says("x"))), "what the client got"),
        (capture(asks("Hi"), *raw_events(says("x")), duration=None), "not over"),
        (capture({"model": "x", "messages": "Hi"}, note(0.1, "error", {"type": "InvalidRequest"})), "refused before"),
        (capture(asks("Hi"), *raw_events(says("x")), *emitted_events(["{}"]), dropped_events=7), "7 reads and writes"),
        (capture(asks("Hi"), *raw_events(says("x")), note(0.1, "error", {"type": "ClientGone"})), "left before"),
    ],
)
def test_what_cannot_be_replayed_is_told(made, reason):
    with pytest.raises(NotReplayable, match=reason):
        difference(Recording(made), SETTINGS)


def test_a_long_difference_is_found_soon():
    lines = [f"line {at % 7}" for at in range(200_000)]
    found = compare(lines, [*lines[:100_000], "other", *lines[100_000:]])
    assert found[0] == "(the first 99998 lines are the same)" and "+other" in found


def test_a_difference_everywhere_is_shown_in_part():
    found = compare([f"a{at}" for at in range(5_000)], [f"b{at}" for at in range(5_000)])
    assert "-a0" in found and "+b0" in found
    assert len(found) < replay.MOST_SHOWN and found[-1].endswith("the whole difference has 10003 lines)")


def test_fields_that_a_completions_server_refused_are_refused_again():
    body = asks("Hi", tools=False, stream=False)
    refused = {"status": 422, "headers": {}, "body": '{"detail": "Unexpected fields in the request: {\'stop_token_ids\'}"}'}
    choice = {"index": 0, "text": "<|channel|>final<|message|>Hello<|return|>", "finish_reason": "stop"}
    said = {"id": "cmpl-1", "choices": [choice]}
    events = note(0.1, "upstream_response", refused), note(0.2, "upstream_request", {}), *raw_events([said], start=0.3)
    made = Recording(capture(body, *events, resolved=target(engine_name="harmony", model="gpt-oss-20b")))
    for _ in range(2):
        outcome = replay.replay(made, SETTINGS)
        assert outcome.status == 200 and outcome.body["choices"][0]["message"]["content"] == "Hello"
