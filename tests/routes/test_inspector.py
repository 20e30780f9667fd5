"""The inspector's JSON API over real HTTP: lists, filters, pages, one request with its parts, chunks, curl and capture."""

import json
import shlex
from urllib.parse import quote

import pytest

from app.capture import read_capture
from app.inspector_guard import TOKEN
from tests.commands.stored import LIMIT, Ended
from tests.conftest import provider_at
from tests.upstream_gemini import GeminiMode, Turn

API = "/inspector/api"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
FAILS = {"error": {"status": 429, "message": "slow down"}}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"path": {"type": "string"}, "mode": {"type": "integer", "exclusiveMinimum": 0}},
}
WRITE = {"type": "function", "function": {"name": "write", "description": "Write.", "parameters": SCHEMA}}
REPAIRED_MODEL = "gemini-2.5-pro"
ROUTES = (
    "/traces", "/traces/x", "/traces/x/parts/answer", "/traces/x/chunks", "/traces/x/curl", "/traces/x/capture", "/live",
    "/series", "/sessions", "/filters",
)  # fmt: skip


@pytest.fixture
def trace_depth():
    return "chunks"


@pytest.fixture
def gateway(serve, upstream):
    upstream.reply_with(GeminiMode([Turn("I shall.", calls=[("write", {"path": "a.txt"})])]))
    mock = {"options": {"engine": "mock"}, "models": {"mock": {}}}
    return serve({"up": provider_at(upstream.base_url, "relay", {REPAIRED_MODEL: {}}), "m": mock})


def post(gateway, body, headers=None):
    """Send a request and return its answer, once it is stored."""
    ended = Ended.of(gateway)
    reply = gateway.post("/v1/chat/completions", body, headers)
    ended.wait_for(reply.headers["x-request-id"])
    assert gateway.app.extensions["trace_store"].flush(LIMIT)
    return reply


def ask(gateway, text="hello", script=None, session=None, agent="curl/8", **fields):
    """Send a request and return its id, once it is stored."""
    body = {"model": "mock", "messages": [{"role": "user", "content": text}], **fields}
    headers = {"User-Agent": agent} | ({"X-Session-Id": session} if session else {})
    return post(gateway, body | ({"mock": script} if script else {}), headers).headers["x-request-id"]


def ask_repaired(gateway):
    return ask(gateway, model=REPAIRED_MODEL, stream=True, tools=[WRITE], session="ses_r", agent="opencode/1")


def api(gateway, path):
    reply = gateway.get(API + path, BEARER)
    assert reply.status == 200, reply.raw
    return reply.json


def ids(gateway, query=""):
    return [row["id"] for row in api(gateway, f"/traces{query}")["traces"]]


def test_the_list_is_newest_first_and_looking_leaves_no_trace(gateway):
    assert api(gateway, "/traces") == {"traces": [], "next": None, "dropped": 0, "depth": "chunks"}
    asked = [ask(gateway, text) for text in ("one", "two")]
    for path in ("/traces", "/filters", "/sessions"):
        api(gateway, path)
    gateway.get("/inspector")
    assert gateway.app.extensions["trace_store"].flush(LIMIT)
    found = api(gateway, "/traces")
    assert [row["id"] for row in found["traces"]] == asked[::-1]
    row = found["traces"][0]
    assert (row["method"], row["path"], row["status"], row["error"]) == ("POST", "/v1/chat/completions", 200, None)
    assert (row["asked"], row["stream"], row["finish_reason"]) == ("two", False, "stop")
    assert row["duration"] >= 0
    assert ids(gateway, "?q=%00") == [], "a text that a database would end there"


def test_each_filter_finds_its_requests_only(gateway):
    plain, failed = ask(gateway, session="ses_1"), ask(gateway, "100% sure_thing", FAILS)
    repaired = ask_repaired(gateway)
    assert ids(gateway) == [repaired, failed, plain]
    for query, expected in {
        "?model=mock": [failed, plain],
        f"?model={REPAIRED_MODEL}": [repaired],
        "?client=curl/8": [failed, plain],
        "?session=ses_1": [plain],
        "?status=ok": [repaired, plain],
        "?status=error": [failed],
        "?status=429": [failed],
        "?repaired=1": [repaired],
        "?q=SURE": [failed],
        f"?q={quote('100%')}": [failed],
        f"?q={quote('%')}": [failed],  # no wildcard
        "?q=e_t": [failed],
        "?model=": [repaired, failed, plain],
        "?model=mock&status=ok": [plain],
        f"?q={quote(chr(39) + ' OR 1=1 --')}": [],
        "?unknown=1&limit=1": [repaired],
    }.items():
        assert ids(gateway, query) == expected, query


