"""The scripts in tests/curl do what they say against a running gateway, and fail when something is wrong with it."""

import json
import os
import socket
import subprocess
import sys

import pytest

from tests.gateway import ROOT, Gateway, clean_environ

pytestmark = pytest.mark.e2e

# Script -> what runs it. The first group takes a port, the second an address and a model.
BY_PORT = {
    "quick_test.sh": ["bash"],
    "test_chat_completions.sh": ["bash"],
    "test_api.py": [sys.executable],
}
BY_ADDRESS = {"test-basic.sh": ["bash"], "test-tools.sh": ["bash"], "test-final.sh": ["bash"]}
SCRIPTS = BY_PORT | BY_ADDRESS
PARTS = [script for script in SCRIPTS if script != "test-final.sh"]  # that one runs two others, and takes seconds
KEY = "a-key-that-clients-must-send"


def run(script, *arguments, folder, **environ):
    return subprocess.run(
        [*SCRIPTS[script], str(ROOT / "tests" / "curl" / script), *map(str, arguments)],
        cwd=folder,
        env=clean_environ(folder, **{"PARALLEL": "3"} | environ),
        capture_output=True,
        text=True,
        timeout=100,
    )


def arguments_of(script, port):
    return [port] if script in BY_PORT else [f"http://127.0.0.1:{port}", "mock"]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Start a gateway with the shipped model map; it ends with the module."""
    started = []

    def start(**environ):
        folder = tmp_path_factory.mktemp("gateway")
        gateway = Gateway(folder, OPENCODE_CONFIG=str(ROOT / "opencode.json"), GATEWAY_ENGINE="relay", **environ)
        started.append(gateway.__enter__())
        return gateway

    yield start
    for gateway in started:
        gateway.__exit__()


@pytest.fixture(scope="module")
def gateway(start):
    return start(GATEWAY_API_KEYS=KEY)


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_passes_against_a_gateway(script, gateway, tmp_path):
    done = run(script, *arguments_of(script, gateway.port), folder=tmp_path, GATEWAY_API_KEY=KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout


@pytest.mark.parametrize("script", PARTS)
def test_it_fails_with_a_wrong_key(script, gateway, tmp_path):
    done = run(script, *arguments_of(script, gateway.port), folder=tmp_path, GATEWAY_API_KEY="wrong")
    assert done.returncode != 0


@pytest.mark.parametrize("script", PARTS)
def test_it_fails_where_nobody_listens(script, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert run(script, *arguments_of(script, port), folder=tmp_path).returncode != 0


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_can_be_run_by_its_name(script):
    path = ROOT / "tests" / "curl" / script
    assert path.stat().st_mode & 0o111 and path.read_text("utf-8").startswith("#!/usr/bin/env ")


# --- test-basic.sh, test-tools.sh, test-final.sh ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "base"),
    (
        ("test-basic.sh", "http://127.0.0.1:{}/v1/"),
        ("test-tools.sh", "http://localhost:{}"),
    ),
)
def test_address_and_model_come_from_the_environment_too(script, base, gateway, tmp_path):
    environ = {"BASE_URL": base.format(gateway.port), "MODEL": "mock", "GATEWAY_API_KEY": KEY}
    done = run(script, folder=tmp_path, **environ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "model mock" in done.stdout


def test_without_a_model_the_gateways_default_is_asked(start, tmp_path):
    gateway = start(MODEL_NAME="mock")
    done = run("test-final.sh", gateway.url, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "A question" in done.stdout and "mock: Say hello" in done.stdout


@pytest.mark.parametrize("script", ["test-basic.sh", "test-tools.sh"])
def test_the_address_without_arguments_is_that_of_the_gpt_oss_set_up(script, tmp_path):
    curl = tmp_path / "curl"  # says what it was asked for, and reaches nobody
    curl.write_text('#!/bin/sh\nfor last; do :; done\necho "asked $last" >&2\nexit 7\n', "utf-8")
    curl.chmod(0o755)
    done = run(script, folder=tmp_path, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 1
    assert "asked http://localhost:3307/v1/chat/completions" in done.stdout


@pytest.mark.parametrize(
    ("script", "scenario", "failed"),
    (
        ("test-basic.sh", {"error": {"status": 500, "message": "out of order"}}, "A question"),
        ("test-basic.sh", {"cut_after": 2}, "A stream"),
        ("test-tools.sh", {"text": "No tools today."}, "tool_choice required, whole"),
        ("test-tools.sh", {"tool_calls": [{"name": "get-time", "arguments": {"location": "x"}}]}, "tool_choice get_weather"),
        ("test-final.sh", {"text": "No tools today."}, "tool_choice required, streamed"),
    ),
)
def test_it_fails_where_the_model_does_something_else(script, scenario, failed, start, tmp_path):
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps({"turns": [scenario] * 2}), "utf-8")
    gateway = start(GATEWAY_MOCK_SCRIPT=str(path))
    done = run(script, gateway.url, "mock", folder=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert any(failed in line for line in lines), done.stdout


def test_a_failure_shows_the_answer(start, tmp_path):
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps({"error": {"status": 503, "message": "The upstream sleeps."}}), "utf-8")
    gateway = start(GATEWAY_MOCK_SCRIPT=str(path))
    done = run("test-basic.sh", gateway.url, "mock", folder=tmp_path)
    assert "FAILED  A question: status 503, wanted 200" in done.stdout
    assert "The upstream sleeps." in done.stdout
