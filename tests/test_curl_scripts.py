"""The scripts in tests/curl do what they say against a running gateway, and fail when there is none."""

import socket
import subprocess
import sys

import pytest

from tests.gateway import ROOT, Gateway, clean_environ

pytestmark = pytest.mark.e2e

SCRIPTS = {
    "quick_test.sh": ["bash"],
    "test_chat_completions.sh": ["bash"],
    "test_api.py": [sys.executable],
}
KEY = "a-key-that-clients-must-send"


def run(script, port, folder, **environ):
    return subprocess.run(
        [*SCRIPTS[script], str(ROOT / "tests" / "curl" / script), str(port)],
        cwd=folder,
        env=clean_environ(folder, **environ),
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    with Gateway(folder, OPENCODE_CONFIG=str(ROOT / "opencode.json"), GATEWAY_API_KEYS=KEY) as gateway:
        yield gateway


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_passes_against_a_gateway(script, gateway, tmp_path):
    done = run(script, gateway.port, tmp_path, GATEWAY_API_KEY=KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_fails_with_a_wrong_key(script, gateway, tmp_path):
    assert run(script, gateway.port, tmp_path, GATEWAY_API_KEY="wrong").returncode != 0


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_fails_where_nobody_listens(script, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert run(script, port, tmp_path).returncode != 0


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_can_be_run_by_its_name(script):
    path = ROOT / "tests" / "curl" / script
    assert path.stat().st_mode & 0o111 and path.read_text("utf-8").startswith("#!/usr/bin/env ")
