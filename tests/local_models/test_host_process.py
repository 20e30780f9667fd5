"""One model in a process of its own: it answers with its key alone, says why it fails, and ends with its parent."""

import json
import os
import select
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from app.local_models.host_process import HOST, HostProcess, resident_bytes
from tests.local_models.models import model_folder, order  # noqa: F401 (a fixture)


def ask(process, key):
    url = f"http://127.0.0.1:{process.port}/v1/chat/completions"
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 40}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
        return json.load(answer)


@pytest.fixture
def host(model_folder, tmp_path):  # noqa: F811
    process = HostProcess(order(model_folder / "tiny.gguf"), tmp_path / "host.log")
    assert process.wait_ready() is None
    yield process
    process.end()


def test_it_answers_to_its_key_alone(host):
    assert "tiny test model" in ask(host, host.key)["choices"][0]["message"]["content"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(host, "another-key")
    assert refused.value.code == 401
    refused.value.close()


def test_the_key_is_no_argument_and_memory_is_measured(host):
    with open(f"/proc/{host.pid}/cmdline", "rb") as line:
        assert host.key.encode() not in line.read()
    assert host.memory() == pytest.approx(resident_bytes(host.pid), rel=0.2)
    assert host.memory() > 5_000_000


def test_ending_gives_the_memory_back(host):
    assert host.alive
    host.end()
    assert not host.alive and host.memory() == 0


def test_who_waits_for_a_process_that_another_thread_ended_is_told(model_folder, tmp_path):  # noqa: F811
    process = HostProcess(order(model_folder / "tiny.gguf"), tmp_path / "host.log")
    process.end()
    assert "the model's process ended" in (process.wait_ready() or "")


def test_a_killed_process_says_so(host):
    os.kill(host.pid, signal.SIGKILL)
    assert "SIGKILL" in host.last_words()


@pytest.mark.parametrize(("name", "words"), [("bad.gguf", "not within the file bounds"), ("none.gguf", "init server")])
def test_a_file_that_cannot_be_loaded_has_a_reason(model_folder, tmp_path, name, words):  # noqa: F811
    process = HostProcess(order(model_folder / "tiny.gguf") | {"path": str(model_folder / name)}, tmp_path / "host.log")
    reason = process.wait_ready()
    assert reason and words in reason
    process.end()


def test_it_ends_when_its_parent_is_gone(model_folder, tmp_path):  # noqa: F811
    """The parent is killed; the only thing left that knows of it is the pipe."""
    said = json.dumps(order(model_folder / "tiny.gguf"))
    code = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-I', {str(HOST)!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        f"child.stdin.write({said!r}.encode() + b'\\n'); child.stdin.flush()\n"
        "child.stdout.readline(); print(child.pid, flush=True); sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdin is not None and parent.stdout is not None
    child = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    assert select.select([child], [], [], 20)[0], "the host outlived its parent"
    os.close(child)
    parent.stdin.close()
    parent.stdout.close()
