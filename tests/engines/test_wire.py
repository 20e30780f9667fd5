"""HTTP to an upstream: kept connections, time limits, and letting go at once."""

import contextlib
import socket
import threading
import time

import pytest

from app.call import Timeouts, UpstreamCall
from app.engines import wire
from app.engines.wire import Exchange
from app.errors import ClientGone, UpstreamTimeout, UpstreamTruncated, UpstreamUnreachable
from app.trace import Trace
from tests.answers import completion, stream
from tests.client import chat_body
from tests.conftest import provider_at
from tests.upstream import Answer, json_answer, sse_answer
from tests.upstream_answers import CUT, RESET

SHORT = 0.15  # seconds; a limit that is meant to be reached
SOON = 5.0  # seconds; what happens at once, on a busy machine


@pytest.fixture(autouse=True)
def no_connection_is_left():
    yield
    wire.close_idle()


def call(connect=SOON, first_byte=SOON, idle=SOON):
    return UpstreamCall(Trace("POST", "/"), timeouts=Timeouts(connect, first_byte, idle))


def exchange(upstream, body=b"{}", call_=None):
    return Exchange("POST", upstream.base_url + "/x?y=1", {"Content-Type": "application/json"}, body, call_ or call())


def test_a_request_and_its_answer(upstream):
    upstream.reply_bytes(b"hello", 201, {"X-Cost": "1"})
    with exchange(upstream, b'{"a": 1}') as found:
        head = found.open()
        assert (head.status, head.headers["x-cost"]) == (201, "1")
        assert found.read_all() == b"hello"
    (request,) = upstream.requests
    assert (request.method, request.path, request.body) == ("POST", "/v1/x?y=1", {"a": 1})
    assert request.headers["host"] == f"127.0.0.1:{upstream.port}"
    assert request.headers["content-length"] == "8"


