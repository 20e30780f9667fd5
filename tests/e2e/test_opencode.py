"""The real OpenCode does tasks with tools through a real gateway, with the opencode.json that ships."""

import json

import pytest

from tests.gateway import ROOT
from tests.opencode import find_binary, run_opencode
from tests.opencode_server import ask_opencode

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.opencode,
    pytest.mark.timeout(180),
    pytest.mark.skipif(find_binary() is None, reason="OpenCode IS NOT INSTALLED (./test.sh does it where npm is)"),
]

CONTENT = "Written by OpenCode.\nSecond line: ünïcödé, \"quotes\", \\backslash, $HOME.\n"

# The gateway's own mock; and the described way: local-model, LiteLLM, an upstream.
MODELS = ["Local Provider/mock", "mock/mock", "Local Provider/local-model"]


@pytest.fixture
def project(tmp_path, shipped_gateway):
    """A folder with the shipped opencode.json; nothing but the port is changed."""
    folder = tmp_path / "project"
    folder.mkdir()
    shipped = (ROOT / "opencode.json").read_text("utf-8")
    assert shipped.count(":8000/") == 2
    (folder / "opencode.json").write_text(shipped.replace(":8000/", f":{shipped_gateway.port}/"), "utf-8")
    return folder


def write(name, content):
    return {"name": "write", "arguments": {"filePath": "{{cwd}}/" + name, "content": content}}


def task(*turns):
    return f"Do the task. mock-script: {json.dumps({'turns': turns})}"


@pytest.mark.parametrize("model", MODELS)
def test_it_writes_a_file(project, model):
    step = {"tool_calls": [write("hello.txt", CONTENT)]}
    outcome = run_opencode(project, model, task(step, {"text": "Done, it is."}))
    assert outcome.code == 0, outcome.output
    assert (project / "hello.txt").read_text("utf-8") == CONTENT
    assert "Done, it is." in outcome.output


@pytest.mark.parametrize("model", MODELS[:1])
def test_it_writes_two_files_at_once(project, model):
    calls = [write("one.txt", "first\n"), write("two.txt", "second\n")]
    step = {"tool_calls": calls, "arguments_pieces": 5}
    outcome = ask_opencode(project, model, task(step, {"text": "Both are there."}))
    assert outcome.code == 0, outcome.output
    assert [(project / name).read_text("utf-8") for name in ("one.txt", "two.txt")] == ["first\n", "second\n"]
    assert "Both are there." in outcome.output


@pytest.mark.parametrize("model", MODELS[2:])
def test_it_writes_what_it_has_read(project, model):
    (project / "in.txt").write_text("the secret is 4711\n", "utf-8")
    read = {"tool_calls": [{"name": "read", "arguments": {"filePath": "{{cwd}}/in.txt"}}]}
    copy = {"expect": "4711", "tool_calls": [write("out.txt", "I read: {{last_tool}}")]}
    outcome = ask_opencode(project, model, task(read, copy, {"text": "Copied."}))
    assert outcome.code == 0, outcome.output
    assert "the secret is 4711" in (project / "out.txt").read_text("utf-8")


def test_it_runs_a_command(project):
    command = {"command": "echo made by bash > made.txt", "description": "Make a file"}
    step = {"tool_calls": [{"name": "bash", "arguments": command}]}
    outcome = ask_opencode(project, MODELS[0], task(step, {"text": "Made."}))
    assert outcome.code == 0, outcome.output
    assert (project / "made.txt").read_text("utf-8") == "made by bash\n"


def test_it_shows_the_upstreams_refusal(project):
    refusal = {"error": {"status": 400, "message": "The script refuses this."}}
    outcome = ask_opencode(project, MODELS[2], task(refusal))
    assert outcome.code is not None, "OpenCode was still retrying"
    assert "The script refuses this." in outcome.output
