"""The command line as a person uses it: exit codes, and sentences where something is wrong."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from app.cli import split_bind
from tests.gateway import POLL, ROOT, clean_environ, stop_group

KEY = "canary-key-0123456789-abcdef"


@pytest.fixture
def run(tmp_path):
    def run(*arguments, script=("-m", "app"), **environ):
        return subprocess.run(
            [sys.executable, *script, *arguments],
            cwd=ROOT,
            env=clean_environ(tmp_path, **environ),
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version(run, flag):
    assert run(flag).stdout.startswith("OpenCode Gateway ")


@pytest.mark.parametrize("command", [(), ("serve",), ("check",)])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(run, command, flag):
    done = run(*command, flag)
    assert done.returncode == 0 and "Usage: python -m app" in done.stdout


def test_app_py_is_the_development_server_with_its_options(run):
    done = run("--help", script=("app.py",))
    assert done.returncode == 0
    for option in ("--host", "--port", "--log-file"):
        assert option in done.stdout


WRONG = [("nonsense",), ("serve", "--nonsense"), ("serve", "99999"), ("check", "/no/such")]


@pytest.mark.parametrize("arguments", WRONG)
def test_a_wrong_command_ends_with_2(run, arguments):
    done = run(*arguments)
    assert done.returncode == 2 and "Error" in done.stderr


class TestServe:
    @pytest.mark.parametrize("script", [("-m", "app", "serve"), ("app.py",)])
    def test_a_port_in_use_is_a_sentence(self, run, taken_port, script):
        done = run("--port", str(taken_port), script=script)
        assert done.returncode == 1
        assert f"127.0.0.1:{taken_port} is in use" in done.stderr and "Traceback" not in done.stderr

    @pytest.mark.parametrize("form", ["positional", "--port", "--bind", "PORT"])
    def test_all_ways_to_name_a_port(self, run, taken_port, form):
        port = str(taken_port)
        ways = {"positional": [port], "--port": ["--port", port], "--bind": ["--bind", f"127.0.0.1:{port}"], "PORT": []}
        done = run("serve", *ways[form], **({"PORT": port} if form == "PORT" else {}))
        assert f"127.0.0.1:{port} is in use" in done.stderr

    @pytest.mark.parametrize("arguments", [("--host", "0.0.0.0"), ("--bind", "0.0.0.0:0"), ("--bind", "[::]:0")])
    def test_a_wider_bind_without_keys_refuses_and_says_how(self, run, arguments):
        done = run("serve", *arguments)
        assert done.returncode == 2
        assert "GATEWAY_API_KEYS" in done.stderr and "Traceback" not in done.stderr

    def test_a_setting_that_is_not_allowed_is_named(self, run):
        done = run("serve", MAX_TOKENS="many")
        assert done.returncode == 2 and "MAX_TOKENS" in done.stderr and "Traceback" not in done.stderr

    def test_a_host_that_does_not_exist(self, run):
        done = run("serve", "--host", "no-such-host.invalid", "--port", "0", GATEWAY_API_KEYS=KEY)
        assert done.returncode == 2 and "no-such-host.invalid" in done.stderr and KEY not in done.stderr

    @pytest.mark.parametrize("bind", ["8000", ":8000", "host:", "host:port", "host:99999"])
    def test_a_bind_that_is_none(self, bind):
        with pytest.raises(click.BadParameter):
            split_bind(bind)

    @pytest.mark.parametrize(("bind", "parts"), [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:80", ("::1", 80))])
    def test_a_bind_that_is_one(self, bind, parts):
        assert split_bind(bind) == parts


class TestCheck:
    def write(self, folder: Path, text: str) -> str:
        path = folder / "opencode.json"
        path.write_text(text, "utf-8")
        return str(path)

    def test_the_shipped_file_has_no_errors(self, run):
        done = run("check")
        assert done.returncode == 0 and "0 errors" in done.stdout

    def test_json_is_a_list_of_findings(self, run):
        done = run("check", "--json")
        findings = json.loads(done.stdout)
        assert {"level", "path", "message"} == set(findings[0])
        assert any("GEMINI_API_KEY" in finding["message"] for finding in findings)

    def test_a_set_key_takes_the_warning_away_and_is_not_shown(self, run):
        done = run("check", "-v", GEMINI_API_KEY=KEY)
        assert "0 warnings" in done.stdout and "local-model -> gemini-relay/gemini-2.5-flash" in done.stdout
        assert KEY not in done.stdout + done.stderr

    def test_errors_end_with_1(self, run, tmp_path):
        path = self.write(tmp_path, '{"provider": {"p": {"options": {"engine": "warp"}, "models": {"m": {}}}}}')
        done = run("check", path)
        assert done.returncode == 1 and "error: provider.p.options.engine: unknown engine `warp`" in done.stdout

    def test_broken_json_says_where(self, run, tmp_path):
        done = run("check", self.write(tmp_path, '{\n  "provider": [}'))
        assert done.returncode == 1 and "error: " in done.stdout and "Traceback" not in done.stderr

    def test_a_relative_path_is_relative_to_the_caller(self, run, tmp_path):
        self.write(tmp_path, '{"provider": {"p": {"options": {"engine": "mock"}, "models": {"only-here": {}}}}}')
        relative = os.path.relpath(tmp_path / "opencode.json", ROOT)
        assert "only-here -> p/only-here" in run("check", relative, "-v").stdout

    def test_verbose_lists_what_each_name_leads_to(self, run):
        done = run("check", "--verbose")
        assert "mock -> mock/mock (engine mock, key: none)" in done.stdout


def test_the_development_server_answers_and_ends_when_told(tmp_path):
    log = tmp_path / "out.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "app.py", "--port", "0", "--log-file", str(tmp_path / "requests.log")],
            cwd=ROOT,
            env=clean_environ(tmp_path),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 60
        while "Try it:" not in log.read_text("utf-8") and time.monotonic() < deadline and server.poll() is None:
            time.sleep(POLL)
        line = log.read_text("utf-8").partition("Try it:")[2].strip().split("\n")[0]
        answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
        assert '"chat.completion"' in answer.stdout, log.read_text("utf-8")
    finally:
        code = stop_group(server)
    assert code == 0
    assert "/v1/chat/completions" in (tmp_path / "requests.log").read_text("utf-8")
