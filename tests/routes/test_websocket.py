"""Who gets a WebSocket at /ws/generate, and what the others are told."""

import pytest

from tests.answers import stream
from tests.local_gateway import local, local_data, local_folder  # noqa: F401 (fixtures)
from tests.socket_client import Refused, SocketClient
from tests.upstream import FakeUpstream

MAP = {"m": {"options": {"engine": "mock"}, "models": {"mock": {}}}}
KEY = "key-1234567890"
BODY = {"model": "mock", "prompt": "Hello"}
HELLO = {"token": "Hello"}


def refused(gateway, path="/ws/generate", **headers):
    with pytest.raises(Refused) as caught:
        SocketClient(gateway.port, path, headers)
    return caught.value


def test_a_handshake(serve):
    with SocketClient(serve(MAP).port) as client:
        assert client.headers["x-request-id"].startswith("req_")
        assert client.ask(**BODY)[0] == HELLO


def test_a_plain_request_is_told_what_is_missing(serve):
    reply = serve(MAP).get("/ws/generate")
    assert (reply.status, reply.headers["upgrade"], reply.json["error"]["code"]) == (426, "websocket", "invalid_request")


def test_there_are_no_sockets_elsewhere(serve):
    assert refused(serve(MAP), "/ws/nowhere").error["details"] == "unknown_url"
    assert refused(serve(MAP), "/api/generate").status in (400, 404, 405)


def test_a_bad_handshake(serve):
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    reply = serve(MAP).get("/ws/generate", headers)
    assert (reply.status, reply.json["error"]["details"]) == (400, "invalid_http")


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", "http://127.0.0.1.example.com"])
def test_a_web_page_elsewhere_is_refused(serve, origin):
    told = refused(serve(MAP), Origin=origin)
    assert (told.status, told.error["details"]) == (403, "forbidden")


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:8000", "http://[::1]:1"])
def test_a_page_of_this_machine_is_not(serve, origin):
    with SocketClient(serve(MAP).port, headers={"Origin": origin}) as client:
        assert client.ask(**BODY)[0] == HELLO


@pytest.mark.parametrize(("query", "headers", "frame"), [
    ("", {"Authorization": f"Bearer {KEY}"}, {}), ("", {"x-api-key": KEY}, {}), (f"?api_key={KEY}", {}, {}),
    ("", {}, {"api_key": KEY})])
def test_each_way_to_bring_a_key(serve, query, headers, frame):
    with SocketClient(serve(MAP, GATEWAY_API_KEYS=KEY).port, f"/ws/generate{query}", headers) as client:
        assert client.ask(**BODY, **frame)[0] == HELLO
        assert client.ask(**BODY)[0] == HELLO, "once is enough"


@pytest.mark.parametrize(("query", "headers"), [
    ("?api_key=wrong", {}), ("", {"Authorization": "Bearer wrong"}), (f"?api_key={KEY}", {"x-api-key": "wrong"}),
    ("?api_key=", {})])
def test_a_wrong_key_gets_no_socket(serve, query, headers):
    told = refused(serve(MAP, GATEWAY_API_KEYS=KEY), f"/ws/generate{query}", **headers)
    assert (told.status, told.error["details"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("frame", [{}, {"api_key": "wrong"}, {"api_key": 5}, {"api_key": ""}, {"api_key": None}])
def test_a_wrong_key_in_the_first_frame_ends_it(serve, frame):
    with SocketClient(serve(MAP, GATEWAY_API_KEYS=KEY).port) as client:
        (told,) = client.ask(**BODY, **frame)
        assert (told["error"]["code"], told["error"]["details"]) == ("invalid_request", "invalid_api_key")
        assert client.end() == 1008


def test_a_key_is_in_no_log_and_goes_nowhere(serve, upstream: FakeUpstream, tmp_path):
    upstream.reply_sse(stream())
    log = tmp_path / "log.txt"
    options = {"baseURL": upstream.base_url, "engine": "relay"}
    gateway = serve({"up": {"options": options, "models": {"some-model": {}}}}, GATEWAY_API_KEYS=f"{KEY},other-{KEY}",
                    GATEWAY_LOG_FILE=str(log), GATEWAY_VERBOSE="1")
    with SocketClient(gateway.port, f"/ws/generate?api_key={KEY}") as client:
        client.ask(model="some-model", prompt="x", api_key=f"other-{KEY}")
        client.close()
        assert client.end() == 1000
    wait_for_line(log, "GET /ws/generate")
    assert KEY not in log.read_text("utf-8")
    assert KEY not in str(upstream.requests[0])


def wait_for_line(log, text):
    for _ in range(100_000):
        if text in log.read_text("utf-8"):
            return [line for line in log.read_text("utf-8").splitlines() if text in line]
    raise AssertionError(log.read_text("utf-8"))


def test_every_question_has_its_line_and_the_connection_too(serve, tmp_path):
    log = tmp_path / "log.txt"
    gateway = serve(MAP, GATEWAY_LOG_FILE=str(log))
    with SocketClient(gateway.port) as client:
        client.ask(**BODY)
        client.ask(model="mock")
    (connection,) = wait_for_line(log, "GET /ws/generate")
    assert client.headers["x-request-id"] in connection and " 101 " in connection
    good, bad = wait_for_line(log, "WS /ws/generate")
    assert "mock -> openai/mock (mock) 200 stream" in good and "finish=stop" in good and "in=1 out=1" in good
    assert " 400 " in bad and "`prompt` is required" in bad


def test_an_open_connection_is_no_work(serve, upstream):
    gate = upstream.reply_sse(stream()).gate_after(2)
    options = {"baseURL": upstream.base_url, "engine": "relay"}
    gateway = serve({"up": {"options": options, "models": {"some-model": {}}}})
    with SocketClient(gateway.port) as client:
        assert gateway.get("/api/health").json["in_flight"] == 1  # the question itself
        client.send({"model": "some-model", "prompt": "x"})
        assert client.next() == {"token": "Hel"}
        assert gateway.get("/api/health").json["in_flight"] == 2
        gate.open()
        assert client.answer()[-1]["done"]
        assert client.ask(model="nix", prompt="x")[0]["error"]  # the count is down by now
        assert gateway.get("/api/health").json["in_flight"] == 1


def test_half_of_the_threads_are_left_to_others(serve):
    gateway = serve(MAP, GATEWAY_THREADS="3")
    with SocketClient(gateway.port) as first:
        told = refused(gateway)
        assert (told.status, told.error["details"]) == (503, "overloaded")
        first.close()
        assert first.end() == 1000
    for _ in range(1000):
        try:
            with SocketClient(gateway.port) as second:
                assert second.ask(**BODY)[0] == HELLO
                break
        except Refused:
            continue  # the first is still being put away
    else:
        raise AssertionError("the place is never given back")


def test_who_says_nothing_is_let_go(serve):
    with SocketClient(serve(MAP, GATEWAY_IDLE_TIMEOUT="0.2").port) as client:
        assert client.end() == 1000


def test_a_frame_may_only_be_as_large_as_a_body(serve):
    with SocketClient(serve(MAP, GATEWAY_MAX_BODY_BYTES="1024").port) as client:
        client.send({**BODY, "prompt": "x" * 2000})
        assert client.end() == 1009
