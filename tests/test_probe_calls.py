"""The calls of a probe: counted, bounded, patient with rate limits, and honest about what came back."""

import pytest

from app.engines import wire
from app.errors import UpstreamError
from app.probe import find_target
from app.probe_calls import MAX_CALLS, OutOfCalls, Prober
from tests.answers import completion, stream
from tests.conftest import provider_at, settings_for
from tests.upstream import json_answer, sse_answer

USER = [{"role": "user", "content": "Hi"}]


@pytest.fixture(autouse=True)
def closed_connections():
    yield
    wire.close_idle()


@pytest.fixture
def naps():
    return []


@pytest.fixture
def prober(upstream, naps):
    settings = settings_for({"up": provider_at(upstream.base_url, "litellm")})
    return Prober(find_target("some-model", None, settings), naps.append)


def test_a_call_goes_out_as_it_is(prober, upstream):
    upstream.reply_json(completion("Hello!"))
    reply = prober.ask(16, messages=USER, seed=1)
    assert upstream.bodies == [{"model": "some-model", "messages": USER, "seed": 1, "max_tokens": 16}]
    assert reply.ok and reply.chunks == [completion("Hello!")] and reply.words == ""


def test_a_stream_is_its_chunks_and_whether_it_ended(prober, upstream):
    upstream.reply(sse_answer(stream()), sse_answer(stream(), done=False))
    assert [prober.ask(16, messages=USER, stream=True).done for _ in range(2)] == [True, False]
    assert prober.replies[0].chunks == stream()


def test_a_refusal_is_kept_in_its_own_words(prober, upstream):
    upstream.refuse(400, [{"error": {"message": "No."}}])
    reply = prober.ask(16, messages=USER)
    assert reply.refused and not reply.ok and '[{"error"' in reply.words


@pytest.mark.parametrize("status", [401, 500])
def test_what_is_not_about_the_request_is_no_refusal_of_it(prober, upstream, status):
    upstream.refuse(status)
    reply = prober.ask(16, messages=USER)
    assert not reply.refused and not reply.ok and isinstance(reply.error, UpstreamError)


def test_an_upstream_that_is_gone(prober, upstream):
    upstream.close()
    assert isinstance(prober.ask(16, messages=USER).error, UpstreamError)


RETRY_INFO = {"error": {"code": 429, "message": "x", "details": [{"@type": "type/RetryInfo", "retryDelay": "7s"}]}}
LIMITS = [({"Retry-After": "3"}, {}, 3), ({}, RETRY_INFO, 7), ({}, {}, 10), ({"Retry-After": "9999"}, {}, 60)]


@pytest.mark.parametrize(("headers", "body", "wait"), LIMITS)
def test_a_rate_limit_is_waited_out(prober, upstream, naps, headers, body, wait):
    upstream.reply(json_answer(body, 429, headers), json_answer(completion()))
    assert prober.ask(16, messages=USER).ok
    assert naps == [wait] and prober.calls == 2


def test_patience_ends(prober, upstream, naps):
    upstream.refuse(429, {"error": {"message": "slow down"}}, {"Retry-After": "60"})
    assert not prober.ask(16, messages=USER).ok
    assert naps == [60, 60]


def test_a_daily_quota_is_not_waited_for(prober, upstream, naps):
    upstream.refuse(429, {"error": {"message": "quota", "code": "insufficient_quota"}})
    assert not prober.ask(16, messages=USER).ok and naps == []


def test_calls_are_bounded(prober, upstream):
    upstream.reply_json(completion())
    for _ in range(MAX_CALLS):
        prober.ask(16, messages=USER)
    with pytest.raises(OutOfCalls):
        prober.ask(16, messages=USER)
    assert len(upstream.bodies) == MAX_CALLS and prober.left == 0