def test_the_cursor_leads_through_all_pages_once(gateway):
    asked = [ask(gateway, str(number)) for number in range(5)]
    seen, query = [], "?limit=2"
    while True:
        page = api(gateway, f"/traces{query}")
        assert len(page["traces"]) <= 2
        seen += [row["id"] for row in page["traces"]]
        if page["next"] is None:
            break
        ask(gateway, "meanwhile")  # what is newer changes no later page
        query = f"?limit=2&before={quote(page['next'])}"
    assert seen == asked[::-1]


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/traces?before=soon", "before"),
        ("/traces?status=fine", "before"),
        ("/traces?status=" + "9" * 30, "before"),
        ("/traces?limit=-1", "limit"),
        ("/traces?limit=1e3", "limit"),
        ("/traces?limit=99999999999", "limit"),
        ("/series?minutes=x", "minutes"),
        ("/series?bucket=0", "bucket"),
        ("/series?minutes=999999&bucket=1", "bucket"),
        ("/live?since=yesterday", "since"),
    ],
)
def test_a_parameter_that_cannot_be_meant_is_refused(gateway, path, param):
    reply = gateway.get(API + path, BEARER)
    assert (reply.status, reply.error["param"]) == (400, param)


def test_one_request_has_its_row_and_its_parts(gateway):
    asked = ask(gateway, "hello", {"text": "Well, hello."}, session="ses_1")
    found = api(gateway, f"/traces/{asked}")
    assert found["summary"] == api(gateway, "/traces")["traces"][0]
    assert {"client_headers", "client_request", "resolved", "answer"} <= set(found["parts"])
    for part, size in found["parts"].items():
        value = api(gateway, f"/traces/{asked}/parts/{part}")
        assert len(json.dumps(value, ensure_ascii=False).encode()) == size, part
    request = api(gateway, f"/traces/{asked}/parts/client_request")
    assert request["messages"] == [{"role": "user", "content": "hello"}]
    assert api(gateway, f"/traces/{asked}/parts/answer")["choices"][0]["message"]["content"] == "Well, hello."


def test_a_key_that_a_client_sent_is_stored_nowhere(gateway):
    key = "sk-client-9876543210abcdef"
    body = {"model": "mock", "messages": [{"role": "user", "content": f"my key is {key}"}], "stream": True}
    reply = post(gateway, body, {"Authorization": f"Bearer {key}"})
    asked = reply.headers["x-request-id"]
    parts = api(gateway, f"/traces/{asked}")["parts"]
    paths = ["", "/chunks", "/curl", "/capture", *(f"/parts/{part}" for part in parts)]
    answers = [gateway.get(f"{API}/traces/{asked}{path}", BEARER) for path in paths]
    assert {answer.status for answer in answers} == {200}
    assert not [answer.raw for answer in answers if key.encode() in answer.raw]
    assert b"my key is" in b"".join(answer.raw for answer in answers)


def test_the_chunks_are_what_was_read_what_was_sent_and_the_repairs_between(gateway):
    found = api(gateway, f"/traces/{(asked := ask_repaired(gateway))}/chunks")
    for name in ("raw", "emitted"):
        numbers = [entry["n"] for entry in found[name] if entry["n"] is not None]
        assert numbers == list(range(1, len(numbers) + 1)) != []
        times = [entry["at"] for entry in found[name]]
        assert times == sorted(times)
    assert found["emitted"][-1] | {"at": 0} == {"at": 0, "n": None, "data": "[DONE]"}
    said = [json.loads(entry["data"]) for entry in found["emitted"] if entry["n"]]
    assert "I shall." == "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in said if chunk["choices"])
    row = api(gateway, f"/traces/{asked}")["summary"]
    assert {entry["rule"] for entry in found["repairs"]} == {
        part.partition("=")[0] for part in row["repairs"].split(",")
    }
    assert all(set(entry) == {"at", "raw", "rule", "where", "before", "after", "mode"} for entry in found["repairs"])


