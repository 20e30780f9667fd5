"""A session of the real OpenCode, recorded once, is replayed to the real OpenCode with no upstream at all."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.stored import rows
from tests.e2e.gemini_session import LIMIT, UPSTREAM_MODEL
from tests.gateway import ROOT, Gateway, clean_environ
from tests.maps import UPSTREAM_KEY, write_map
from tests.opencode import Outcome, find_binary, run_opencode
from tests.opencode_server import ask_opencode
from tests.upstream import FakeUpstream
from tests.upstream_gemini import GeminiMode, Turn

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.opencode,
    pytest.mark.timeout(240),
    pytest.mark.skipif(find_binary() is None, reason="OpenCode IS NOT INSTALLED (./test.sh does it where npm is)"),
]

CONTENT = 'Zwei Zeilen, "quoted" and \\escaped,\n\tünïcödé 파일 🙂\n'
SECRET = "the number is 4711\n"
TASK = "Read in.txt, then write a.txt and b.txt, and say what the number is."
# As Gemini behind a relay: calls without index, of several in one chunk, thought signatures, its own finish reasons.
TURNS = [
    Turn("I read it.", [("read", {"filePath": "in.txt"})]),
    Turn(calls=[("write", {"filePath": "a.txt", "content": CONTENT}), ("write", {"filePath": "b.txt", "content": "b\n"})]),
    Turn("The number is 4711, and both files are there."),
]


def make_project(folder: Path, gateway: Gateway, model: str) -> Path:
    """Make a folder for OpenCode, with the file that the task is about."""
    project = folder / "project"
    project.mkdir(parents=True)
    (project / "in.txt").write_text(SECRET, "utf-8")
    options = {"baseURL": gateway.base_url, "apiKey": "any-key"}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {model: {"tool_call": True, "limit": LIMIT}}}
    config = {"model": f"gw/{model}", "small_model": f"gw/{model}", "provider": {"gw": provider}}
    (project / "opencode.json").write_text(json.dumps(config), "utf-8")
    return project


def command(folder: Path, *arguments: str) -> str:
    environ = clean_environ(folder, GATEWAY_LOCAL_MODELS="0")
    done = subprocess.run(
        [sys.executable, "-m", "app", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def command_of(gateway: Gateway, name: str) -> str:
    return command(Path(gateway.environ["GATEWAY_DATA_DIR"]).parent, name, "--no-follow", "--json", "-n", "1000")


def check(outcome: Outcome, project: Path) -> None:
    assert outcome.code == 0, outcome.output
    assert "I read it." in outcome.output and "The number is 4711, and both files are there." in outcome.output
    assert ((project / "a.txt").read_text("utf-8"), (project / "b.txt").read_text("utf-8")) == (CONTENT, "b\n")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let OpenCode do the task once, and return the folder with its captures; neither gateway nor upstream is left then."""
    folder = tmp_path_factory.mktemp("recorded")
    with FakeUpstream() as upstream:
        upstream.reply_with(GeminiMode(TURNS))
        options = {"engine": "litellm", "baseURL": upstream.base_url, "apiKey": UPSTREAM_KEY}
        models = {"coder": {"id": UPSTREAM_MODEL, "tool_call": True, "limit": LIMIT}}
        model_map = write_map(folder, {"provider": {"relay": {"options": options, "models": models}}})
        with Gateway(folder, OPENCODE_CONFIG=model_map) as gateway:
            project = make_project(folder, gateway, "coder")
            check(run_opencode(project, "gw/coder", TASK), project)
    sessions = {row["session"] for row in rows(command(folder, "tail", "--no-follow", "--json", "-n", "100"))}
    (session,) = sessions - {None}
    command(folder, "export", "--session", session, "-o", str(folder / "captures" / "monday"))
    return folder / "captures"


@pytest.fixture(scope="module")
def replaying(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose only model is what was recorded."""
    folder = tmp_path_factory.mktemp("replaying")
    options = {"engine": "replay", "captures": str(recorded)}
    model_map = write_map(folder, {"provider": {"recorded": {"options": options, "models": {"monday": {}}}}})
    with Gateway(folder, OPENCODE_CONFIG=model_map) as gateway:
        yield gateway


def test_the_session_is_replayed_with_no_upstream_at_all(replaying, tmp_path):
    project = make_project(tmp_path, replaying, "monday")
    check(run_opencode(project, "gw/monday", TASK), project)
    asked = [row for row in rows(command_of(replaying, "tail")) if row["path"].endswith("/chat/completions")]
    assert [row["engine"] for row in asked] == ["replay"] * len(asked) and len(asked) >= 4
    assert all(row["status"] == 200 and not row["error"] for row in asked), asked
    assert any("stream.tool_index" in (row["repairs"] or "") for row in asked), "the raw chunks went through the repairs"


def test_it_is_replayed_again_in_another_folder(replaying, tmp_path):
    project = make_project(tmp_path / "somewhere else", replaying, "monday")
    check(run_opencode(project, "gw/monday", TASK), project)


def test_another_task_is_refused_with_the_nearest_capture(replaying, tmp_path):
    project = make_project(tmp_path, replaying, "monday")
    outcome = ask_opencode(project, "gw/monday", "How do birds find their way over the oceans?")
    assert outcome.code is not None, f"OpenCode was still retrying: {outcome.output}"
    assert "No capture of `monday` fits this request" in outcome.output and "nearest" in outcome.output
    assert not (project / "a.txt").exists()


def test_each_capture_comes_out_as_it_did(recorded, tmp_path):
    files = sorted((recorded / "monday").iterdir())
    assert len(files) >= 4
    for file in files:
        assert "the same as then" in command(tmp_path, "replay", str(file), "--to", "formatter")
