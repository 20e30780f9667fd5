"""/api/models and Ollama's lists: all models are there, those of this machine can be loaded, watched and unloaded."""

import json
import threading
import time

import pytest

from tests.local_gateway import local, local_data, local_folder  # noqa: F401 (fixtures)

MAP = {"m": {"options": {"engine": "mock"}, "models": {"far": {"name": "Far Away", "limit": {"context": 1000}}}}}
KEYS = "key-1234567890"
REMOTE = {"X-Forwarded-For": "203.0.113.9"}  # what a proxy on this machine says of its client
LONG = "registry.ollama.ai/library/x/14b"


def by_id(reply):
    return {row["id"]: row for row in reply.json["models"]}


def status_when_idle(gateway, name):
    """The status once the keeper knows that the request before is over: it learns that by itself."""
    deadline = time.monotonic() + 10
    while (status := gateway.get(f"/api/models/{name}/status").json)["active"]:
        assert time.monotonic() < deadline, status
    return status


@pytest.fixture
def gateway(serve):
    return serve(MAP)


# --- any model of the gateway ---------------------------------------------------------------------------------------


def test_models_elsewhere_are_listed(gateway):
    row = by_id(gateway.get("/api/models"))["far"]
    assert (row["name"], row["description"], row["context_length"], row["state"], row["local"]) == (
        "far", "Far Away (m)", 1000, "ready", False)


def test_a_model_elsewhere_is_always_ready(gateway):
    status = gateway.get("/api/models/far/status").json
    assert (status["model"], status["status"], status["loaded"], status["local"]) == ("far", "ready", True, False)
    for verb in ("load", "unload"):
        reply = gateway.request("POST", f"/api/models/far/{verb}")
        assert (reply.status, reply.json["status"]) == (200, "ready")
        assert "nothing to" in reply.json["message"]


def test_tags_for_programs_that_know_ollama(gateway):
    (tag,) = gateway.get("/api/tags").json["models"]
    assert (tag["name"], tag["model"]) == ("far", "far")
    assert set(tag) == {"name", "model", "modified_at", "size", "digest", "details"}
    assert set(tag["details"]) == {
        "parent_model", "format", "family", "families", "parameter_size", "quantization_level"}


def test_show_and_version(gateway):
    for name in ("model", "name"):
        assert gateway.post("/api/show", {name: "far"}).json["capabilities"] == ["completion", "tools"]
    assert set(gateway.get("/api/version").json) == {"version"}


def test_health(gateway):
    health = gateway.get("/api/health").json
    assert (health["status"], health["models_loaded"]) == ("healthy", 0)
    assert health["memory_usage"].endswith("MB") and health["memory_bytes"] > 10_000_000
    assert health["in_flight"] >= 1


def test_where_nothing_is_looked_for_nothing_is_found(gateway):
    found = gateway.post("/api/models/discover", b"").json
    assert (found["discovered"], found["models"]) == (0, [])
    assert "GATEWAY_LOCAL_MODELS" in found["message"]


@pytest.mark.parametrize("path", ["/api/models", "/api/models/discover", "/api/models/far/status", "/api/tags", "/api/health",
                                  "/api/version"])
def test_keys_guard_everything(serve, path):
    gateway = serve(MAP, GATEWAY_API_KEYS=KEYS)
    reply = gateway.get(path)
    assert (reply.status, reply.json["error"]["details"]) == (401, "invalid_api_key")
    assert gateway.get(path, {"Authorization": f"Bearer {KEYS}"}).status == 200


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_who_may_load_and_unload(serve, verb):
    path, key = f"/api/models/far/{verb}", {"Authorization": f"Bearer {KEYS}"}
    open_gateway, guarded = serve(MAP), serve(MAP, GATEWAY_API_KEYS=KEYS)
    reply = open_gateway.request("POST", path, None, REMOTE)
    assert (reply.status, reply.json["error"]["details"]) == (403, "forbidden")
    assert guarded.request("POST", path, None, REMOTE | key).status == 200
    assert guarded.request("POST", path, None, REMOTE).status == 401
    page = {"Origin": "https://evil.example.com"}
    assert open_gateway.request("POST", path, None, page).status == 403
    assert guarded.request("POST", path, None, page | key).status == 403
    assert open_gateway.request("POST", "/api/models/discover", None, page).status == 403


@pytest.mark.parametrize("wait", ["-1", "soon", True, "nan", 100_000, [1]])
def test_a_wait_that_is_none(gateway, wait):
    reply = gateway.post("/api/models/far/load", {"wait": wait})
    assert (reply.status, reply.json["error"]["details"]) == (400, "invalid_value in `wait`")
    assert gateway.request("POST", "/api/models/far/load?wait=x").status == 400


