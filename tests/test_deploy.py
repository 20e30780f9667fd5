"""What deploy/ holds works: the Dockerfile's own steps, the systemd unit, PM2's file. (The set-ups: test_setups.)"""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.dockerfile import (
    Context,
    command_of,
    environ_of,
    faults,
    health_command_of,
    last_stage,
    value_of,
)
from tests.gateway import POLL, ROOT, START_LIMIT, Gateway, clean_environ, stop_group

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
IMAGE = last_stage(DOCKERFILE)
CONTEXT = Context(ROOT, (ROOT / ".dockerignore").read_text("utf-8"))
UNIT = (DEPLOY / "opencode-gateway.service").read_text("utf-8")
PLACE = "/opt/opencode-gateway"  # where the unit expects the gateway


# --- Docker ---------------------------------------------------------------------------------------------------------


def test_the_dockerfile_is_sound():
    assert faults(DOCKERFILE, CONTEXT) == []


@pytest.mark.parametrize(
    ("line", "instead", "fault"),
    (
        ("FROM python:3.12-slim\n", "FROM python\n", "names no version"),
        ("FROM python:3.12-slim\n", "FROM python:latest\n", "names no version"),
        ("USER 10001\n", "", "runs as root"),
        ("USER 10001\n", "USER root\n", "runs as root"),
        ("COPY app ./app", "COPY application ./app", "COPY application: nothing"),
        ("COPY app ./app", "COPY tests ./tests", "COPY tests: nothing"),  # there, but not sent
        ("COPY opencode.json", "COPY .env opencode.json", "COPY .env: nothing"),
        ("--from=packages", "--from=builder", "no stage builder"),
        (" --require-hashes", "", "without their hashes"),
        ("EXPOSE 3307", "EXPOSE 8000", "EXPOSE is not PORT"),
        ("HOST=0.0.0.0", "HOST=127.0.0.1", "nobody outside"),
        ("PORT=3307", "PORT=3307 GROQ_API_KEY=x", "GROQ_API_KEY would be part"),
        ('CMD ["serve"]', "CMD serve", "is not a JSON list"),
        ("WORKDIR /srv", "WORKDIRS /srv", "WORKDIRS is no instruction"),
    ),
)
def test_a_faulty_dockerfile_is_found(line, instead, fault):
    assert line in DOCKERFILE
    found = faults(DOCKERFILE.replace(line, instead), CONTEXT)
    assert any(fault in one for one in found), found


