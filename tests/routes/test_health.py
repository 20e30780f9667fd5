"""GET /, /health and /ready."""

import pytest

from tests.conftest import provider_at


@pytest.mark.parametrize("path", ["/health", "/health/"])
def test_alive(client_for, path):
    reply = client_for("relay").get(path)
    assert reply.status == 200 and reply.json["status"] == "ok"
    assert reply.headers["content-type"] == "application/json"


def test_the_index_says_where_things_are(client_for):
    gateway = client_for("relay")
    index = gateway.get("/").json
    assert index["name"] == "OpenCode Gateway"
    for described in index["endpoints"].values():
        method, path = described.split()[:2]
        if method == "GET":
            assert gateway.get(path).status == 200, path
        elif method == "POST":
            assert gateway.get(path).status == 405, path
    assert gateway.get("/v1").json == index


def test_ready_where_nothing_has_to_be_loaded(client_for):
    reply = client_for("relay").get("/ready")
    assert reply.status == 200
    assert reply.json["status"] == "ready" and reply.json["litellm"] == "not needed" and reply.json["draining"] is False
    assert reply.json["in_flight"] == 0


def test_not_ready_while_litellm_is_not_loaded(serve):
    gateway = serve({"p": provider_at("http://up.example/v1", "litellm")})
    assert (gateway.get("/ready").status, gateway.get("/ready").json["status"]) == (503, "waiting")
    assert gateway.get("/health").status == 200


def test_ready_once_litellm_is_loaded(serve, litellm_loaded):
    gateway = serve({"p": provider_at("http://up.example/v1", "litellm")})
    loader = gateway.app.extensions["loader"]
    loader.begin()
    while loader.state == "loading":
        pass  # imported already, so this takes no time
    assert gateway.get("/ready").status == 200


def test_running_answers_are_counted(client_for, upstream):
    gate = upstream.reply_sse([{"choices": [{"index": 0, "delta": {"content": "a"}}]}], done=False).gate_after(1)
    gateway = client_for("relay")
    with gateway.open_stream() as reply:
        assert gate.wait_reached()
        assert gateway.get("/ready").json["in_flight"] == 1
        gate.open()
        assert list(reply)


@pytest.mark.parametrize("path", ["/health", "/ready", "/v1/models", "/"])
def test_head_and_options_are_answered(client_for, path):
    gateway = client_for("relay")
    assert gateway.request("HEAD", path).raw == b""
    assert gateway.request("OPTIONS", path).status < 500
