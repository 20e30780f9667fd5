import base64
import gc
import json
import weakref
from types import SimpleNamespace

import pytest
from flask import Flask, Response, g

from app import trace as trace_module
from app.quirks.report import Report
from app.request_trace import init_app
from app.secret_book import SecretBook
from app.trace import KEPT_NOTES, Trace
from app.trace_room import Room
from app.trace_values import split_events

CANARY = "canary-configured-key-0123456789"
CLIENT_KEY = "canary-client-key-9876543210"


class Recorder:
    """A sink that keeps what it is given."""

    def __init__(self, live=False):
        self.live = live
        self.calls, self.ended = [], []

    def note(self, trace, station, value):
        self.calls.append(("note", station, value))

    def raw(self, trace, events):
        self.calls.append(("raw", events))

    def emitted(self, trace, events):
        self.calls.append(("emitted", events))

    def finished(self, trace):
        self.ended.append((trace.summary(), list(trace.events()), trace.answer()))


def book():
    return SecretBook(lambda: (CANARY,))


def begin(*sinks, **rest):
    return Trace("POST", "/v1/chat/completions", book(), sinks, **rest)


def sse(*chunks):
    return b"".join(
        b"data: " + (chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode()) + b"\n\n" for chunk in chunks
    )


def delta(text, **rest):
    return {"choices": [{"index": 0, "delta": {"content": text}, **rest}]}


STREAM = [
    [delta("Hel")],
    [delta("lo", finish_reason="stop")],
    [
        {
            "choices": [],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 1}},
        },
        b"[DONE]",
    ],
]


def run_stream(trace):
    trace.note("client_request", {"model": "m", "stream": True})
    trace.emitted(b": keep-alive\n\n")
    for batch in STREAM:
        trace.raw([chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode() for chunk in batch])
        trace.emitted(sse(*batch))
    trace.finish(200)


def test_an_id_is_a_prefix_and_24_hex_digits():
    first, second = begin(), begin()
    assert first.id.startswith("req_") and len(first.id) == 28 and int(first.id[4:], 16) >= 0
    assert first.id != second.id and first.short_id in first.id


def test_the_summary_is_taken_from_what_passes():
    trace = begin(client="127.0.0.1")
    trace.note("client_request", {"model": "local-model", "messages": []})
    trace.note(
        "resolved", {"litellm_model": "openai/x", "engine_name": "relay", "key_source": "client", "api_key": CLIENT_KEY}
    )
    trace.note(
        "answer",
        {
            "choices": [{"finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}},
        },
    )
    report = Report()
    report.note("tool-index", "choices[0]", None, 0)
    trace.note("repairs", report)
    trace.finish(200)
    summary = trace.summary()
    wanted = {
        "method": "POST",
        "path": "/v1/chat/completions",
        "client": "127.0.0.1",
        "model": "local-model",
        "stream": False,
        "target": "openai/x",
        "engine": "relay",
        "key_source": "client",
        "api_key": "cana…3210",
        "status": 200,
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "cached_tokens": 1,
        "finish_reason": "stop",
        "repairs": "tool-index=1",
        "ttft": None,
        "id": trace.id,
    }
    assert {key: summary[key] for key in wanted} == wanted
    assert 0 <= summary["duration"] < 60


@pytest.mark.parametrize("live", [False, True])
def test_a_stream_is_counted_and_its_end_is_read(live):
    sink = Recorder(live)
    trace = begin(sink)
    run_stream(trace)
    summary, events, answer = sink.ended[0]
    assert (summary["raw_chunks"], summary["emitted_chunks"]) == (3, 3)
    assert (summary["prompt_tokens"], summary["completion_tokens"], summary["reasoning_tokens"]) == (3, 2, 1)
    assert summary["finish_reason"] == "stop"
    assert summary["ttft"] <= summary["duration"]
    assert answer["choices"][0]["message"]["content"] == "Hello"
    assert [event["station"] for event in events] == ["client_request", "emitted", *["raw", "emitted"] * 3]
    assert events[1]["value"] == [": keep-alive"]
    assert events[-1]["value"][-1] == "[DONE]"
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)


def test_a_live_sink_sees_each_event_with_its_number_as_it_happens():
    sink = Recorder(live=True)
    trace = begin(sink)
    run_stream(trace)
    raw = [events for kind, *rest in sink.calls if kind == "raw" for events in rest]
    assert raw[0] == [(1, STREAM[0][0])]
    assert [number for number, _ in raw[2]] == [3, None]


def test_a_sink_that_is_not_live_is_only_told_the_end():
    sink = Recorder(live=False)
    trace = begin(sink)
    run_stream(trace)
    trace.finish()
    assert sink.calls == []
    assert len(sink.ended) == 1


def test_what_is_kept_is_bounded_and_the_end_is_still_read():
    trace = begin(kept_bytes=100)
    trace.note("client_request", {"model": "m", "stream": True})
    for _ in range(1_000):
        trace.emitted(sse(delta("x" * 50)))
    trace.emitted(sse({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 8}}, b"[DONE]"))
    for number in range(KEPT_NOTES + 5):
        trace.note("answer", {"number": number})
    trace.finish(200)
    summary = trace.summary()
    assert summary["emitted_chunks"] == 1_001
    assert summary["dropped_events"] > 900
    assert summary["prompt_tokens"] == 9
    assert len(list(trace.events())) <= KEPT_NOTES + 2


