"""gunicorn's settings, and workers that come and go in order. (Drains under load: test_drain.)"""

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.gateway import Gateway, clean_environ

ROOT = Path(__file__).resolve().parent.parent
MAP = '{"provider": {"m": {"options": {"engine": "mock"}, "models": {"mock": {}}}}}'

SHOW = "import json, app.server as s; print(json.dumps({name: getattr(s, name) for name in %r}))"


def settings_of(tmp_path, *names, **environ):
    done = subprocess.run([sys.executable, "-c", SHOW % (names,)], cwd=ROOT, env=clean_environ(tmp_path, **environ),
                          capture_output=True, text=True, timeout=30, check=True)
    return json.loads(done.stdout)


def test_gunicorns_settings_come_from_the_gateways(tmp_path):
    found = settings_of(tmp_path, "bind", "workers", "threads", "worker_class", "graceful_timeout", "timeout",
                        PORT="1234", GATEWAY_WORKERS="3", GATEWAY_THREADS="17", GATEWAY_DRAIN_TIMEOUT="7.5")
    assert found == {"bind": "127.0.0.1:1234", "workers": 3, "threads": 17, "graceful_timeout": 13, "timeout": 0,
                     "worker_class": "app.server.DrainingThreadWorker"}


def test_gevent_is_a_switch(tmp_path):
    found = settings_of(tmp_path, "worker_class", "timeout", GATEWAY_WORKER_CLASS="gevent")
    assert found["worker_class"] == "app.gevent_worker.DrainingGeventWorker" and found["timeout"] > 0


def test_two_gateways_of_one_user_do_not_share_a_socket_file(tmp_path):
    found = settings_of(tmp_path, "control_socket_disable", "reuse_port")
    assert found == {"control_socket_disable": True, "reuse_port": False}


LIMIT = """
import resource
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
from app.server import raise_file_limit
raise_file_limit()
raise_file_limit()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
assert soft == (65536 if hard == resource.RLIM_INFINITY else hard), (soft, hard)
"""


def test_the_limit_of_open_files_is_raised(tmp_path):
    subprocess.run([sys.executable, "-c", LIMIT], cwd=ROOT, env=clean_environ(tmp_path), check=True, timeout=30)


BEGINNING = """
import os, signal, sys, types
from app import server
server.pre_fork(types.SimpleNamespace(WORKERS={}), types.SimpleNamespace())
if child := os.fork():
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()), "the master takes signals again"
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os.kill(os.getpid(), signal.SIGTERM)  # while the worker begins
heard = []
signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
server.take_signals()
os._exit(0 if heard == [signal.SIGTERM] else 1)
"""


def test_a_worker_that_is_told_to_end_while_it_begins_does_so(tmp_path):
    subprocess.run([sys.executable, "-c", BEGINNING], cwd=ROOT, env=clean_environ(tmp_path), check=True, timeout=30)


def ask(gateway, stream=False):
    body = json.dumps({"model": "mock", "stream": stream, "messages": [{"role": "user", "content": "one two three"}]})
    request = urllib.request.Request(f"{gateway.base_url}/chat/completions", body.encode())
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()


def model_map(tmp_path):
    (tmp_path / "opencode.json").write_text(MAP, "utf-8")
    return str(tmp_path / "opencode.json")


@pytest.mark.e2e
def test_two_workers_serve_and_end(tmp_path):
    with Gateway(tmp_path, OPENCODE_CONFIG=model_map(tmp_path), GATEWAY_WORKERS="2") as gateway:
        for _ in range(4):
            assert json.loads(ask(gateway))["choices"][0]["finish_reason"] == "stop"
            assert ask(gateway, stream=True).endswith(b"data: [DONE]\n\n")
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(15) == 0
        assert "Traceback" not in gateway.output()
