"""The development server: `python app.py`, a real process, streams as they come, an orderly end."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.gateway import clean_environ, stop_group

ROOT = Path(__file__).resolve().parent.parent
MAP = '{"provider": {"m": {"options": {"engine": "mock"}, "models": {"mock": {}}}}}'
pytestmark = pytest.mark.e2e


@pytest.fixture
def start(tmp_path):
    """Start `python app.py` on a port that the system chooses; return (process, port) once it listens."""
    (tmp_path / "opencode.json").write_text(MAP, "utf-8")
    environ = clean_environ(tmp_path, OPENCODE_CONFIG=str(tmp_path / "opencode.json"), PYTHONUNBUFFERED="1")
    started = []

    def run(*arguments):
        process = subprocess.Popen([sys.executable, "app.py", *arguments], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        started.append(process)
        said = b""
        while not (found := re.search(rb"http://127\.0\.0\.1:(\d+)", said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        return process, int(found[1])

    yield run
    for process in started:
        stop_group(process)
        process.stdout.close()


def test_it_serves_streams_and_ends(start):
    process, port = start("--port", "0")
    body = json.dumps({"model": "mock", "stream": True, "messages": [{"role": "user", "content": "one two"}]})
    for method, path, sent, expected in (("GET", "/health", None, b'"status":"ok"'), ("GET", "/v1/models", None, b'"mock"'),
                                         ("POST", "/v1/chat/completions", body, b"data: [DONE]\n\n")):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request(method, path, sent)
        answer = connection.getresponse()
        assert answer.version == 11 and expected in answer.read()
        connection.close()
    assert answer.getheader("Transfer-Encoding") == "chunked"
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_soon_when_asked(start, number):
    process, _ = start("--port", "0")
    begun = time.monotonic()
    process.send_signal(number)
    assert process.wait(10) == 0
    assert time.monotonic() - begun < 5


def test_a_taken_port_is_told_in_words(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run([sys.executable, "app.py", "--port", str(taken.getsockname()[1])], cwd=ROOT, timeout=30,
                              env=clean_environ(tmp_path), capture_output=True, text=True)
    assert done.returncode != 0
    assert "is in use" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells who listens: NOT TESTED here")
def test_it_listens_on_loopback_only(start):
    _, port = start("--port", "0")
    listening = {line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"}
    assert f"0100007F:{port:04X}" in listening and f"00000000:{port:04X}" not in listening
