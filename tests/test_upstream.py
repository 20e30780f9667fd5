"""The fake upstream itself: what it sends byte for byte, what it remembers, what it notices."""

import contextlib
import http.client
import json
import socket
import threading

import pytest

from tests.upstream import FakeUpstream, Gate, json_answer, sse_answer


@pytest.fixture
def fake():
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
def connect(fake):
    """Open connections that are closed after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(
            contextlib.closing(http.client.HTTPConnection("127.0.0.1", fake.port, timeout=5))
        )


@pytest.fixture
def post(connect):
    """Post a body and give the response, unread."""
    with contextlib.ExitStack() as stack:

        def send(body=None, connection=None):
            connection = connection or connect()
            headers = {"X-Key": "k", "Content-Type": "application/json"}
            connection.request("POST", "/v1/chat/completions", json.dumps(body or {"n": 1}), headers)
            return stack.enter_context(contextlib.closing(connection.getresponse()))

        yield send


def open_stream(fake):
    """Send a request on a bare socket and leave the answer to the caller."""
    peer = socket.create_connection(("127.0.0.1", fake.port), timeout=5)
    peer.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
    return peer


def test_it_remembers_the_request_and_answers_json(fake, post):
    fake.reply_json({"ok": True}, status=201, headers={"X-Custom": "yes"})
    response = post({"model": "m"})
    assert (response.status, response.headers["X-Custom"], json.loads(response.read())) == (201, "yes", {"ok": True})
    (request,) = fake.wait_for_requests(1)
    assert (request.method, request.path, request.body) == ("POST", "/v1/chat/completions", {"model": "m"})
    assert request.headers["x-key"] == "k"


def test_answers_come_in_order_and_the_last_repeats(fake, post):
    fake.reply(json_answer({"n": 1}, 500), json_answer({"n": 2}))
    fake.then(json_answer({"n": 3}))
    assert [json.loads(post().read())["n"] for _ in range(4)] == [1, 2, 3, 3]


def test_an_answer_can_depend_on_the_request(fake, post):
    fake.reply_with(lambda request: json_answer({"echo": request.body["model"]}))
    assert json.loads(post({"model": "x"}).read()) == {"echo": "x"}


def test_connections_are_kept_and_counted(fake, post, connect):
    connection = connect()
    for _ in range(3):
        assert post(connection=connection).read() == b"{}"
    assert (fake.connections, len(fake.requests)) == (1, 3)
    connection.close()
    fake.wait_idle()
    assert fake.closed_by_client == 0


@pytest.mark.parametrize("framing", ("chunked", "length", "close"))
@pytest.mark.parametrize("pieces", (None, 1, 7, [3, 9]))
def test_a_stream_arrives_whole_however_it_is_cut(fake, framing, pieces, post):
    events = [{"a": "é"}, ["x"], "text", b": comment\n\n"]
    fake.reply_sse(events, framing=framing, pieces=pieces)
    response = post()
    expected = 'data: {"a":"é"}\n\ndata: ["x"]\n\ndata: text\n\n: comment\n\ndata: [DONE]\n\n'
    assert response.read() == expected.encode()
    assert response.headers["Content-Type"] == "text/event-stream"


@pytest.mark.parametrize(
    ("pieces", "sends"),
    (
        (None, [b"data: 1\n\n", b"data: [DONE]\n\n"]),
        (12, [b"data: 1\n\ndat", b"a: [DONE]\n\n"]),
        ([], None),
        ([4], None),
    ),
)
def test_pieces_say_where_sends_end(pieces, sends):
    steps = sse_answer(["1"], pieces=pieces).steps()
    assert b"".join(steps) == b"data: 1\n\ndata: [DONE]\n\n"
    assert sends is None or steps == sends


def test_newlines_and_spaces_can_be_odd():
    assert sse_answer([{}], newline="\r\n", space=False).body == b"data:{}\r\n\r\ndata:[DONE]\r\n\r\n"


def test_lone_surrogates_are_escaped_and_other_letters_are_not():
    assert sse_answer([{"a": "\ud800"}, {"a": "\u2028"}], done=False).body == (
        b'data: {"a":"\\ud800"}\n\n' + 'data: {"a":"\u2028"}\n\n'.encode()
    )


@pytest.mark.parametrize("framing", ("chunked", "length"))
def test_a_cut_stream_is_an_incomplete_read(fake, framing, post):
    fake.reply_sse(["1", "2"], framing=framing).cut_after(1)
    with pytest.raises(http.client.IncompleteRead) as caught:
        post().read()
    assert caught.value.partial.startswith(b"data: 1\n\n")
    assert b"2" not in caught.value.partial


def test_a_reset_is_a_reset(fake, post):
    fake.reply_json({"long": "body"}).cut_after(bytes=4, reset=True)
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        post().read()


@pytest.mark.parametrize("reset", (False, True))
def test_it_can_close_without_a_word(fake, reset, post):
    fake.cut_before_headers(reset)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        post()


def test_a_gate_holds_the_rest_back_until_it_opens(fake, post):
    gate = fake.reply_sse(["1", "2"], done=False).gate_after(1)
    response = post()
    assert gate.wait_reached()
    assert response.readline() + response.readline() == b"data: 1\n\n"
    gate.open()
    assert response.read() == b"data: 2\n\n"


def test_one_gate_serves_many_answers(fake, post):
    gate = Gate()
    fake.reply_json({"late": True}).gate_after(0, gate)
    fake_answers = []
    threads = [threading.Thread(target=lambda: fake_answers.append(post().read())) for _ in range(5)]
    for thread in threads:
        thread.start()
    fake.wait_for_requests(5)
    gate.open()
    for thread in threads:
        thread.join(5)
    assert fake_answers == [b'{"late":true}'] * 5


def test_it_notices_a_peer_that_leaves_while_it_is_silent(fake):
    fake.hang_before_headers()
    peer = open_stream(fake)
    fake.wait_for_requests(1)
    assert not fake.wait_closed(timeout=0)
    peer.close()
    assert fake.wait_closed()


def test_it_notices_a_peer_that_leaves_in_mid_stream(fake):
    fake.reply_sse(["1", "2"]).hang_after(1)
    peer = open_stream(fake)
    assert b"200" in peer.recv(100)
    peer.close()
    assert fake.wait_closed()


def test_reset_ends_what_hangs_and_forgets(fake, post):
    fake.hang_before_headers()
    peer = open_stream(fake)
    fake.wait_for_requests(1)
    fake.reset()
    assert peer.recv(100) == b""
    assert (fake.requests, fake.open_connections, fake.closed_by_client) == ([], 0, 0)
    assert post().status == 200
    peer.close()


def test_raw_answers_are_verbatim(fake, post):
    fake.reply_raw(b"HTTP/1.0 299 Strange\r\nA: b\r\n\r\nbody")
    response = post()
    assert (response.status, response.reason, response.read()) == (299, "Strange", b"body")


@pytest.mark.parametrize(
    ("body", "sent"),
    (
        ("<html>", b"<html>"),
        (b"\xff", b"\xff"),
        ([{"error": 1}], b'[{"error":1}]'),
        (None, b'{"error":{"message":"refused"}}'),
    ),
)
def test_refusals(fake, body, sent, post):
    fake.refuse(502, body, headers={"Retry-After": "3"})
    response = post()
    assert (response.status, response.headers["Retry-After"], response.read()) == (502, "3", sent)


@pytest.mark.parametrize("method", ("GET", "HEAD"))
def test_models_are_listed(fake, method, connect):
    connection = connect()
    connection.request(method, "/v1/models")
    response = connection.getresponse()
    text = response.read()
    assert response.status == 200
    assert text == b"" if method == "HEAD" else json.loads(text)["data"][0]["id"] == "fake-model"


def test_chunked_request_bodies_are_read(fake, connect):
    connection = connect()
    connection.request(
        "POST", "/x", iter([b'{"a":', b"1}"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
    )
    assert connection.getresponse().status == 200
    assert fake.requests[0].body == {"a": 1}


def test_waiting_for_what_does_not_come_says_so(fake):
    with pytest.raises(TimeoutError, match="1 requests"):
        fake.wait_for_requests(1, timeout=0)