def test_hadolint_has_no_complaint():
    if not (hadolint := shutil.which("hadolint")):
        pytest.skip("hadolint is not installed: the Dockerfile is checked by our own list only")
    done = subprocess.run([hadolint, "--no-color", str(DEPLOY / "Dockerfile")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("path", "sent"),
    (
        ("app/cli.py", True),
        ("app/engines/relay.py", True),
        ("opencode.json", True),
        ("requirements.lock", True),
        ("requirements-postgres.lock", True),
        ("deploy/gpt-oss/opencode.json", True),
        (".env", False),
        ("app/.env", False),
        ("app/__pycache__/cli.cpython-312.pyc", False),
        ("deploy/gpt-oss/proxy.log", False),
        (".git/config", False),
        ("tests/test_deploy.py", False),
        ("requirements-dev.lock", False),
        ("var/gateway.db", False),
    ),
)
def test_what_is_sent_to_the_engine(path, sent):
    assert CONTEXT.sends(ROOT / path) is sent


@pytest.fixture
def image(tmp_path):
    """The files of the image, in a folder."""
    folder = tmp_path / "image"
    CONTEXT.copy(IMAGE, folder)
    return folder


def environ_in(folder: Path, **environ: str) -> dict[str, str]:
    ours = {name: value for name, value in environ_of(IMAGE).items() if name not in ("PATH", "GATEWAY_DATA_DIR")}
    return clean_environ(folder.parent) | ours | environ


def python(command: list[str]) -> list[str]:
    assert command[0] == "python"
    return [sys.executable, *command[1:]]


@contextmanager
def container(folder: Path, **environ: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Run the image's command in its folder; yield the port and the process. It listens on this machine only."""
    log = folder.parent / "container.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            python(command_of(IMAGE)),
            cwd=folder,
            env=environ_in(folder, HOST="127.0.0.1", PORT="0", **environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_LIMIT
        while "Try it:" not in log.read_text("utf-8") and time.monotonic() < deadline and process.poll() is None:
            time.sleep(POLL)
        found = re.search(r" at http://127\.0\.0\.1:(\d+)/v1\n  model map  (.*)\n", log.read_text("utf-8"))
        assert found, log.read_text("utf-8")
        assert str(folder) in found[2] or found[2].startswith("deploy/"), "another folder's files are in use"
        yield found[1], process
    finally:
        stop_group(process)


@pytest.mark.e2e
@pytest.mark.parametrize("set_up", ["", "deploy/gpt-oss/env", "deploy/chatjimmy/env", "deploy/local/env"])
def test_the_files_of_the_image_suffice(image, set_up):
    with container(image, **({"GATEWAY_ENV_FILE": set_up} if set_up else {})) as (port, process):
        check = python(health_command_of(IMAGE))
        healthy = subprocess.run(check, env=environ_in(image, PORT=port), capture_output=True, timeout=60)
        assert healthy.returncode == 0, healthy.stderr
        process.send_signal(signal.SIGTERM)  # `docker stop`
        assert process.wait(30) == 0
        dead = subprocess.run(check, env=environ_in(image, PORT=port), capture_output=True, timeout=60)
        assert dead.returncode != 0


@pytest.mark.e2e
def test_the_image_does_not_start_without_keys_for_its_clients(image):
    done = subprocess.run(
        python(command_of(IMAGE)), cwd=image, env=environ_in(image), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "HOST=0.0.0.0 is reachable from other machines, but GATEWAY_API_KEYS is not set" in done.stderr


def test_the_documented_commands_are_those_of_the_dockerfile():
    port, said = environ_of(IMAGE)["PORT"], (DEPLOY / "README.md").read_text("utf-8")
    for text in (said, DOCKERFILE):
        assert "docker build -f deploy/Dockerfile -t opencode-gateway ." in text
        assert f"docker run -p {port}:{port} -e GROQ_API_KEY -e GATEWAY_API_KEYS" in text
    for name in ("USER", "WORKDIR", "VOLUME"):
        assert value_of(IMAGE, name) in said


# --- systemd --------------------------------------------------------------------------------------------------------


def verify(unit: str, folder: Path) -> str:
    """Return what systemd has to say about a unit, "" when nothing."""
    path = folder / "opencode-gateway.service"
    path.write_text(unit, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, timeout=60
    )
    return done.stderr + done.stdout


def at_this_place(unit: str) -> str:
    """Put the checkout and this Python in the place of the unit's paths."""
    return unit.replace(f"{PLACE}/.venv/bin/python", sys.executable).replace(PLACE, str(ROOT))


def test_systemd_understands_the_unit(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is missing: SYSTEMD'S OWN CHECK OF THE UNIT IS NOT RUN")
    assert verify(at_this_place(UNIT), tmp_path) == ""
    assert "ProtectHouse" in verify(at_this_place(UNIT).replace("ProtectHome", "ProtectHouse"), tmp_path)
    assert "not executable" in verify(UNIT.replace(PLACE, "/nonexistent"), tmp_path)


def settings_of_unit(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def test_the_unit_starts_the_gateway_as_the_tests_do():
    assert settings_of_unit("ExecStart") == [" ".join([f"{PLACE}/.venv/bin/python", *Gateway.command])]
    assert settings_of_unit("WorkingDirectory") == [PLACE]
    (state,) = settings_of_unit("StateDirectory")
    assert f"GATEWAY_DATA_DIR=/var/lib/{state}" in settings_of_unit("Environment")[0]


@pytest.mark.e2e
def test_systemd_is_told_when_the_gateway_is_ready(tmp_path):
    assert settings_of_unit("Type") == ["notify"]
    # The address of a socket has 107 bytes at most, so it cannot stand in tmp_path.
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"{folder}/notify")
        listener.settimeout(START_LIMIT)
        with Gateway(tmp_path, NOTIFY_SOCKET=f"{folder}/notify", OPENCODE_CONFIG=str(ROOT / "opencode.json")):
            assert b"READY=1" in listener.recv(1024)


@pytest.mark.e2e
def test_wrong_settings_end_with_the_code_that_is_not_started_again(tmp_path):
    environ = clean_environ(tmp_path, PORT="no-port")
    done = subprocess.run([sys.executable, *Gateway.command], cwd=ROOT, env=environ, capture_output=True, timeout=60)
    assert settings_of_unit("RestartPreventExitStatus") == [str(done.returncode)]


# --- PM2 ------------------------------------------------------------------------------------------------------------


def test_pm2s_file_names_what_is_there():
    if not (node := shutil.which("node")):
        pytest.skip("node is missing: PM2'S FILE IS NOT READ")
    code = "console.log(JSON.stringify(require('./deploy/ecosystem.config.js')))"
    done = subprocess.run([node, "-e", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    (only,) = json.loads(done.stdout)["apps"]
    script = Path(only["cwd"]) / only["script"]
    assert script == ROOT / "run.sh" and shutil.which(only["interpreter"])
    assert only["kill_timeout"] > 35_000, "answers may take GATEWAY_DRAIN_TIMEOUT to finish"
    assert only["stop_exit_codes"] == [int(settings_of_unit("RestartPreventExitStatus")[0])]
