"""Spans of requests, as a collector on a real socket gets them; without the standard variables nothing happens at all."""

import json
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from app.telemetry import MOST_WAITING, Telemetry, open_telemetry, wanted
from app.trace import Trace
from app.utils.model_resolver import resolve_model
from tests.answers import completion, stream, tool, tool_call
from tests.client import chat_body
from tests.conftest import provider_at, settings_for
from tests.gateway import Gateway, clean_environ
from tests.maps import write_map
from tests.scraped import until
from tests.upstream import FakeUpstream

ROOT = Path(__file__).resolve().parent.parent
WHY = "OPENTELEMETRY IS NOT INSTALLED (requirements-otel.lock): spans are not tested"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PRICED = {"some-model": {"cost": {"input": 2, "output": 10}}}
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
SECRET = "sk-CANARYspan0123456789abcdefghijkl"


@pytest.fixture
def collector():
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason=WHY)
    with FakeUpstream() as made:
        made.reply_bytes(b"")
        yield made


@pytest.fixture
def traced(client_for, collector, monkeypatch):
    """A gateway that sends its spans to the collector: `traced(OTEL_…="…")`."""

    started = []

    def start(**environ):
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **environ}
        for name, value in environ.items():
            monkeypatch.setenv(name, value)  # the SDK reads it there; undone after the test
        started.append(client_for("relay", PRICED, **environ))
        return started[-1]

    yield start
    for gateway in started:
        gateway.app.extensions["telemetry"].close()


