"""WebSockets under gunicorn, with both kinds of workers: answers, and an orderly end."""

import signal
import threading
from contextlib import contextmanager

import pytest

from tests.answers import stream
from tests.gateway import Gateway
from tests.maps import MODEL, both_engines, write_map
from tests.socket_client import Refused, SocketClient
from tests.upstream import FakeUpstream

pytestmark = pytest.mark.e2e
BODY = {"model": f"relay/{MODEL}", "prompt": "Hello"}
MOCK = {"model": "mock", "prompt": "one two"}


@pytest.fixture(scope="module")
def far():
    """One upstream for all gateways of this file."""
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(far):
    """The same, without what tests before left there."""
    far.reset()
    return far


@pytest.fixture(scope="module", params=["gthread", "gevent"])
def start(request, far, tmp_path_factory):
    """Start a gateway in processes of its own: `start()`."""
    if request.param == "gevent":
        pytest.importorskip("gevent", reason="GEVENT IS NOT INSTALLED: its WebSockets are not tested")

    @contextmanager
    def begin(**environ):
        folder = tmp_path_factory.mktemp("served")
        environ = {"GATEWAY_WORKER_CLASS": request.param, "GATEWAY_LOCAL_MODELS": "0", "GATEWAY_DRAIN_TIMEOUT": "20", **environ}
        content = both_engines(far.base_url)
        del content["provider"]["litellm"]  # nothing that a start would wait for
        with Gateway(folder, OPENCODE_CONFIG=write_map(folder, content), **environ) as gateway:
            yield gateway
        assert "Traceback" not in gateway.output(), gateway.output()

    return begin


@pytest.fixture(scope="module")
def served(start):
    """One gateway for the tests that leave it running."""
    with start() as gateway:
        yield gateway


def test_questions_and_answers(served, upstream):
    upstream.reply_sse(stream("Hel", "lo"))
    with SocketClient(served.port) as client:
        for _ in range(3):
            assert [frame.get("token") for frame in client.ask(**BODY)] == ["Hel", "lo", None]
        client.close()
        assert client.end() == 1000
    assert served.status("/health") == 200


def test_twenty_at_once(served):
    answers = []

    def talk():
        with SocketClient(served.port) as client:
            answers.append(client.ask(**MOCK, mock={"delay": 0.02}))

    threads = [threading.Thread(target=talk) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [[frame.get("token") for frame in frames] for frames in answers] == [["one ", "two", None]] * 20


def test_large_frames_both_ways(served):
    text = "word " * 100_000
    with SocketClient(served.port) as client:
        frames = client.ask(model="mock", prompt=text, mock={"chunk": "whole"}, max_tokens=131_072)
        assert "".join(frame.get("token", "") for frame in frames) == text


@pytest.mark.parametrize("words", [True, False], ids=["in words", "without"])
def test_a_client_that_leaves_ends_the_upstreams_work(served, upstream, words):
    gate = upstream.reply_sse(stream()).gate_after(0)
    with SocketClient(served.port) as client:
        client.send(BODY)
        assert gate.wait_reached()
        if words:
            client.close()
    assert upstream.wait_closed()


def test_errors_are_frames(served):
    with SocketClient(served.port) as client:
        assert client.ask(model="nix", prompt="x")[0]["error"]["code"] == "model_not_found"
        assert client.end() == 1008
    with pytest.raises(Refused) as caught:
        SocketClient(served.port, headers={"Origin": "https://evil.example.com"})
    assert caught.value.status == 403


def test_a_drain_finishes_answers_and_lets_idle_connections_go(start, upstream):
    gate = upstream.reply_sse(stream()).gate_after(2)
    with start() as gateway, SocketClient(gateway.port) as idle, SocketClient(gateway.port) as busy:
        busy.send(BODY)
        assert busy.next() == {"token": "Hel"}
        gateway.process.send_signal(signal.SIGTERM)
        assert idle.end() == 1001
        assert gateway.process.poll() is None
        gate.open()
        frames = busy.answer()
        assert frames[0] == {"token": "lo!"} and frames[-1]["done"]
        assert busy.end() == 1001
        assert gateway.process.wait(15) == 0


def test_clients_that_say_nothing_do_not_hold_the_end_up(start):
    with start() as gateway, SocketClient(gateway.port) as first, SocketClient(gateway.port) as second:
        assert second.ask(**MOCK)[-1]["done"]
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(10) == 0
        assert (first.end(), second.end()) == (1001, 1001)


def test_what_takes_too_long_is_cancelled(start, upstream):
    upstream.reply_sse(stream()).hang_after(2)
    with start(GATEWAY_DRAIN_TIMEOUT="0.3") as gateway:
        with SocketClient(gateway.port) as client:
            client.send(BODY)
            assert client.next() == {"token": "Hel"}
            gateway.process.send_signal(signal.SIGTERM)
            assert client.next()["error"]["details"] == "shutting_down"
            assert client.end() == 1001
        assert gateway.process.wait(12) == 0