class TestLongStreams:
    """The first PIECE of its chunks is each request's own; more is taken from what all may hold together."""

    @pytest.fixture
    def room(self, monkeypatch):
        room = Room(100)
        monkeypatch.setattr(trace_module, "ROOM", room)
        monkeypatch.setattr(trace_module, "PIECE", 50)
        return room

    def test_more_room_is_taken_and_given_back(self, room):
        trace = begin()
        for _ in range(15):
            trace.raw([b"x" * 10])
        assert trace.dropped_events == 0 and room.left == 0
        trace.raw([b"x"])
        assert trace.dropped_events == 1
        trace.finish(200)
        del trace
        assert room.left == 100

    def test_a_capture_has_no_holes(self, room):
        first, second = begin(), begin()
        for _ in range(15):
            first.raw([b"x" * 10])
        for _ in range(6):
            second.raw([b"x" * 10])
        assert second.dropped_events == 1
        del first
        assert room.left == 100
        second.raw([b"x"])
        assert second.dropped_events == 2 and room.left == 100

    def test_one_request_has_a_limit(self, room):
        trace = begin(kept_bytes=70)
        for _ in range(20):
            trace.raw([b"x" * 10])
        assert sum(len(payload) for _, batch in trace.chunks("raw") for payload in batch) == 70


def test_an_exception_is_described_and_its_frames_are_not_held():
    class Big:
        pass

    trace = begin()
    seen = []

    def fail():
        big = Big()
        seen.append(weakref.ref(big))
        raise ValueError(f"upstream said {CANARY}")

    try:
        fail()
    except ValueError as error:
        trace.note("error", error)
    gc.collect()
    assert seen[0]() is None
    value = trace.last("error")
    assert value["type"] == "ValueError" and value["message"] == "upstream said cana…6789"
    assert "in fail" in value["traceback"] and CANARY not in value["traceback"]
    assert trace.summary()["error"] == "upstream said cana…6789"


def test_the_last_value_of_a_station():
    trace = begin()
    assert trace.last("answer") is None
    trace.note("answer", 1)
    trace.note("answer", 2)
    assert trace.last("answer") == 2


@pytest.mark.parametrize("body", [None, [], "text", 5, {"model": 5, "stream": "x"}, {"choices": [None], "usage": []}])
def test_odd_values_are_kept_and_do_no_harm(body):
    trace = begin(Recorder(live=True))
    for station in ("client_request", "resolved", "upstream_request", "answer", "usage", "repairs", "error", "unknown"):
        trace.note(station, body)
    trace.raw([b"not json", b"\xff", b"[1]", b'{"choices": 5}'])
    trace.emitted(b"not sse")
    trace.finish(200)
    json.dumps([trace.summary(), list(trace.events())])


