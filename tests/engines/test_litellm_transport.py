"""LiteLLM's HTTP on the gateway's wire."""

import httpx
import pytest

from app.call import Timeouts, UpstreamCall
from app.engines import wire
from app.engines.litellm_transport import NO_KEY, Tap, WireTransport, using
from app.errors import UpstreamTimeout
from app.trace import Trace
from tests.answers import stream


@pytest.fixture
def tapped():
    """Send httpx requests with a tap beneath them."""
    taps = []

    def send(url, streams=False, first_byte=5.0, **request):
        tap = Tap(UpstreamCall(Trace("POST", "/"), timeouts=Timeouts(5, first_byte, 5)), streams)
        tap.url = request.pop("exact", None)
        taps.append(tap)
        with using(tap), httpx.Client(transport=WireTransport()) as client:
            return tap, client.post(url, **request)

    yield send
    for tap in taps:
        tap.close()
    wire.close_idle()


def test_without_a_tap_nothing_is_sent(upstream):
    with httpx.Client(transport=WireTransport()) as client, pytest.raises(httpx.ConnectError):
        client.get(upstream.url)
    assert upstream.connections == 0


def test_a_whole_answer_passes_through_and_is_kept(tapped, upstream):
    upstream.reply_json({"a": 1}, 201, {"X-Cost": "3"})
    tap, answer = tapped(upstream.url + "/path?b=2", json={"c": 3})
    assert (answer.status_code, answer.json(), answer.headers["x-cost"]) == (201, {"a": 1}, "3")
    assert tap.body == b'{"a":1}'
    (request,) = upstream.requests
    assert (request.path, request.body) == ("/path?b=2", {"c": 3})


def test_the_wires_own_headers_do_not_reach_httpx(tapped, upstream):
    import gzip

    upstream.reply_bytes(gzip.compress(b'{"a": 1}'), 200, {"Content-Encoding": "gzip", "Content-Type": "application/json"})
    _, answer = tapped(upstream.url)
    assert answer.json() == {"a": 1}, "unpacked once, not twice"
    assert "content-encoding" not in answer.headers


def test_a_tapped_stream_is_left_on_the_wire(tapped, upstream):
    sent = upstream.reply_sse(stream())
    tap, answer = tapped(upstream.url, streams=True, json={})
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "text/event-stream", b"")
    assert b"".join(tap.exchange.batches(0)) == sent.body


def test_a_tapped_stream_does_not_wait_for_the_upstreams_head(tapped, upstream):
    upstream.hang_before_headers()
    tap, answer = tapped(upstream.url, streams=True, json={})
    assert answer.status_code == 200 and tap.exchange.response is None


def test_the_request_says_who_asks_and_no_more(tapped, upstream):
    headers = {"User-Agent": "ours", "X-Stainless-Lang": "python", "X-Own": "1", "Accept-Encoding": "gzip, br"}
    tapped(upstream.url, headers=headers, json={})
    (request,) = upstream.requests
    assert not [name for name in request.headers if name.startswith("x-stainless")]
    assert (request.headers["user-agent"], request.headers["x-own"]) == ("ours", "1")
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["content-length"] == str(len(request.raw))


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "x-goog-api-key"])
def test_a_key_that_is_none_is_not_sent(tapped, upstream, name):
    tapped(upstream.url, headers={name: f"Bearer {NO_KEY}"}, json={})
    assert name.lower() not in upstream.requests[0].headers


def test_of_two_spellings_of_a_header_the_later_counts(tapped, upstream):
    tapped(upstream.url, headers=[("Authorization", "a"), ("authorization", "b")], json={})
    assert upstream.requests[0].headers["authorization"] == "b"


def test_an_exact_address_overrules(tapped, upstream):
    tapped(upstream.url + "/v1?a=1/chat", exact=upstream.url + "/v1/chat?a=1", json={})
    assert upstream.requests[0].path == "/v1/chat?a=1"


def test_the_wires_errors_come_through_as_they_are(tapped, upstream):
    upstream.hang_before_headers()
    with pytest.raises(UpstreamTimeout):
        tapped(upstream.url, first_byte=0.1, json={})


def test_a_second_try_of_one_call_closes_the_first(upstream):
    upstream.reply_json({})
    tap = Tap(UpstreamCall(Trace("POST", "/")))
    try:
        with using(tap), httpx.Client(transport=WireTransport()) as client:
            client.post(upstream.url, json={})
            client.post(upstream.url, json={})
    finally:
        tap.close()
        wire.close_idle()
    assert (len(upstream.requests), upstream.connections) == (2, 1)