def test_the_curl_command_sends_the_same_body_to_this_gateway(gateway):
    asked = ask(gateway, "it's $HOME `id`\n", session="ses_1")
    reply = gateway.get(f"{API}/traces/{asked}/curl", BEARER)
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    words = shlex.split(reply.raw.decode())
    assert words[0] == "curl" and f"{gateway.url}/v1/chat/completions" in words
    assert json.loads(words[-1])["messages"][0]["content"] == "it's $HOME `id`\n"
    assert any(word.lower() == "x-session-id: ses_1" for word in words)


def test_the_capture_is_a_download_that_reads_back(gateway):
    body = {"model": "mock", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    sent = post(gateway, body)
    asked = sent.headers["x-request-id"]
    reply = gateway.get(f"{API}/traces/{asked}/capture", BEARER)
    assert reply.headers["content-disposition"] == f'attachment; filename="{asked}.capture.jsonl"'
    assert reply.headers["content-type"].startswith("application/jsonl")
    capture = read_capture(reply.raw.decode().split("\n"))
    assert capture.summary["id"] == asked
    assert capture.last("client_request")["messages"] == body["messages"]
    assert b"".join(data for _, data in capture.emitted()) == sent.raw


def test_the_series_counts_each_request_once(gateway):
    ask(gateway), ask(gateway, script=FAILS), ask_repaired(gateway)
    buckets = api(gateway, "/series?minutes=10&bucket=60")["buckets"]
    assert len(buckets) == 10
    assert [right["at"] - left["at"] for left, right in zip(buckets, buckets[1:], strict=False)] == [60] * 9
    totals = [sum(bucket[name] for bucket in buckets) for name in ("requests", "errors", "repaired")]
    assert totals == [3, 1, 1]
    assert any(bucket["repairs"] and bucket["duration_p50"] is not None for bucket in buckets)


def test_sessions_are_listed_with_their_counts(gateway):
    ask(gateway, session="ses_1"), ask(gateway, script=FAILS, session="ses_1"), ask(gateway)
    ask_repaired(gateway)
    found = {session["session"]: session for session in api(gateway, "/sessions")["sessions"]}
    assert set(found) == {"ses_1", "ses_r"}
    assert [found["ses_1"][name] for name in ("requests", "errors", "repaired")] == [2, 1, 0]
    assert [found["ses_r"][name] for name in ("requests", "errors", "repaired")] == [1, 0, 1]
    assert found["ses_r"]["models"] == [REPAIRED_MODEL]


def test_the_filters_are_what_was_seen_the_most_frequent_first(gateway):
    ask(gateway), ask(gateway), ask(gateway, script=FAILS), ask_repaired(gateway)
    assert api(gateway, "/filters") == {
        "models": ["mock", REPAIRED_MODEL],
        "clients": ["curl/8", "opencode/1"],
        "statuses": [200, 429],
    }


@pytest.mark.parametrize("path", ["", "/parts/answer", "/chunks", "/curl", "/capture"])
def test_a_request_that_is_not_stored_is_not_found(gateway, path):
    reply = gateway.get(f"{API}/traces/nothing{path}", BEARER)
    assert (reply.status, reply.error["code"]) == (404, "trace_not_found")


def test_a_part_or_route_that_there_is_not_is_not_found(gateway):
    asked = ask(gateway)
    assert gateway.get(f"{API}/traces/{asked}/parts/secrets", BEARER).error["code"] == "trace_not_found"
    reply = gateway.get(f"{API}/nothing", BEARER)
    assert (reply.status, reply.error["code"]) == (404, "unknown_url")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_the_api_changes_nothing(gateway, method):
    for route in ROUTES:
        reply = gateway.request(method, API + route, {} if method != "DELETE" else None, BEARER)
        assert reply.status == 405, route
        assert "GET" in reply.headers["allow"]


def test_without_the_inspector_there_is_no_route(serve):
    gateway = serve({"m": {"options": {"engine": "mock"}, "models": {"mock": {}}}}, GATEWAY_INSPECTOR="0")
    assert [gateway.get(path, BEARER).status for path in ("/inspector", f"{API}/traces")] == [404, 404]