def spans(collector, gateway=None):
    """All spans that arrived: (span, attributes, attributes of the resource)."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    if gateway is not None:
        assert gateway.app.extensions["telemetry"].flush(20_000)
    found = []
    for request in collector.requests:
        assert (request.method, request.path) == ("POST", "/v1/traces")
        assert request.headers["content-type"] == "application/x-protobuf"
        for resource in ExportTraceServiceRequest.FromString(request.raw).resource_spans:
            for scope in resource.scope_spans:
                found += [(span, values(span.attributes), values(resource.resource.attributes)) for span in scope.spans]
    return found


def values(attributes):
    def read(value):
        kind = value.WhichOneof("value")
        return [read(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, kind)

    return {attribute.key: read(attribute.value) for attribute in attributes}


def finished(gateway, count):
    """Wait until so many requests are over, so that their spans are on their way."""
    until(gateway.url, lambda found: found.value("gateway_requests_total") >= count)


def test_a_whole_answer_and_a_stream(traced, upstream, collector):
    gateway = traced(OTEL_RESOURCE_ATTRIBUTES="team=blue")
    upstream.reply_json(completion())
    gateway.chat(temperature=0.5, max_tokens=7, seed=3, headers={"traceparent": PARENT, "x-session-id": "s-1"})
    upstream.reply_sse(stream())
    gateway.chat(stream=True)
    finished(gateway, 2)
    (whole, told, resource), (streamed, told_of_stream, _) = sorted(
        spans(collector, gateway), key=lambda found: found[0].start_time_unix_nano
    )
    assert whole.name == streamed.name == "chat some-model" and whole.kind == 3  # CLIENT
    assert (whole.trace_id.hex(), whole.parent_span_id.hex()) == tuple(PARENT.split("-")[1:3])
    assert streamed.parent_span_id == b"" and streamed.trace_id != whole.trace_id
    assert 0 < whole.end_time_unix_nano - whole.start_time_unix_nano < 60e9 and whole.status.code == 0
    assert resource["service.name"] == "opencode-gateway" and resource["team"] == "blue" and resource["service.version"]
    expected = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "some-model",
        "gen_ai.request.temperature": 0.5, "gen_ai.request.max_tokens": 7, "gen_ai.request.seed": 3,
        "gen_ai.conversation.id": "s-1", "gen_ai.response.model": "upstream-name", "gen_ai.response.id": "chatcmpl-up1",
        "gen_ai.response.finish_reasons": ["stop"], "gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 2,
        "server.address": "127.0.0.1", "server.port": upstream.port, "gateway.model": "up/some-model",
        "gateway.engine": "relay", "http.response.status_code": 200,
    }  # fmt: skip
    assert {name: told.get(name) for name in expected} == expected
    assert told["gateway.cost"] == pytest.approx(26e-6) and "error.type" not in told
    assert told_of_stream["gen_ai.request.stream"] is True and told_of_stream["gen_ai.response.time_to_first_chunk"] > 0
    assert told_of_stream["gen_ai.response.id"] == "chatcmpl-up1"


def test_no_word_of_a_prompt_or_an_answer_without_being_asked(traced, upstream, collector):
    gateway = traced()
    upstream.reply_json(completion("ANSWERWORD", reasoning_content="ANSWERWORD"))
    gateway.chat(messages=[{"role": "user", "content": "PROMPTWORD"}], stop=["PROMPTWORD"], tools=[tool("PROMPTWORD")],
                 user="PROMPTWORD", metadata={"a": "PROMPTWORD"})  # fmt: skip
    upstream.refuse(400, {"error": {"message": "You said PROMPTWORD"}})
    gateway.chat(messages=[{"role": "user", "content": "PROMPTWORD"}])
    finished(gateway, 2)
    assert len(spans(collector, gateway)) == 2
    sent = b"".join(request.raw for request in collector.requests)
    assert b"PROMPTWORD" not in sent and b"ANSWERWORD" not in sent


@pytest.mark.parametrize("asked", ("true", "SPAN_ONLY", "span_and_event"))
@pytest.mark.parametrize("streamed", (True, False))
def test_content_where_it_is_asked_for_with_keys_masked(traced, upstream, collector, asked, streamed):
    gateway = traced(**{CONTENT: asked})
    upstream.reply_json(completion(f"your key is {SECRET}", tool_calls=[tool_call()]))
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"my key is {SECRET}"}]
    gateway.chat(messages=said, tools=[tool()], stream=streamed)
    finished(gateway, 1)
    ((_, told, _),) = spans(collector, gateway)
    prompt, answer = (json.loads(told[f"gen_ai.{way}.messages"]) for way in ("input", "output"))
    assert [message["role"] for message in prompt] == ["system", "user"]
    assert prompt[0]["parts"] == [{"type": "text", "content": "Be brief."}]
    text, call = answer[0]["parts"]
    assert text["content"].startswith("your key is ") and answer[0]["finish_reason"] == "tool_call"
    assert (call["type"], call["name"], call["arguments"]) == ("tool_call", "read", {"path": "a.py"})
    assert json.loads(told["gen_ai.tool.definitions"])[0]["function"]["name"] == "read"
    assert all(SECRET.encode() not in request.raw for request in collector.requests)


@pytest.mark.parametrize("refused", ("no_content", "event_only", "false", ""))
def test_content_is_for_spans_only_when_spans_are_meant(refused):
    assert not Telemetry({CONTENT: refused})._content


def test_how_requests_fail(traced, upstream, collector):
    gateway = traced()
    upstream.refuse(429)
    assert gateway.chat().status == 429
    upstream.reply_sse(stream("a", "b")).cut_after(2)
    assert gateway.chat(stream=True).stream_error
    upstream.reply_sse(stream("a", "b")).hang_after(2)
    with gateway.open_stream() as opened:
        next(iter(opened))
    assert gateway.chat(model="no-such-model").status == 404  # no model, no span
    finished(gateway, 4)
    found = {told["error.type"]: (span, told["http.response.status_code"]) for span, told, _ in spans(collector, gateway)}
    assert {name: status for name, (_, status) in found.items()} == {
        "UpstreamError": 429, "UpstreamTruncated": 200, "ClientGone": 200
    }  # fmt: skip
    assert all(span.status.code == 2 and not span.status.message for span, _ in found.values())


def test_older_completions_have_a_name_of_their_own(traced, upstream, collector):
    gateway = traced(**{CONTENT: "true"})
    upstream.reply_json(completion())
    gateway.post("/v1/completions", {"model": "some-model", "prompt": "Say hello"})
    finished(gateway, 1)
    ((span, told, _),) = spans(collector, gateway)
    assert span.name == "text_completion some-model" and told["gen_ai.operation.name"] == "text_completion"
    assert json.loads(told["gen_ai.input.messages"])[0]["parts"][0]["content"] == "Say hello"


def test_a_collector_that_is_not_there_costs_no_answer(traced, upstream):
    gateway = traced(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_EXPORTER_OTLP_TIMEOUT="1")
    upstream.reply_json(completion())
    assert [gateway.chat().status for _ in range(5)] == [200] * 5


def test_a_queue_that_is_full_drops_and_counts():
    settings, blocked = settings_for({"up": provider_at("http://127.0.0.1:1/v1", "relay")}), threading.Event()
    sink = Telemetry({})
    sink._thread = threading.Thread(target=blocked.wait)  # one that never takes anything
    for _ in range(MOST_WAITING + 3):
        trace = Trace("POST", "/v1/chat/completions")
        trace.note("resolved", resolve_model("some-model", settings))
        sink.finished(trace)
    assert sink.dropped == 3
    sink.finished(Trace("GET", "/v1/models"))
    assert sink.dropped == 3


@pytest.mark.parametrize(
    ("environ", "expected"),
    (
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": ""}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "console, otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c"}, False),
    ),
)
def test_only_the_standard_variables_switch_it_on(environ, expected):
    assert wanted(environ) == expected
    if not expected:
        assert open_telemetry(environ) is None


WITHOUT = """
import sys
import app
from app.config import Settings
made = app.create_app(Settings.load({}, dotenv=False, opencode={"provider": {}}))
assert "telemetry" not in made.extensions
print(*[name for name in sys.modules if name.startswith("opentelemetry")])
"""


def test_without_them_nothing_is_imported(tmp_path):
    environ = clean_environ(tmp_path)
    done = subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


MISSING = """
import sys
sys.modules["opentelemetry"] = None
from app.telemetry import open_telemetry
assert open_telemetry({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}) is None
"""


def test_missing_packages_are_named_and_nothing_else_happens(tmp_path):
    environ = clean_environ(tmp_path)
    done = subprocess.run([sys.executable, "-c", MISSING], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "no spans are sent" in done.stderr and "`./run.sh --otel`" in done.stderr, done.stderr


@pytest.mark.e2e
def test_a_worker_sends_its_last_spans_when_it_ends(tmp_path, collector):
    with FakeUpstream() as upstream:
        upstream.reply_json(completion())
        config = write_map(tmp_path, {"provider": {"up": provider_at(upstream.base_url, "relay")}})
        environ = {"OPENCODE_CONFIG": config, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "mine"}
        with Gateway(tmp_path, **environ) as gateway:
            body = json.dumps(chat_body()).encode()
            with urllib.request.urlopen(f"{gateway.base_url}/chat/completions", body, timeout=20) as answer:
                assert answer.status == 200
            gateway.process.terminate()
            assert gateway.process.wait(20) == 0
            assert "Traceback" not in gateway.output()
    ((span, told, resource),) = spans(collector)
    assert span.name == "chat some-model" and resource["service.name"] == "mine"