# --- those of this machine ------------------------------------------------------------------------------------------


def test_what_is_known_of_a_model_here(local, local_folder):  # noqa: F811
    listed = by_id(local(MAP).get("/api/models"))
    assert {"far", "tiny", "loop", "bad"} <= listed.keys()
    tiny = listed["tiny"]
    assert (tiny["name"], tiny["local"], tiny["source"], tiny["problem"]) == ("tiny", True, "folder", None)
    assert tiny["size_bytes"] == (local_folder / "tiny.gguf").stat().st_size
    assert tiny["path"] == str(local_folder / "tiny.gguf")
    assert tiny["model_type"] and tiny["parameter_count"] and tiny["context_length"] and "tokens" in tiny["description"]
    assert listed["bad"]["state"] == "failed" and "truncated" in listed["bad"]["problem"]


def test_discovery_tells_all(local, local_folder, tmp_path):  # noqa: F811
    gateway = local(MAP, GATEWAY_MODEL_PATHS=f"{local_folder};{tmp_path}")
    before = gateway.get("/api/models/discover").json
    (tmp_path / "new.gguf").write_bytes((local_folder / "tiny.gguf").read_bytes())
    (tmp_path / "mmproj-new-f16.gguf").write_bytes((local_folder / "tiny.gguf").read_bytes())
    found = gateway.post("/api/models/discover", {}).json
    assert found["discovered"] == before["discovered"] + 1 == len(found["models"])
    assert "new" in {row["id"] for row in found["models"]} and "far" not in {row["id"] for row in found["models"]}
    assert any(str(tmp_path) in skipped["path"] and skipped["reason"] for skipped in found["skipped"])
    folders = {folder["path"]: folder for folder in found["folders"]}
    assert folders[str(tmp_path)]["exists"] is True
    assert "new" in {row["id"] for row in gateway.get("/v1/models").json["data"]}


def test_a_life(local):  # noqa: F811
    gateway = local()
    assert gateway.get("/api/models/tiny/status").json["status"] == "discovered"
    loaded = gateway.request("POST", "/api/models/tiny/load")
    assert (loaded.status, loaded.json["status"], loaded.json["active"]) == (200, "ready", 0)
    status = status_when_idle(gateway, "tiny")
    assert status["loaded"] and status["memory_bytes"] > 1_000_000 and status["loaded_at"] > 1_700_000_000
    assert by_id(gateway.get("/api/models"))["tiny"]["state"] == "ready"
    health = gateway.get("/api/health").json
    assert health["models_loaded"] == 1 and health["memory_bytes"] > status["memory_bytes"]
    unloaded = gateway.request("POST", "/api/models/tiny/unload")
    assert (unloaded.status, unloaded.json["status"], unloaded.json["loaded"]) == (200, "discovered", False)
    assert gateway.get("/api/health").json["models_loaded"] == 0
    assert gateway.request("POST", "/api/models/tiny/unload").status == 200


def test_busy_while_it_answers(local):  # noqa: F811
    gateway = local()
    connection = gateway.connect()
    body = {"model": "loop", "prompt": "x", "max_tokens": 100_000, "stream": True}
    connection.request("POST", "/api/generate", json.dumps(body))
    answer = connection.getresponse()
    assert b"one" in answer.readline()
    status = gateway.get("/api/models/loop/status").json
    assert (status["state"], status["active"]) == ("busy", 1)
    answer.close()
    connection.close()
    assert gateway.request("POST", "/api/models/loop/unload").json["status"] == "discovered"


def test_who_does_not_wait_is_told_to_ask_again(local):  # noqa: F811
    gateway = local()
    gateway.request("POST", "/api/models/loop/unload")
    reply = gateway.post("/api/models/loop/load", {"wait": 0})
    assert (reply.status, reply.json["error"]["code"], reply.json["error"]["details"]) == (503, "server_error", "model_loading")
    assert int(reply.headers["retry-after"]) >= 1
    assert gateway.request("POST", "/api/models/loop/load?wait=60").json["status"] == "ready"


@pytest.mark.parametrize("method", ["load", "status"])
def test_a_damaged_model(local, method):  # noqa: F811
    gateway = local()
    if method == "load":
        reply = gateway.request("POST", "/api/models/bad/load")
        assert (reply.status, reply.json["error"]["code"]) == (500, "generation_failed")
        assert "truncated" in reply.json["error"]["message"]
    else:
        status = gateway.get("/api/models/bad/status").json
        assert (status["status"], status["loaded"]) == ("failed", False) and "truncated" in status["reason"]
    assert "bad" not in {tag["name"] for tag in gateway.get("/api/tags").json["models"]}


