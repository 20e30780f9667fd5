"""`python -m app serve` and `python app.py`: where they listen, and sentences where they cannot."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request

import click
import pytest

from app.commands.serve import automatic_address, split_bind, where_to_listen, why_not
from tests.gateway import POLL, ROOT, Gateway, clean_environ, stop_group
from tests.tiny_gguf import make

KEY = "canary-key-0123456789-abcdef"


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("script", [("-m", "app", "serve"), ("app.py",)])
def test_a_port_in_use_is_a_sentence(run, taken_port, script):
    done = run("--port", str(taken_port), script=script)
    assert done.returncode == 1
    assert f"127.0.0.1:{taken_port} is in use" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("form", ["positional", "--port", "--bind", "PORT"])
def test_all_ways_to_name_a_port(run, taken_port, form):
    port = str(taken_port)
    ways = {"positional": [port], "--port": ["--port", port], "--bind": ["--bind", f"127.0.0.1:{port}"], "PORT": []}
    done = run("serve", *ways[form], **({"PORT": port} if form == "PORT" else {}))
    assert f"127.0.0.1:{port} is in use" in done.stderr


@pytest.mark.parametrize("arguments", [("--host", "0.0.0.0"), ("--bind", "0.0.0.0:0"), ("--bind", "[::]:0")])
def test_a_wider_bind_without_keys_refuses_and_says_how(run, arguments):
    done = run("serve", *arguments)
    assert done.returncode == 2
    assert "GATEWAY_API_KEYS" in done.stderr and "Traceback" not in done.stderr


def test_a_setting_that_is_not_allowed_is_named(run):
    done = run("serve", MAX_TOKENS="many")
    assert done.returncode == 2 and "MAX_TOKENS" in done.stderr and "Traceback" not in done.stderr


WITHOUT = "import sys; sys.modules[sys.argv.pop(1)] = None; from app.cli import main; main()"


@pytest.mark.parametrize(
    ("package", "arguments", "worker_class", "code"),
    [("gevent", (), "gevent", 2), ("psycopg", ("--postgres",), "", 1), ("opentelemetry", ("--otel",), "", 1)],
)
def test_an_extra_that_is_missing_is_a_sentence(run, taken_port, package, arguments, worker_class, code):
    more = {"GATEWAY_WORKER_CLASS": worker_class} if worker_class else {}
    done = run(package, "serve", *arguments, "--port", str(taken_port), script=("-c", WITHOUT), **more)
    assert done.returncode == code and len(done.stderr.splitlines()) == 1, done.stderr
    assert f"`./run.sh {(arguments or ('--gevent',))[-1]}`" in done.stderr


def test_a_host_that_does_not_exist(run):
    done = run("serve", "--host", "no-such-host.invalid", "--port", "0", GATEWAY_API_KEYS=KEY)
    assert done.returncode == 2 and "no-such-host.invalid" in done.stderr and KEY not in done.stderr


@pytest.mark.parametrize("bind", ["8000", ":8000", "host:", "host:port", "host:99999"])
def test_a_bind_that_is_none(bind):
    with pytest.raises(click.BadParameter):
        split_bind(bind)


@pytest.mark.parametrize(("bind", "parts"), [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:80", ("::1", 80))])
def test_a_bind_that_is_one(bind, parts):
    assert split_bind(bind) == parts


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


# --- Shimmy's ways to say where ---------------------------------------------------------------------------------------


@pytest.fixture
def environ(monkeypatch, tmp_path):
    """Set variables; those that say where to listen are unset, and there is no .env."""
    (tmp_path / "empty.env").touch()
    monkeypatch.setenv("GATEWAY_ENV_FILE", str(tmp_path / "empty.env"))
    for name in ("HOST", "PORT", "SHIMMY_BIND_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch.setenv


def test_the_same_port_twice_is_no_contradiction():
    assert where_to_listen("127.0.0.1:11435", None, 11435) == ("127.0.0.1", 11435, None)


@pytest.mark.parametrize("more", [("--port", "2"), ("--host", "::1"), ("2",)], ids=str)
def test_two_different_addresses_are_refused(run, more):
    done = run("serve", "--bind", "127.0.0.1:1", *more)
    assert done.returncode == 2 and "different addresses" in done.stderr


def test_auto_is_the_usual_port_or_the_next_free_one(environ):
    free = why_not("127.0.0.1", 11435) is None
    host, port = automatic_address(search=True)
    assert host == "127.0.0.1" and (port == 11435) is free
    try:
        taken = socket.create_server(("127.0.0.1", 11435))
    except OSError:  # somebody else has it: that serves as well
        taken = socket.socket()
    with taken:
        assert 11435 < automatic_address(search=True)[1] <= 11535


@pytest.mark.parametrize(
    ("search", "variables", "address"),
    [
        (False, {}, (None, None)),
        (False, {"SHIMMY_BIND_ADDRESS": "127.0.0.1:4321"}, ("127.0.0.1", 4321)),
        (False, {"SHIMMY_BIND_ADDRESS": "127.0.0.1:4321", "PORT": "9000"}, (None, None)),
        (False, {"SHIMMY_BIND_ADDRESS": "[::1]:4321", "HOST": "127.0.0.1"}, (None, None)),
        (False, {"SHIMMY_BIND_ADDRESS": "auto", "PORT": "9000"}, (None, None)),
        (True, {"SHIMMY_BIND_ADDRESS": "[::1]:4321", "PORT": "9000"}, ("::1", 4321)),
    ],
)
def test_what_the_environment_says_of_the_address(environ, search, variables, address):
    for name, value in variables.items():
        environ(name, value)
    assert automatic_address(search) == address


def test_an_address_that_is_none_is_named(run):
    done = run("serve", SHIMMY_BIND_ADDRESS="nonsense")
    assert done.returncode == 2 and "SHIMMY_BIND_ADDRESS" in done.stderr and "Traceback" not in done.stderr


def listens_at(command, environ, tmp_path):
    """Start a gateway; return the address in its banner, and what it printed."""
    log = tmp_path / "serve.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "app", *command], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while "Try it:" not in log.read_text("utf-8") and time.monotonic() < deadline and server.poll() is None:
            time.sleep(POLL)
    finally:
        stop_group(server)
    found = re.search(r" at http://([\d.:]+)/v1", log.read_text("utf-8"))
    assert found, log.read_text("utf-8")
    return found[1]


@pytest.mark.e2e
def test_bind_and_port_as_they_are_described(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = clean_environ(tmp_path, GATEWAY_LOCAL_MODELS="0")
    command = ["serve", "--bind", f"127.0.0.1:{port}", "--port", str(port)]
    assert listens_at(command, environ, tmp_path) == f"127.0.0.1:{port}"


@pytest.mark.e2e
def test_bind_auto_starts_at_a_usual_port(tmp_path):
    address = listens_at(["serve", "--bind", "auto"], clean_environ(tmp_path, PORT="1"), tmp_path)
    assert address.startswith("127.0.0.1:") and 11435 <= int(address.rpartition(":")[2]) <= 11535


# --- folders with models ----------------------------------------------------------------------------------------------


@pytest.mark.e2e
def test_folders_and_a_file_are_searched(tmp_path):
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        make(tmp_path / name / f"in-{name}.gguf")
    file = str(tmp_path / "three" / "in-three.gguf")
    folders = ("--model-path", f"{tmp_path / 'one'};{tmp_path / 'two'}", "--model-dirs", file)
    with Gateway(tmp_path, *folders) as gateway:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(gateway.url + "/v1/models", timeout=30) as answer:
            listed = {model["id"] for model in json.load(answer)["data"]}
    assert {"in-one", "in-two", "in-three"} <= listed
