"""A captured answer for any client: whole writes at their pace, several requests on one connection, no leftovers."""

import http.client
import json
import socket
import threading

import pytest

from app.recording import Recording
from app.replay_server import ReplayServer, content_type, paced
from tests.captures import asks, capture, emitted_events, note


@pytest.fixture
def serve():
    servers = []

    def serve(made, speed=0.0):
        server = ReplayServer(Recording(made), 0, speed)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        servers.append((server, thread))
        return server

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def connect(server):
    return http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)


STREAM = capture(asks("Hi"), *emitted_events(['{"a": 1}', '{"b": 2}', "[DONE]"], step=0.2))


def test_each_write_leaves_at_its_time():
    waited = []
    written = list(paced(Recording(STREAM), 1, waited.append))
    assert written == [b'data: {"a": 1}\n\n', b'data: {"b": 2}\n\n', b"data: [DONE]\n\n"]
    assert [round(seconds, 1) for seconds in waited] == [0.1, 0.3, 0.5]


@pytest.mark.parametrize(("speed", "waits"), [(0, 0), (2, 3)])
def test_the_speed(speed, waits):
    waited = []
    list(paced(Recording(STREAM), speed, waited.append))
    assert len(waited) == waits and all(seconds <= 0.25 for seconds in waited)


def test_a_connection_serves_several_requests(serve):
    server = serve(STREAM)
    connection = connect(server)
    for body in (b"", b'{"model": "x"}', b"x" * 100_000):
        connection.request("POST", "/any/path", body)
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read() == b"".join(data for _, data in Recording(STREAM).writes)
        assert answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"
    connection.close()


def test_a_whole_answer(serve):
    made = capture(asks("Hi", stream=False), note(0.5, "answer", {"choices": []}))
    connection = connect(serve(made))
    connection.request("POST", "/v1/chat/completions", b"{}")
    answer = connection.getresponse()
    assert json.loads(answer.read()) == {"choices": []} and answer.getheader("Content-Type") == "application/json"
    connection.close()
    assert content_type(Recording(made)) == "application/json"


@pytest.mark.parametrize("head", ["Content-Length: x", "Content-Length: -1", "Transfer-Encoding: chunked"])
def test_a_request_that_cannot_be_read_is_refused(serve, head):
    server = serve(STREAM)
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=10) as client:
        client.sendall(f"POST / HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 411 ")


def test_a_client_that_leaves_does_not_matter(serve):
    events = emitted_events(["x" * 100_000] * 200, step=0)
    server = serve(capture(asks("Hi"), *events))
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=10) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        client.recv(10)
    connection = connect(server)
    connection.request("POST", "/", b"")
    assert len(connection.getresponse().read()) > 20_000_000
    connection.close()


def test_a_slow_stream_does_not_hold_the_end_back(serve):
    server = serve(capture(asks("Hi"), *emitted_events(["{}", "{}"], step=3_600)), speed=1)
    connection = connect(server)
    connection.request("POST", "/", b"")
    assert connection.getresponse().readline()
    connection.close()


def test_only_this_machine_reaches_it(serve):
    assert serve(STREAM).server_address[0] == "127.0.0.1"
