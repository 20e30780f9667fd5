"""SIGTERM lets running answers finish, at most the set time, and refuses new requests with a 503 meanwhile."""

import json
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.gateway import Gateway
from tests.maps import MODEL, both_engines, write_map
from tests.upstream import FakeUpstream

CHUNK = {
    "id": "x",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": MODEL,
    "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}],
}
LAST = {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
BODY = {"model": f"relay/{MODEL}", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
SERVERS = (("-m", "app", "serve"), ("-m", "app", "serve"))


def post(gateway: Gateway) -> urllib.request.Request:
    return urllib.request.Request(gateway.base_url + "/chat/completions", json.dumps(BODY).encode())


@pytest.mark.parametrize("worker_class", ("gthread", "gevent"))
def test_a_running_answer_finishes_and_new_requests_are_refused(tmp_path: Path, worker_class: str) -> None:
    if worker_class == "gevent":
        pytest.importorskip("gevent", reason="GEVENT IS NOT INSTALLED: the gevent worker is not tested")
    with FakeUpstream() as upstream:
        config = write_map(tmp_path, both_engines(upstream.base_url))
        with Gateway(tmp_path, OPENCODE_CONFIG=config, GATEWAY_WORKER_CLASS=worker_class) as gateway:
            gate = upstream.reply_sse([CHUNK, LAST]).gate_after(1)
            answer = urllib.request.urlopen(post(gateway), timeout=20)
            while b"word" not in answer.readline():
                pass
            worker = worker_pid(gateway)
            gateway.process.send_signal(signal.SIGTERM)
            refused = wait_until_refused(gateway)
            assert refused["error"]["code"] == "shutting_down"
            gate.open()
            assert b"[DONE]" in answer.read()
            assert gateway.process.wait(15) == 0
            assert not Path(f"/proc/{worker}").exists()


def test_the_limit_is_kept(tmp_path: Path) -> None:
    with FakeUpstream() as upstream:
        config = write_map(tmp_path, both_engines(upstream.base_url))
        with Gateway(tmp_path, OPENCODE_CONFIG=config, GATEWAY_DRAIN_TIMEOUT="0.5") as gateway:
            upstream.reply_sse([CHUNK, LAST]).hang_after(1)
            client = socket.create_connection(("127.0.0.1", gateway.port), timeout=20)
            data = json.dumps(BODY).encode()
            client.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(data) + data
            )
            assert client.recv(65536)
            gateway.process.send_signal(signal.SIGTERM)
            gateway.process.wait(12)
            client.close()


def worker_pid(gateway: Gateway) -> int:
    children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split()
    return int(children[0])


def wait_until_refused(gateway: Gateway) -> dict:
    """Ask until the drain has begun; the signal reaches the worker a moment after the master."""
    for _ in range(200):
        try:
            with urllib.request.urlopen(gateway.url + "/v1/models", timeout=5):
                pass
        except urllib.error.HTTPError as error:
            with error:
                assert error.code == 503
                assert error.headers["Retry-After"]
                return json.loads(error.read())
    raise AssertionError("never refused")
