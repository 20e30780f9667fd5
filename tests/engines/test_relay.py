"""Where the relay sends a request, and under which headers."""

import pytest

from app.call import UpstreamCall
from app.engines import relay, wire
from app.errors import ConfigError
from app.trace import Trace
from app.utils.model_resolver import resolve_model
from tests.answers import completion, stream
from tests.conftest import provider_at, settings_for


def target(base_url="http://up.example/v1", entry=None, **options):
    return resolve_model("m", settings_for({"p": provider_at(base_url, "relay", {"m": entry or {}}, **options)}))


@pytest.mark.parametrize(("base_url", "url"), [
    ("http://up.example/v1", "http://up.example/v1/chat/completions"),
    ("http://up.example/v1/", "http://up.example/v1/chat/completions"),
    ("http://up.example/v1beta/openai/", "http://up.example/v1beta/openai/chat/completions"),
    ("http://up.example", "http://up.example/chat/completions"),
    ("http://up.example/v1/chat/completions", "http://up.example/v1/chat/completions"),
    ("http://up.example/v1/chat/completions/", "http://up.example/v1/chat/completions"),
    ("http://up.example/v1?api-version=1", "http://up.example/v1/chat/completions?api-version=1"),
    ("http://up.example/v1/?a=1&b=2", "http://up.example/v1/chat/completions?a=1&b=2"),
])
def test_the_address(base_url, url):
    assert relay.endpoint(target(base_url), "/chat/completions") == url


def test_no_address():
    settings = settings_for({"p": {"options": {"engine": "relay"}, "models": {"m": {}}}})
    with pytest.raises(ConfigError, match="options.baseURL"):
        relay.endpoint(resolve_model("m", settings), "/chat/completions")


def headers(found):
    return relay.request_headers(found, UpstreamCall(Trace("POST", "/"), instance="me"))


def test_headers():
    found = headers(target())
    assert found["Authorization"] == "Bearer sk-upstream-0123456789"
    assert found["X-Gateway-Instance"] == "me"
    assert found["Content-Type"] == "application/json" and found["Accept-Encoding"] == "identity"


def test_without_a_key_there_is_no_authorization():
    assert "Authorization" not in headers(target(apiKey=""))


def test_headers_of_the_map_overrule_ours():
    entry = {"headers": {"X-Model": "1", "user-agent": "mine"}}
    found = headers(target(entry=entry, headers={"authorization": "Token t", "X-Org": "o"}))
    assert {name.lower(): value for name, value in found.items() if name.lower() in (
        "authorization", "user-agent", "x-org", "x-model")} == {
        "authorization": "Token t", "user-agent": "mine", "x-org": "o", "x-model": "1"}
    assert len({name.lower() for name in found}) == len(found), "no header twice"


@pytest.mark.parametrize("streamed", [False, True])
def test_address_and_headers_at_the_wire(serve, upstream, engine, streamed):
    upstream.reply_sse(stream()) if streamed else upstream.reply_json(completion())
    provider = provider_at(upstream.base_url + "/?api-version=7", engine, headers={"X-Org": "o", "User-Agent": "mine"})
    assert serve({"p": provider}).chat(stream=streamed).text == "Hello!"
    (request,) = upstream.requests
    assert request.path == "/v1/chat/completions?api-version=7"
    assert (request.headers["x-org"], request.headers["user-agent"]) == ("o", "mine")
    assert request.headers["authorization"] == "Bearer sk-upstream-0123456789"


@pytest.mark.parametrize("spelling", ["Authorization", "authorization"])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_authorization_of_the_map_at_the_wire(serve, upstream, engine, streamed, spelling):
    upstream.reply_sse(stream()) if streamed else upstream.reply_json(completion())
    provider = provider_at(upstream.base_url, engine, headers={spelling: "Token t"})
    assert serve({"p": provider}).chat(stream=streamed).status == 200
    assert upstream.requests[0].headers["authorization"] == "Token t"


def test_without_a_key_nothing_is_invented_at_the_wire(serve, upstream, engine):
    upstream.reply_json(completion())
    assert serve({"p": provider_at(upstream.base_url, engine, apiKey="")}).chat().status == 200
    assert upstream.requests[0].headers.get("authorization") is None


@pytest.mark.parametrize("streamed", [False, True])
def test_the_bytes_that_are_sent_are_what_the_trace_keeps(upstream, streamed):
    upstream.reply_sse(stream()) if streamed else upstream.reply_json(completion())
    trace = Trace("POST", "/", secrets=("my-secret-key-0123456789",))
    body = {"model": "m", "messages": [{"role": "user", "content": "my-secret-key-0123456789 \u00e9"}], "stream": streamed}
    ask = relay.stream if streamed else relay.complete
    list(ask(body, target(upstream.base_url), UpstreamCall(trace)))
    wire.close_idle()
    (request,) = upstream.requests
    kept = [value for _, station, value in trace.noted() if station == "upstream_request"]
    assert kept == [request.raw] and request.body == body
    assert trace.last("upstream_request")["messages"][0]["content"] == "my-s\u20266789 \u00e9"
