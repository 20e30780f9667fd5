"""GET /v1/models: what opencode.json offers."""

import pytest

MAP = {
    "up": {"options": {"baseURL": "http://up.example/v1"}, "models": {
        "big": {"name": "Big One", "limit": {"context": 1000, "output": 100}, "cost": {"input": 1, "output": 2},
                "modalities": {"input": ["text", "image"], "output": ["text"]}, "release_date": "2025-06-17"},
        "vendor/small": {"id": "small-2"}}},
    "Local Provider": {"options": {"engine": "alias"}, "models": {"alias": {"id": "big"}, "nowhere": {"id": "gone"}}},
}


@pytest.fixture
def gateway(serve):
    return serve(MAP)


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/v1/models/"])
def test_the_list(gateway, path):
    reply = gateway.get(path)
    assert (reply.status, reply.json["object"]) == (200, "list")
    assert [row["id"] for row in reply.json["data"]] == ["big", "vendor/small", "alias"]
    assert all(row["object"] == "model" and isinstance(row["created"], int) and row["owned_by"] for row in reply.json["data"])


def test_what_agents_like_to_know(gateway):
    big, small, alias = gateway.get("/v1/models").json["data"]
    assert big["name"] == "Big One" and big["context_length"] == 1000 and big["limit"]["output"] == 100
    assert big["cost"] == {"input": 1, "output": 2} and big["modalities"]["input"] == ["text", "image"]
    assert big["created"] == 1_750_118_400 and big["owned_by"] == "up"
    assert "alias_of" not in big and not {"limit", "cost", "modalities", "context_length"} & set(small)
    assert alias["alias_of"] == "up/big" and alias["context_length"] == 1000


@pytest.mark.parametrize(("name", "context"), [
    ("big", 1000), ("up/big", 1000), ("vendor/small", None), ("up/vendor/small", None), ("small-2", None),
    ("alias", 1000), ("Local%20Provider/alias", 1000), ("BIG", 1000)])
@pytest.mark.parametrize("prefix", ["/v1/models", "/models"])
def test_one_model_by_any_of_its_names(gateway, prefix, name, context):
    reply = gateway.get(f"{prefix}/{name}")
    assert reply.status == 200
    assert reply.json["id"] == name.replace("%20", " ") and reply.json["object"] == "model"
    assert reply.json.get("context_length") == context


@pytest.mark.parametrize("name", ["bigg", "gone", "vendor", "nowhere"])
def test_an_unknown_model(gateway, name):
    reply = gateway.get(f"/v1/models/{name}")
    assert (reply.status, reply.error["code"]) == (404, "model_not_found")


def test_every_listed_model_can_be_described(gateway):
    for row in gateway.get("/v1/models").json["data"]:
        assert gateway.get(f"/v1/models/{row['id']}").json == row


def test_no_models(serve):
    assert serve({}).get("/v1/models").json == {"object": "list", "data": []}
