"""Who may use the gateway."""

import pytest

from app.lifecycle import instance
from tests.answers import completion

KEYS = "first-key-1234567890, second-key-1234567890"
FIRST, SECOND = KEYS.split(", ")
REFUSED = (401, "authentication_error", "invalid_api_key")


@pytest.mark.parametrize("headers", [
    {"Authorization": f"Bearer {FIRST}"}, {"Authorization": f"bearer  {SECOND} "}, {"x-api-key": FIRST},
    {"api-key": SECOND}, {"Authorization": "Basic eDp5", "x-api-key": FIRST}])
def test_each_of_the_keys_opens(client_for, upstream, headers):
    upstream.reply_json(completion())
    assert client_for("relay", GATEWAY_API_KEYS=KEYS).chat(headers).status == 200


@pytest.mark.parametrize("headers", [
    {}, {"Authorization": "Bearer wrong"}, {"Authorization": FIRST}, {"Authorization": "Bearer "},
    {"Authorization": f"Basic {FIRST}"}, {"x-api-key": "wrong"}, {"Authorization": f"Bearer {FIRST[:-1]}"},
    {"Authorization": f"Bearer {FIRST}x"}, {"Authorization": f"Bearer {KEYS}"}, {"Authorization": "Bearer \xfc\xe9"}])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/models", "/", "/nowhere"])
def test_without_a_key_nothing_opens(client_for, upstream, headers, path):
    gateway = client_for("relay", GATEWAY_API_KEYS=KEYS)
    reply = gateway.request("POST" if "completions" in path else "GET", path, None, headers)
    assert (reply.status, reply.error["type"], reply.error["code"]) == REFUSED
    assert reply.headers["www-authenticate"] == "Bearer"
    assert FIRST.encode() not in reply.raw and SECOND.encode() not in reply.raw
    assert upstream.requests == []


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_whoever_watches_over_it_needs_no_key(client_for, path):
    assert client_for("relay", GATEWAY_API_KEYS=KEYS).get(path).status == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer whatever"}, {"x-api-key": "x"}])
def test_without_keys_all_are_welcome(client_for, upstream, headers):
    upstream.reply_json(completion())
    assert client_for("relay").chat(headers).status == 200


def test_the_key_is_asked_for_before_the_body_is_looked_at(client_for):
    gateway = client_for("relay", GATEWAY_API_KEYS=KEYS)
    assert gateway.post("/v1/chat/completions", b"{").status == 401


def test_the_gateways_key_is_not_sent_upstream(serve, upstream, engine):
    upstream.reply_json(completion())
    options = {"baseURL": upstream.base_url, "engine": engine}
    gateway = serve({"p": {"options": options, "models": {"some-model": {}}}}, GATEWAY_API_KEYS=KEYS)
    assert gateway.chat({"Authorization": f"Bearer {FIRST}"}).status == 200
    assert FIRST not in str(upstream.requests[0].headers)


def test_a_clients_own_key_goes_on_where_no_other_is_known(serve, upstream, engine):
    upstream.reply_json(completion())
    options = {"baseURL": upstream.base_url, "engine": engine}
    gateway = serve({"p": {"options": options, "models": {"some-model": {}}}})
    assert gateway.chat({"Authorization": "Bearer sk-of-the-client-1234"}).status == 200
    assert upstream.requests[0].headers["authorization"] == "Bearer sk-of-the-client-1234"


def test_a_request_of_the_gateway_itself_is_refused(client_for):
    reply = client_for("relay").chat({"X-Gateway-Instance": instance})
    assert (reply.status, reply.error["code"]) == (508, "loop_detected")
    assert client_for("relay").get("/v1/models", {"X-Gateway-Instance": "another"}).status == 200


def test_a_map_that_leads_back_to_the_gateway_ends_in_words(serve, engine):
    """Two names of one address: the map's cannot be seen to be the gateway's own."""
    first = serve({"p": {"options": {"baseURL": "http://127.0.0.1:1/v1", "engine": "relay"}, "models": {"x": {}}}})
    around = {"baseURL": f"{first.url}/v1", "engine": engine}
    providers = {"loop": {"options": around, "models": {"some-model": {}}}}
    second = serve(providers)
    for stream in (False, True):
        reply = second.chat(stream=stream)
        assert (reply.status, reply.error["code"]) == (508, "loop_detected")
        assert "alias" in reply.error["message"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/api/generate"])
def test_a_page_of_another_origin_can_make_nobody_ask_a_model(client_for, upstream, path):
    upstream.reply_json(completion())
    page = {"Origin": "https://evil.example.com", "Content-Type": "text/plain"}
    said = {"messages": [{"role": "user", "content": "x"}]} if "chat" in path else {"prompt": "x"}
    body = {"model": "some-model", **said}
    gateway = client_for("relay")
    refused = gateway.request("POST", path, body, page)
    assert (refused.status, upstream.requests) == (403, [])
    assert "evil.example.com" in refused.json["error"]["message"]
    assert gateway.request("POST", path, body, page | {"Origin": "http://localhost:3000"}).status == 200
    with_keys = client_for("relay", GATEWAY_API_KEYS=KEYS)
    assert with_keys.request("POST", path, body, page).status == 401
    assert with_keys.request("POST", path, body, page | {"Authorization": f"Bearer {FIRST}"}).status == 200