@pytest.mark.parametrize("raw", [
    b"HTTP/1.0 200 OK\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 \r\ncontent-LENGTH:5\r\n\r\nhello", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"])
def test_answers_of_odd_servers(upstream, raw):
    upstream.reply_raw(raw)
    with exchange(upstream) as found:
        assert found.read_all() == b"hello"


def test_an_answer_arrives_piece_by_piece(upstream):
    answer = upstream.reply_sse(stream(), pieces=7)
    with exchange(upstream) as found:
        assert b"".join(found.batches(0)) == answer.body


def test_silence_is_told_by_ticks(upstream):
    gate = upstream.reply_sse(stream()).gate_after(1)
    ticks, data = 0, b""
    with exchange(upstream) as found:
        for piece in found.batches(0.02):
            ticks, data = ticks + (not piece), data + piece
            if ticks == 3:
                gate.open()
    assert data.endswith(b"[DONE]\n\n") and ticks >= 3


def test_silence_before_the_head_is_told_too(upstream):
    answer = json_answer({})
    gate = answer.gate_after(bytes=0)
    answer.actions.clear()
    answer.before_headers = gate
    upstream.reply(answer)
    with exchange(upstream) as found:
        ticks = found.ticks(0.02)
        next(ticks)
        next(ticks)
        gate.open()
        assert list(ticks) is not None and found.open().status == 200


def test_only_so_much_of_a_body_is_kept(upstream):
    upstream.reply_bytes(b"x" * 100_000)
    with exchange(upstream) as found:
        assert found.read_all(10) == b"x" * 10
    with exchange(upstream) as found:
        found.read_all()
    assert upstream.connections == 1, "it was read to its end all the same"


# --- kept connections --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_twenty_requests_need_one_connection(gateway, upstream, streamed):
    upstream.reply_sse(stream()) if streamed else upstream.reply_json(completion())
    for _ in range(20):
        assert gateway.chat(stream=streamed).text == "Hello!"
    assert (len(upstream.requests), upstream.connections) == (20, 1)


@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_a_refusal_gives_its_connection_back(gateway, upstream, status):
    upstream.refuse(status, {"error": {"message": "no"}})
    for streamed in (False, True, False):
        assert gateway.chat(stream=streamed).status == status
    assert upstream.connections == 1


def test_bytes_behind_done_do_not_cost_the_connection(gateway, upstream):
    upstream.reply_sse([*stream(), "[DONE]", b": bye\n\n"], done=False)
    for _ in range(3):
        assert gateway.chat(stream=True).text == "Hello!"
    assert upstream.connections == 1


def test_requests_at_the_same_time_do_not_share_a_connection(upstream):
    first, second = exchange(upstream), exchange(upstream)
    with first, second:
        assert first.read_all() == second.read_all() == b"{}"
    assert upstream.connections == 2
    with exchange(upstream) as third:
        third.read_all()
    assert upstream.connections == 2


def test_a_connection_that_the_server_closed_is_not_used_again(gateway, upstream):
    good = json_answer(completion())
    closing = json_answer(completion())
    closing.keep_alive = False
    upstream.reply(closing, good)
    assert gateway.chat().status == gateway.chat().status == 200
    assert (len(upstream.requests), upstream.connections) == (2, 2)


@pytest.mark.parametrize("how", [CUT, RESET])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_kept_connection_that_dies_under_the_request_is_replaced_once(gateway, upstream, how, streamed):
    good = sse_answer(stream()) if streamed else json_answer(completion())
    upstream.reply(good, Answer(before_headers=how), good)
    assert gateway.chat(stream=streamed).text == "Hello!"
    assert gateway.chat(stream=streamed).text == "Hello!"
    assert (len(upstream.requests), upstream.connections) == (3, 2)


def test_a_new_connection_that_dies_is_not_tried_again(gateway, upstream):
    upstream.cut_before_headers()
    reply = gateway.chat()
    assert (reply.status, reply.error["code"], len(upstream.requests)) == (502, "upstream_unreachable", 1)


def test_a_kept_connection_that_closed_in_silence(gateway, upstream):
    upstream.reply_json(completion())
    assert gateway.chat().status == 200
    upstream.reset()
    upstream.reply_json(completion())
    assert gateway.chat().status == 200
    assert (len(upstream.requests), upstream.connections) == (1, 1)


def test_a_half_read_answer_closes_its_connection(upstream):
    upstream.reply_sse(stream()).hang_after(2)
    with exchange(upstream) as found:
        next(found.batches(0))
    assert upstream.wait_closed(SOON)


# --- limits ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def full_server():
    """A port whose queue is full: connecting to it neither succeeds nor fails."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


LIMITS = {"GATEWAY_CONNECT_TIMEOUT": str(SHORT), "GATEWAY_FIRST_BYTE_TIMEOUT": str(SHORT), "GATEWAY_IDLE_TIMEOUT": str(SHORT)}
BOTH = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])


@BOTH
def test_nobody_accepts(serve, engine, streamed):
    with full_server() as address:
        reply = serve({"p": provider_at(address, engine)}, GATEWAY_CONNECT_TIMEOUT=str(SHORT)).chat(stream=streamed)
    assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
    assert f"connect within {SHORT:g}" in reply.error["message"]


@BOTH
def test_no_head_comes(client_for, engine, upstream, streamed):
    upstream.hang_before_headers()
    reply = client_for(engine, GATEWAY_FIRST_BYTE_TIMEOUT=str(SHORT)).chat(stream=streamed)
    assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
    assert upstream.wait_closed(SOON), "the upstream is let go"


@BOTH
def test_a_head_comes_and_no_body(client_for, engine, upstream, streamed):
    answer = sse_answer(stream()) if streamed else json_answer(completion())
    upstream.reply(answer.hang_after(bytes=0))
    reply = client_for(engine, GATEWAY_FIRST_BYTE_TIMEOUT=str(4 * SHORT)).chat(stream=streamed)
    assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
    assert "no byte within" in reply.error["message"]


def test_a_whole_answer_falls_silent(client_for, engine, upstream):
    upstream.reply_json(completion()).hang_after(bytes=20)
    reply = client_for(engine, GATEWAY_IDLE_TIMEOUT=str(SHORT)).chat()
    assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
    assert "nothing more" in reply.error["message"]


def test_a_stream_falls_silent(client_for, engine, upstream):
    upstream.reply_sse(stream()).hang_after(2)
    reply = client_for(engine, GATEWAY_IDLE_TIMEOUT=str(SHORT)).chat(stream=True)
    if reply.status == 200:
        assert reply.stream_error["code"] == "upstream_timeout" and b"Hel" in reply.raw
    else:
        raise AssertionError(f"text came before the silence, but the status is {reply.status}")
    assert upstream.wait_closed(SOON)


def test_a_slow_stream_that_is_never_silent_is_left_alone(upstream):
    answer = upstream.reply_sse(stream(*"abcdefgh"))
    gates = [answer.gate_after(number) for number in range(1, 9)]
    limit = 0.5
    begun = time.monotonic()
    with exchange(upstream, call_=call(first_byte=limit, idle=limit)) as found:
        waiting = iter(gates)
        for piece in found.batches(0.1):
            if not piece:
                gate = next(waiting, None)
                if gate:
                    gate.open()
    assert time.monotonic() - begun > limit, "longer in all than any limit"


# --- letting go --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["head", "first byte", "middle"])
def test_cancelling_frees_whoever_waits(upstream, phase):
    if phase == "head":
        upstream.hang_before_headers()
    else:
        upstream.reply_sse(stream()).hang_after(0 if phase == "first byte" else 2)
    call_ = call(first_byte=60, idle=60)
    raised = []

    def read():
        try:
            with exchange(upstream, call_=call_) as found:
                for _ in found.batches(0):
                    pass
        except ClientGone as gone:
            raised.append(gone)

    thread = threading.Thread(target=read)
    thread.start()
    upstream.wait_for_requests(1)
    call_.cancel.cancel()
    thread.join(SOON)
    assert len(raised) == 1
    assert upstream.wait_closed(SOON)


def test_a_cancelled_call_sends_nothing(upstream):
    call_ = call()
    call_.cancel.cancel()
    with pytest.raises(ClientGone):
        exchange(upstream, call_=call_)
    assert upstream.requests == []


def test_cancelling_later_harms_nobody(upstream):
    call_ = call()
    with exchange(upstream, call_=call_) as found:
        found.read_all()
    call_.cancel.cancel()
    with exchange(upstream) as found:
        assert found.read_all() == b"{}"
    assert upstream.connections == 1, "the kept connection was not this call's any more"


# --- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [b"not http at all\r\n\r\n", b"HTTP/9.9 200 OK\r\n\r\n", b"\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_http(upstream, raw):
    upstream.reply_raw(raw)
    with exchange(upstream) as found, pytest.raises(UpstreamUnreachable):
        found.open()


@pytest.mark.parametrize("raw", [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\nhello"])
def test_a_body_that_ends_wrongly(upstream, raw):
    upstream.reply_raw(raw)
    with exchange(upstream) as found, pytest.raises(UpstreamTruncated):
        found.read_all()


@pytest.mark.parametrize("raw", [
    b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\nhello"])
@BOTH
def test_a_head_that_makes_no_sense(gateway, upstream, raw, streamed):
    upstream.reply_raw(raw)
    reply = gateway.chat(stream=streamed)
    assert reply.status == 502 and reply.error["type"] == "server_error"


def test_a_timeout_names_host_and_limit_but_no_path(upstream):
    upstream.hang_before_headers()
    with exchange(upstream, call_=call(first_byte=SHORT)) as found, pytest.raises(UpstreamTimeout) as timeout:
        found.open()
    assert f"127.0.0.1:{upstream.port}" in str(timeout.value) and "y=1" not in str(timeout.value)


def test_a_large_body_goes_out_whole(gateway, upstream):
    upstream.reply_json(completion())
    text = "é" * 2_000_000
    assert gateway.post("/v1/chat/completions", chat_body(messages=[{"role": "user", "content": text}])).status == 200
    assert upstream.bodies[0]["messages"][0]["content"] == text
