"""GET /api/tools and POST /api/tools/{name}/execute."""

import json
from pathlib import Path

import pytest

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "shimmy"
REMOTE = {"X-Forwarded-For": "203.0.113.9"}  # what a proxy on this machine says of its client


@pytest.fixture
def gateway(serve):
    return serve({})


def run(gateway, name, arguments=None, **headers):
    return gateway.post(f"/api/tools/{name}/execute", {"arguments": arguments}, headers)


def test_the_tools_are_listed_with_their_schemas(gateway):
    reply = gateway.get("/api/tools")
    listed = {tool["name"]: tool for tool in reply.json["tools"]}
    for expected in json.loads((FIXTURES / "tools.json").read_text("utf-8")):
        tool = listed[expected["name"]]
        assert tool["description"] and tool["parameters"]["type"] == "object"
        assert set(expected["parameters"]["required"]) == set(tool["parameters"]["required"])


def test_results_have_the_described_shape(gateway):
    good, bad = json.loads((FIXTURES / "tool_result.json").read_text("utf-8"))
    assert run(gateway, "calculator", {"expression": "2 + 2"}).json == good
    reply = run(gateway, "x", {})
    assert (reply.status, reply.json) == (404, bad)


def test_arguments_may_be_text(gateway):
    assert run(gateway, "calculator", '{"expression": "10 * 3"}').json["result"] == 30


@pytest.mark.parametrize(("name", "arguments", "said"), [
    ("calculator", {}, "expression"), ("calculator", {"expression": "1/0"}, ""), ("calculator", {"expr": "1"}, "expr"),
    ("calculator", [1], "object"), ("file_read", {"path": "/etc/passwd"}, ""),
    ("http_get", {"url": "http://127.0.0.1:1/"}, "")])
def test_what_goes_wrong_in_a_tool_is_its_result(gateway, name, arguments, said):
    reply = run(gateway, name, arguments)
    assert reply.status == 200
    assert (reply.json["success"], reply.json["result"]) == (False, None)
    assert said in reply.json["error"] and reply.json["error"]
    assert "root:" not in reply.json["error"]


def test_no_body_is_no_arguments(gateway):
    reply = gateway.request("POST", "/api/tools/calculator/execute")
    assert reply.status == 200 and reply.json["success"] is False


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"'])
def test_a_bad_body(gateway, body):
    reply = gateway.post("/api/tools/calculator/execute", body)
    assert (reply.status, reply.json["error"]["code"]) == (400, "invalid_request")


def test_files_below_the_root_are_read(serve, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "note.txt").write_text("remember", "utf-8")
    gateway = serve({}, GATEWAY_TOOLS_ROOT=str(tmp_path / "files"))
    assert run(gateway, "file_read", {"path": "note.txt"}).json["success"] is True
    assert "remember" in str(run(gateway, "file_read", {"path": "note.txt"}).json["result"])


def test_own_tools(serve, tmp_path):
    file = tmp_path / "own.py"
    file.write_text('def greet(name: str) -> str:\n    "Greet somebody."\n    return f"Hello {name}"\n', "utf-8")
    gateway = serve({}, GATEWAY_TOOLS_FILE=str(file))
    assert "greet" in [tool["name"] for tool in gateway.get("/api/tools").json["tools"]]
    assert run(gateway, "greet", {"name": "Ada"}).json == {"success": True, "result": "Hello Ada", "error": None}


def test_a_broken_file_of_tools_is_told(serve, tmp_path):
    (tmp_path / "own.py").write_text("def broken(:\n", "utf-8")
    reply = serve({}, GATEWAY_TOOLS_FILE=str(tmp_path / "own.py")).get("/api/tools")
    assert (reply.status, reply.json["error"]["details"]) == (500, "config_error")
    assert "own.py" in reply.json["error"]["message"]


@pytest.mark.parametrize("path", ["/api/tools", "/api/tools/calculator/execute"])
def test_other_machines_are_told_why_not(gateway, path):
    reply = gateway.request("GET" if path.endswith("tools") else "POST", path, None, REMOTE)
    assert (reply.status, reply.json["error"]["code"], reply.json["error"]["details"]) == (403, "invalid_request", "forbidden")
    assert "GATEWAY_TOOLS_REMOTE=1" in reply.json["error"]["message"]


def test_other_machines_may_where_it_is_allowed(serve):
    gateway = serve({}, GATEWAY_TOOLS_REMOTE="1")
    assert run(gateway, "calculator", {"expression": "1+1"}, **REMOTE).json["result"] == 2


def test_a_key_alone_does_not_open_them(serve):
    gateway = serve({}, GATEWAY_API_KEYS="key-1234567890")
    key = {"Authorization": "Bearer key-1234567890"}
    assert gateway.get("/api/tools").status == 401
    assert gateway.get("/api/tools", key).status == 200
    assert gateway.get("/api/tools", key | REMOTE).status == 403


def test_a_web_page_elsewhere_runs_nothing(gateway):
    reply = run(gateway, "calculator", {"expression": "1+1"}, Origin="https://evil.example.com")
    assert reply.status == 403
    assert not [name for name in reply.headers if name.startswith("access-control")]
    assert run(gateway, "calculator", {"expression": "1+1"}, Origin="http://localhost:3000").status == 200