def test_no_canary_leaves_a_trace_from_wherever_it_came():
    sink = Recorder(live=True)
    basic = base64.b64encode(f"user:{CANARY}".encode()).decode()
    trace = begin(sink, secrets=[CLIENT_KEY], user_agent=f"agent {CANARY}")
    trace.describe(session=CLIENT_KEY)
    trace.note("client_headers", {"Authorization": f"Bearer {CLIENT_KEY}", "X-Other": f"Basic {basic}"})
    trace.note("client_request", {"model": CANARY, "stream": True, "messages": [{"content": f"key {CLIENT_KEY}"}]})
    trace.note("resolved", SimpleNamespace(model="m", api_key="canary-of-the-target-0000", key_source="client"))
    trace.note(
        "upstream_request",
        {"api_key": CANARY, "api_base": f"https://u:{CANARY}@h/?key={CANARY}", "note": "canary-of-the-target-0000"},
    )
    trace.note("upstream_response", f'{{"error": "bad key {CANARY}"}}'.encode())
    for start in range(0, len(CANARY), 3):
        trace.raw([json.dumps(delta(CANARY[start : start + 3])).encode()])
        trace.emitted(sse(delta(CANARY[start : start + 3])))
    try:
        raise RuntimeError(f"for url https://h/?key={CANARY}")
    except RuntimeError as error:
        trace.note("error", error)
    trace.finish(500)
    told = json.dumps([sink.calls, sink.ended], ensure_ascii=False)
    for canary in (CANARY, CLIENT_KEY, "canary-of-the-target-0000", basic):
        assert canary not in told
    shown = "".join(
        event["value"][0]["choices"][0]["delta"]["content"] for event in trace.events() if event["station"] == "raw"
    )
    assert shown.replace("…", "") == "cana"


def test_split_events():
    assert split_events(b": ping\n\ndata: {}\n\ndata:x\n\nevent: e\ndata: y\n\n") == [
        b": ping",
        b"{}",
        b"x",
        b"event: e\ny",
    ]
    assert split_events(b"") == []


# --- in Flask -------------------------------------------------------------------------------------------------------


@pytest.fixture
def sink():
    return Recorder()


@pytest.fixture
def app(sink):
    app = Flask(__name__)
    init_app(app, SimpleNamespace(current=SimpleNamespace(secrets=(CANARY,))), [sink])

    @app.get("/plain")
    def plain():
        return "ok"

    @app.get("/stream")
    def stream():
        trace = g.trace
        trace.note("client_request", {"model": "m", "stream": True})

        def body():
            for word in ("a", "b"):
                trace.emitted(sse(delta(word)))
                yield sse(delta(word))

        return Response(body(), mimetype="text/event-stream")

    @app.get("/broken")
    def broken():
        raise RuntimeError(CANARY)

    return app


def test_the_answer_carries_our_id_and_the_trace_the_clients(app, sink):
    response = app.test_client().get(
        "/plain?key=canary-in-the-query-000", headers={"x-request-id": "theirs", "x-session-id": "s1"}
    )
    response.close()
    summary = sink.ended[0][0]
    assert response.headers["x-request-id"] == summary["id"]
    assert (summary["client_request_id"], summary["session"], summary["status"]) == ("theirs", "s1", 200)
    assert "canary-in-the-query-000" not in json.dumps(sink.ended)


def test_a_stream_ends_when_its_last_byte_is_out(app, sink):
    response = app.test_client().get("/stream", buffered=False)
    chunks = response.iter_encoded()
    next(chunks)
    assert sink.ended == []
    assert list(chunks)
    response.close()
    assert sink.ended[0][0]["emitted_chunks"] == 2


def test_a_client_that_leaves_ends_the_trace_too(app, sink):
    response = app.test_client().get("/stream", buffered=False)
    next(response.iter_encoded())
    response.close()
    assert len(sink.ended) == 1


def test_an_unhandled_exception_ends_the_trace_without_showing_the_key(app, sink):
    response = app.test_client().get("/broken")
    response.close()
    assert response.status_code == 500
    assert sink.ended[0][0]["status"] == 500
    assert CANARY not in json.dumps(sink.ended)


def test_an_exception_that_is_passed_on_ends_the_trace_too(app, sink):
    app.testing = True
    with pytest.raises(RuntimeError):
        app.test_client().get("/broken")
    summary = sink.ended[0][0]
    assert (summary["status"], summary["error"]) == (500, "cana…6789")


def test_keys_of_requests_are_remembered_for_the_logs_of_libraries(app, sink):
    app.test_client().get("/plain", headers={"Authorization": f"Bearer {CLIENT_KEY}"}).close()
    assert app.extensions["secret_book"].masker_for_all().mask_text(CLIENT_KEY) == "cana…3210"
    assert CLIENT_KEY not in json.dumps(sink.ended)


def test_a_body_in_bytes_is_told_as_what_it_says():
    sink = Recorder(live=True)
    trace = begin(sink)
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": f"my key is {CANARY}"}]}
    trace.note("client_request", body, json.dumps(body).encode())
    shown = body | {"messages": [{"role": "user", "content": "my key is cana…6789"}]}
    assert trace.last("client_request") == shown and trace.streams
    assert [event["value"] for event in trace.events()] == [shown] == [event["value"] for event in trace.capture_events()]
    assert [type(value) for _, _, value in trace.noted()] == [bytes]
