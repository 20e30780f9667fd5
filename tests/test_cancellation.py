"""A client that goes away cancels the upstream's call within a second, whatever the call is doing; under gunicorn."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway import Gateway
from tests.maps import ENGINES, MODEL, both_engines, write_map
from tests.upstream import FakeUpstream

WITHIN = 1.0  # seconds, as promised
CHUNK = {
    "id": "x",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": MODEL,
    "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}],
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, FakeUpstream]]:
    folder: Path = tmp_path_factory.mktemp("cancel")
    with FakeUpstream() as upstream:
        config = write_map(folder, both_engines(upstream.base_url))
        with Gateway(folder, OPENCODE_CONFIG=config, GATEWAY_VERBOSE="0") as gateway:
            yield gateway, upstream


def ask(gateway: Gateway, engine: str, stream: bool) -> socket.socket:
    """Send a chat request on a socket of its own."""
    body = json.dumps({"model": f"{engine}/{MODEL}", "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
    client = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    client.sendall((head + body).encode())
    return client


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("stream", (False, True), ids=("whole", "stream"))
def test_before_the_first_byte(running: tuple[Gateway, FakeUpstream], engine: str, stream: bool) -> None:
    gateway, upstream = running
    upstream.reset()
    upstream.hang_before_headers()
    client = ask(gateway, engine, stream)
    upstream.wait_for_requests(1)
    client.close()
    assert upstream.wait_closed(WITHIN)


@pytest.mark.parametrize("stream", (False, True), ids=("whole", "stream"))
def test_under_gevent(tmp_path: Path, stream: bool) -> None:
    pytest.importorskip("gevent", reason="GEVENT IS NOT INSTALLED: the gevent worker is not tested")
    with FakeUpstream() as upstream:
        config = write_map(tmp_path, both_engines(upstream.base_url))
        with Gateway(tmp_path, OPENCODE_CONFIG=config, GATEWAY_WORKER_CLASS="gevent") as gateway:
            upstream.hang_before_headers()
            client = ask(gateway, "relay", stream)
            upstream.wait_for_requests(1)
            client.close()
            assert upstream.wait_closed(WITHIN)


@pytest.mark.parametrize("engine", ENGINES)
def test_in_the_middle_of_a_stream(running: tuple[Gateway, FakeUpstream], engine: str) -> None:
    gateway, upstream = running
    upstream.reset()
    upstream.reply_sse([CHUNK] * 3).hang_after(2)
    client = ask(gateway, engine, True)
    received = b""
    while received.count(b"word") < 2:
        received += client.recv(65536)
    client.close()
    assert upstream.wait_closed(WITHIN)


@pytest.mark.parametrize("engine", ENGINES)
def test_in_the_middle_of_a_whole_answer(running: tuple[Gateway, FakeUpstream], engine: str) -> None:
    gateway, upstream = running
    upstream.reset()
    upstream.reply_json({"choices": [], "padding": "x" * 100}).hang_after(bytes=20)
    client = ask(gateway, engine, False)
    upstream.wait_for_requests(1)
    client.close()
    assert upstream.wait_closed(WITHIN)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_client_that_stays_gets_its_answer(running: tuple[Gateway, FakeUpstream], engine: str) -> None:
    """Bytes of a next request on the same connection are no end of the client."""
    gateway, upstream = running
    upstream.reset()
    gate = upstream.reply_sse(
        [CHUNK, {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
    ).gate_after(1)
    client = ask(gateway, engine, True)
    assert gate.wait_reached()
    client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    received = b""
    while b"word" not in received:
        received += client.recv(65536)
    gate.open()
    while b"[DONE]" not in received or b'"ok"' not in received:
        piece = client.recv(65536)
        assert piece, received
        received += piece
    client.close()
    assert upstream.closed_by_client == 0
