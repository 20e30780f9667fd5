"""GET /metrics over real HTTP: what was asked, answered, repaired and lost, in numbers; no word of a client in any label."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.answers import completion, stream, tool, tool_call
from tests.conftest import provider_at
from tests.scraped import scrape, until, until_counted
from tests.socket_client import SocketClient
from tests.upstream import json_answer

ROOT = Path(__file__).resolve().parents[2]

PRICED = {"some-model": {"cost": {"input": 2, "output": 10, "cache_read": 0.5}}}
USAGE = {
    "prompt_tokens": 1_000, "completion_tokens": 200, "total_tokens": 1_200,
    "prompt_tokens_details": {"cached_tokens": 400}, "completion_tokens_details": {"reasoning_tokens": 50},
}  # fmt: skip
COST = (600 * 2 + 400 * 0.5 + 200 * 10) / 1e6
MODEL = "up/some-model"


def mock(**options):
    return {"m": {"options": {"engine": "mock", **options}, "models": {"mock": {}}}}


def test_requests_are_counted_by_model_engine_status_and_stream(gateway, upstream, engine):
    upstream.reply_json(completion())
    assert gateway.chat().status == gateway.chat().status == 200
    upstream.reply_sse(stream())
    assert gateway.chat(stream=True).text == "Hello!"
    upstream.refuse(429)
    assert gateway.chat(stream=True).status == 429
    found = until_counted(gateway.url, 4)
    for expected, status, streamed in ((2, "2xx", "false"), (1, "2xx", "true"), (1, "4xx", "true"), (0, "4xx", "false")):
        labels = {"model": MODEL, "engine": engine, "status": status, "stream": streamed}
        assert found.value("gateway_requests_total", **labels) == expected, labels
    assert found.value("gateway_request_duration_seconds_count", model=MODEL) == 4
    assert found.value("gateway_errors_total", model=MODEL, error="UpstreamError") == 1


@pytest.mark.parametrize("asked", (True, False))
def test_tokens_and_cost_of_streams_whether_the_client_asks_or_not(client_for, upstream, asked):
    gateway = client_for("relay", PRICED)
    upstream.reply_sse([*stream(), {**stream()[0], "choices": [], "usage": USAGE}])
    more = {"stream_options": {"include_usage": True}} if asked else {}
    assert gateway.chat(stream=True, **more).text == "Hello!"
    check_tokens(until_counted(gateway.url, 1))


def test_tokens_and_cost_of_whole_answers(client_for, upstream):
    gateway = client_for("relay", PRICED)
    upstream.reply_json(completion() | {"usage": USAGE})
    gateway.chat()
    check_tokens(until_counted(gateway.url, 1))


def check_tokens(found):
    for kind, count in (("prompt", 1_000), ("completion", 200), ("cached", 400), ("reasoning", 50)):
        assert found.value("gateway_tokens_total", model=MODEL, kind=kind) == count
    assert found.value("gateway_cost_dollars_total", model=MODEL) == pytest.approx(COST)


def test_times_of_a_stream(serve):
    gateway = serve(mock(delay=0.03))
    assert gateway.chat(model="mock", stream=True, messages=[{"role": "user", "content": "one two three four"}]).status == 200
    found = until_counted(gateway.url, 1)
    assert found.value("gateway_time_to_first_token_seconds_count", model="m/mock") == 1
    gaps, seconds = (found.value(f"gateway_inter_token_seconds_{end}", model="m/mock") for end in ("count", "sum"))
    assert gaps >= 3 and seconds >= 3 * 0.03
    assert found.value("gateway_inter_token_seconds_bucket", le="0.02") <= 1  # the end follows the last word at once
    waited = found.value("gateway_upstream_seconds_sum", model="m/mock", stream="true")
    whole = found.value("gateway_request_duration_seconds_sum", model="m/mock", stream="true")
    own = found.value("gateway_overhead_seconds_sum", engine="mock")
    assert 3 * 0.03 <= waited <= whole and own <= whole - waited


def test_the_gateways_own_time_by_part(gateway, upstream, engine):
    gate = upstream.reply_sse(stream("a", "b")).gate_after(2)
    with gateway.open_stream() as opened:
        next(iter(opened))
        gate.open()
        assert list(opened)[-1] == b"data: [DONE]"
    found = until_counted(gateway.url, 1)
    for part in ("prepare", "engine", "repair", "format"):
        labels = {"engine": engine, "part": part}
        assert found.value("gateway_overhead_seconds_count", **labels) == 1, part
        assert 0 < found.value("gateway_overhead_seconds_sum", **labels) < 5, part
    assert found.value("gateway_upstream_seconds_sum", engine=engine) > 0


def test_repairs_by_rule_and_model(client_for, upstream):
    gateway = client_for("relay", GATEWAY_REPAIRS="tool.type=warn")
    upstream.reply_json(completion(None, tool_calls=[tool_call(identifier="") | {"type": None}]))
    for streamed in (True, False):
        assert gateway.chat(tools=[tool()], stream=streamed).tool_calls[0]["id"]
    found = until_counted(gateway.url, 2)
    assert found.value("gateway_repairs_total", rule="tool.id", model=MODEL, mode="fix") == 2
    counts = gateway.app.extensions["repair_counts"].totals()
    told = {(s.labels["rule"], s.labels["model"], s.labels["mode"]): s.value for s in found.samples if "rule" in s.labels}
    assert told == {tuple(key): value for key, value in counts.items()}


def test_a_client_that_goes_away_is_counted_and_is_no_error(gateway, upstream, engine):
    upstream.reply_sse(stream("a", "b")).hang_after(2)
    with gateway.open_stream() as opened:
        next(iter(opened))
    found = until(gateway.url, lambda found: found.value("gateway_requests_cancelled_total", model=MODEL) == 1)
    assert found.value("gateway_requests_cancelled_total", engine=engine, stream="true") == 1
    assert found.value("gateway_errors_total") == 0


def test_what_is_in_flight_is_told_while_it_is(gateway, upstream):
    gate = upstream.reply_sse(stream("a", "b")).gate_after(2)
    with gateway.open_stream() as opened:
        next(iter(opened))
        during = scrape(gateway.url)
        gate.open()
        assert list(opened)[-1] == b"data: [DONE]"
    assert during.value("gateway_requests_in_flight") >= 1
    until(gateway.url, lambda found: found.value("gateway_requests_in_flight") == 0)


def test_asking_the_upstream_again_is_counted_by_reason(client_for, upstream):
    gateway = client_for("relay")
    upstream.refuse(400, {"error": {"message": "Unsupported parameter: 'top_p'", "param": "top_p"}})
    upstream.then(json_answer(completion()))
    assert gateway.chat(top_p=0.5).status == 200
    found = until_counted(gateway.url, 1)
    assert found.value("gateway_retries_total", model=MODEL, reason="refused") == 1
    assert found.value("gateway_retries_total") == 1


def test_names_that_the_map_does_not_have_share_one_label(serve, upstream):
    every = provider_at(upstream.base_url, "relay", {"*": {}})
    upstream.reply_json(completion())
    gateway = serve({"up": every, **mock()})
    before = scrape(gateway.url).labels("model")
    for number in range(20):
        assert gateway.chat(model=f"secret-name-{number}").status == 200
    found = until_counted(gateway.url, 20)
    assert found.value("gateway_requests_total", model="up/*") == 20
    assert found.labels("model") == before | {"up/*"} and "secret-name" not in found.text


def test_no_word_of_a_client_becomes_a_label(gateway, upstream):
    upstream.reply_json(completion() | {"model": "echo-CLIENTWORD"})
    odd = {"user": "CLIENTWORD", "CLIENTWORD": 1, "model": "some-model"}
    gateway.post("/v1/chat/completions", odd | {"messages": []}, {"User-Agent": "CLIENTWORD", "x-session-id": "CLIENTWORD"})
    gateway.chat(model="no/CLIENTWORD")
    gateway.chat(model={"CLIENTWORD": 1})
    gateway.post("/v1/chat/completions", b"{CLIENTWORD")
    gateway.get("/CLIENTWORD?key=CLIENTWORD")
    gateway.request("CLIENTWORD", "/v1/models")
    upstream.refuse(400, {"error": {"message": "CLIENTWORD", "type": "CLIENTWORD", "code": "CLIENTWORD"}})
    gateway.chat()
    found = until(gateway.url, lambda found: found.value("gateway_errors_total") >= 7)
    assert "CLIENTWORD" not in found.text
    assert found.labels("model") == {"none", "other", MODEL}
    assert found.value("gateway_errors_total", model="other", error="ModelNotFound") == 1


def test_a_bug_is_counted_without_its_name(serve):
    gateway = serve(mock())

    class VeryOwnError(Exception):
        pass

    @gateway.app.get("/bug")
    def bug():
        raise VeryOwnError("x")

    assert gateway.get("/bug").status == 500
    found = until(gateway.url, lambda found: found.value("gateway_errors_total", error="other") == 1)
    assert found.value("gateway_requests_total", status="5xx", model="none") == 1 and "VeryOwn" not in found.text


def test_generation_of_text_is_counted_too(serve):
    gateway = serve(mock())
    assert gateway.post("/api/generate", {"model": "mock", "prompt": "one two three"}).status == 200
    found = until_counted(gateway.url, 1)
    assert found.value("gateway_requests_total", model="m/mock", status="2xx") == 1
    assert found.value("gateway_tokens_total", model="m/mock", kind="prompt") > 0


def test_each_question_on_a_websocket_is_a_request(serve):
    gateway = serve(mock())
    with SocketClient(gateway.port) as client:
        for _ in range(3):
            assert client.ask(model="mock", prompt="one two three")[-1]["done"]
        found = until_counted(gateway.url, 3)
    assert found.value("gateway_requests_total", model="m/mock", status="2xx", stream="true") == 3
    assert found.value("gateway_time_to_first_token_seconds_count") == 3
    assert found.value("gateway_requests_cancelled_total") == 0


def test_what_the_database_loses_is_counted(client_for, upstream, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder", "utf-8")
    gateway = client_for("relay", GATEWAY_DATA_DIR=str(blocked))
    upstream.reply_json(completion(None, tool_calls=[tool_call(identifier="")]))
    assert gateway.chat(tools=[tool()]).status == 200
    until(gateway.url, lambda found: found.value("gateway_trace_drops_total", what="failures") >= 1)


def test_events_of_a_trace_that_were_not_kept_are_counted(client_for, upstream):
    gateway = client_for("relay")
    upstream.reply_sse(stream(*(["x" * 20_000] * 450)))
    assert len(gateway.chat(stream=True).text) == 9_000_000  # and as much from the upstream
    until(gateway.url, lambda found: found.value("gateway_trace_drops_total", what="events") >= 1)


def test_scrapes_count_nothing_and_leave_no_line(serve, capfd):
    gateway = serve(mock())
    capfd.readouterr()
    for _ in range(3):
        found = scrape(gateway.url)
    assert found.value("gateway_requests_total") == found.value("gateway_requests_in_flight") == 0
    assert capfd.readouterr().out == ""


def test_the_format_is_prometheus_own_or_openmetrics(gateway, upstream):
    upstream.reply_json(completion())
    gateway.chat()
    plain = gateway.get("/metrics")
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    until_counted(gateway.url, 1)
    answer = gateway.get("/metrics", {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.raw.endswith(b"# EOF\n")
    families = {family.name: family for family in text_string_to_metric_families(answer.raw.decode())}
    assert {"gateway_requests", "gateway_tokens", "gateway_build"} <= set(families)
    assert families["gateway_overhead_seconds"].type == "histogram"


@pytest.mark.parametrize("headers", ({"Authorization": "Bearer own-key-123456"}, {"x-api-key": "own-key-123456"}))
def test_keys_guard_it_like_everything_else(serve, headers):
    gateway = serve(mock(), GATEWAY_API_KEYS="own-key-123456")
    assert gateway.get("/metrics").error["code"] == "invalid_api_key"
    assert gateway.get("/metrics", {"Authorization": "Bearer another"}).status == 401
    assert scrape(gateway.url, headers).value("gateway_workers") == 1


def test_the_index_names_it(serve):
    assert json.loads(serve(mock()).get("/").raw)["endpoints"]["metrics"] == "GET /metrics"


def test_every_family_is_there_before_the_first_request_and_described(serve):
    found = scrape(serve(mock()).url)
    described = re.findall(r"^\| `(gateway_\w+)` \| (\w+) \|", (ROOT / "API_SPEC.md").read_text("utf-8"), re.MULTILINE)
    named = {name.removesuffix("_total"): kind for name, kind in described}
    assert named == {name: family.type for name, family in found.families.items()}
    assert found.value("gateway_trace_drops_total") == found.value("gateway_local_models_loaded") == 0
    assert found.value("gateway_build_info") == 1