@pytest.mark.parametrize("name", ["local/tiny", "TINY", "local%2Ftiny", "%74iny"])
def test_other_spellings_of_a_name(local, name):  # noqa: F811
    gateway = local()
    assert gateway.request("POST", f"/api/models/{name}/load").json["status"] == "ready"
    assert gateway.get(f"/api/models/{name}/status").json["loaded"] is True
    assert gateway.request("POST", f"/api/models/{name}/unload").json["loaded"] is False
    assert gateway.get("/api/models/tiny/status").json["loaded"] is False


@pytest.mark.parametrize("name", [LONG, LONG.replace("/", "%2F"), "qwen3:8b", "qwen3%3A8b", "hf.co/a/b:Q4_K_M"])
def test_names_with_slashes_and_colons(serve, name):
    """The earlier program's routes took no slash."""
    models = {LONG: {}, "qwen3:8b": {}, "hf.co/a/b:Q4_K_M": {}}
    gateway = serve({"m": {"options": {"engine": "mock"}, "models": models}})
    for verb, method in (("status", "GET"), ("load", "POST"), ("unload", "POST")):
        reply = gateway.request(method, f"/api/models/{name}/{verb}")
        assert reply.status == 200 and reply.json["model"] in models


def test_a_name_of_the_map_goes_first(local):  # noqa: F811
    gateway = local({"m": {"options": {"engine": "mock"}, "models": {"tiny": {}}}})
    listed = by_id(gateway.get("/api/models"))
    assert (listed["tiny"]["local"], listed["local/tiny"]["local"]) == (False, True)
    assert gateway.get("/api/models/tiny/status").json["local"] is False
    assert gateway.request("POST", "/api/models/local/tiny/load").json["local"] is True
    assert gateway.get("/api/models/local/tiny/status").json["loaded"] is True


def test_a_name_of_the_map_that_leads_here(local):  # noqa: F811
    gateway = local({"m": {"options": {"engine": "gguf"}, "models": {"small": {"id": "tiny"}, "gone": {"id": "no-such"}}}})
    listed = by_id(gateway.get("/api/models"))
    assert listed["small"]["local"] is True and listed["small"]["model_type"] == listed["local/tiny"]["model_type"]
    assert listed["gone"]["problem"] == "is not on this machine"
    status = gateway.get("/api/models/gone/status").json
    assert (status["state"], status["reason"], status["loaded"]) == ("failed", "is not on this machine", False)
    assert gateway.request("POST", "/api/models/small/load").json["status"] == "ready"
    assert by_id(gateway.get("/api/models"))["small"]["state"] in ("ready", "busy")
    assert gateway.get("/api/models/tiny/status").json["loaded"] is True
    assert gateway.request("POST", "/api/models/small/unload").json["loaded"] is False
    reply = gateway.request("POST", "/api/models/gone/load")
    assert (reply.status, reply.json["error"]["code"]) == (404, "model_not_found")


def test_ollamas_words_for_a_model_here(local):  # noqa: F811
    gateway = local()
    tag = {tag["name"]: tag for tag in gateway.get("/api/tags").json["models"]}["tiny"]
    assert tag["details"]["format"] == "gguf" and tag["details"]["families"] == [tag["details"]["family"]]
    assert tag["size"] > 0 and tag["modified_at"].endswith("Z")
    card = gateway.post("/api/show", {"model": "tiny"}).json
    assert card["model_info"]["general.architecture"] == tag["details"]["family"]
    assert "messages" in card["template"]


def test_one_that_is_gone_can_still_be_unloaded(local, local_folder, tmp_path):  # noqa: F811
    file = tmp_path / "passing.gguf"
    file.write_bytes((local_folder / "tiny.gguf").read_bytes())
    gateway = local(GATEWAY_MODEL_PATHS=str(tmp_path))
    assert gateway.request("POST", "/api/models/passing/load").status == 200
    file.unlink()
    gateway.post("/api/models/discover", {})
    assert gateway.get("/api/models/passing/status").json["loaded"] is True
    assert gateway.request("POST", "/api/models/passing/unload").json["loaded"] is False
    assert gateway.get("/api/models/passing/status").status == 404


def test_several_ask_for_one_at_once(local):  # noqa: F811
    gateway = local()
    gateway.request("POST", "/api/models/tiny/unload")
    replies = []
    threads = [
        threading.Thread(target=lambda: replies.append(gateway.request("POST", "/api/models/tiny/load"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply.json["loaded"] for reply in replies] == [True] * 4
