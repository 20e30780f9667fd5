"""run.sh on a fresh copy of the project: it installs once, starts from anywhere, and says what is wrong."""

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.gateway import POLL, ROOT, clean_environ, stop_group

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

COPIED = ("app", "deploy", "app.py", "run.sh", "opencode.json", "requirements.lock")
INSTALL_LIMIT = 300.0  # seconds; pip takes about forty, uv about two
KEY = "canary-key-0123456789-abcdef"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy in a folder whose name holds a space, with a home that does not exist."""
    folder = tmp_path_factory.mktemp("fresh machine")
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


def environ_for(checkout: Path, **environ: str) -> dict[str, str]:
    # What the machine says about where packages come from stays; the home is a place that nobody can make.
    kept = {name: value for name, value in os.environ.items() if re.match("PIP_|UV_|SSL_|REQUESTS_CA", name)}
    if "UV_CACHE_DIR" not in kept and (cache := Path.home() / ".cache" / "uv").is_dir():
        kept["UV_CACHE_DIR"] = str(cache)  # only saves time
    return {**kept, **clean_environ(checkout.parent), "HOME": "/proc/nowhere", **environ}


class Running:
    """run.sh in a process group of its own, waited for until it prints its curl line."""

    def __init__(self, checkout: Path, *arguments: str, cwd: Path | None = None, **environ: str) -> None:
        self.log = checkout.parent / "run.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(checkout / "run.sh"), *arguments],
                cwd=cwd or checkout,
                env=environ_for(checkout, **environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> "Running":
        deadline = time.monotonic() + INSTALL_LIMIT
        while "Try it:" not in self.output and time.monotonic() < deadline and self.process.poll() is None:
            time.sleep(POLL)
        if "Try it:" not in self.output:
            self.__exit__()
            raise AssertionError(self.output)
        return self

    def __exit__(self, *_: object) -> None:
        self.code = stop_group(self.process)

    @property
    def output(self) -> str:
        return self.log.read_text("utf-8", errors="replace")

    def paste(self) -> str:
        """Run the curl line that was printed, as a person would."""
        line = self.output[self.output.index("curl ") :].split("\n")[0]
        return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=True).stdout


def run(checkout: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(checkout / "run.sh"), *arguments],
        cwd=checkout,
        env=environ_for(checkout, **environ),
        capture_output=True,
        text=True,
        timeout=INSTALL_LIMIT,
    )


@pytest.fixture(scope="module")
def first_start(checkout):
    """What the first start printed and answered; the copy is installed from here on."""
    with Running(checkout, "0", GEMINI_API_KEY=KEY) as gateway:
        answer = gateway.paste()
    return gateway, answer


def test_the_first_start_installs_and_answers_the_line_it_prints(first_start, checkout):
    gateway, answer = first_start
    assert "Installing requirements.lock" in gateway.output
    assert '"chat.completion"' in answer
    assert gateway.code == 0
    assert not list(checkout.glob("*.installing"))


def test_it_says_what_it_serves_from_where_with_which_key(first_start, checkout):
    gateway, _ = first_start
    assert "local-model" in gateway.output
    assert str(checkout / "opencode.json") in gateway.output
    assert "env GEMINI_API_KEY" in gateway.output and KEY not in gateway.output


def test_a_later_start_installs_nothing_and_paths_are_the_callers(first_start, checkout, tmp_path):
    (tmp_path / "mine.json").write_text(
        '{"provider": {"p": {"options": {"engine": "mock"}, "models": {"only-here": {}}}}}', "utf-8"
    )
    with Running(checkout, "--port=0", "--log-file", "my.log", cwd=tmp_path, OPENCODE_CONFIG="mine.json") as gateway:
        answer = gateway.paste()
    assert "Installing" not in gateway.output
    assert "only-here" in gateway.output and "only-here" in answer
    assert "/v1/chat/completions" in (tmp_path / "my.log").read_text("utf-8")


def test_it_starts_through_a_link_and_without_a_network(first_start, checkout, tmp_path):
    no_index = {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}
    (tmp_path / "link").symlink_to(checkout, target_is_directory=True)
    with Running(tmp_path / "link", "0", **no_index) as gateway:
        assert '"chat.completion"' in gateway.paste()


def test_a_port_in_use_is_a_sentence(first_start, checkout):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for done in (run(checkout, port), run(checkout, PORT=port)):
            assert done.returncode == 1
            assert f"127.0.0.1:{port} is in use" in done.stderr and "Traceback" not in done.stderr


def test_options_are_explained(first_start, checkout):
    done = run(checkout, "--help")
    assert done.returncode == 0 and "--log-file" in done.stdout and "--verbose" in done.stdout
    assert run(checkout, "--no-such-option").returncode == 2


def shell(checkout: Path, script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f". deploy/venv.sh; {script}"],
        cwd=checkout,
        env=environ_for(checkout, **environ),
        capture_output=True,
        text=True,
        timeout=INSTALL_LIMIT,
    )


NO_INSTALL = "install_with_uv() { return 1; }; install_with_pip() { return 1; };"


def test_an_install_that_fails_leaves_no_stamp(first_start, checkout):
    broken = f"{NO_INSTALL} touch other.lock; make_venv .venv-other other.lock"
    done = shell(checkout, f"mkdir -p .venv-other; cp requirements.lock .venv-other/installed.lock; {broken}")
    assert done.returncode != 0 and "could not be installed" in done.stderr
    assert not (checkout / ".venv-other" / "installed.lock").exists()
    assert not list(checkout.glob("*.installing"))


def test_a_changed_lock_is_installed_again(first_start, checkout):
    count = "install_with_uv() { echo installed; }; install_with_pip() { echo installed; };"
    script = f"{count} cp -R .venv .venv-changed; cp requirements.lock changed.lock; echo '# new' >> changed.lock;"
    done = shell(checkout, f"{script} make_venv .venv-changed changed.lock; make_venv .venv-changed changed.lock")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["installed"]


def test_the_lock_of_a_dead_install_is_taken_over(first_start, checkout):
    dead = "mkdir .venv-dead.installing; sh -c 'echo $$' > .venv-dead.installing/pid"
    done = shell(checkout, f"{dead}; wait_for_other_install .venv-dead; cat .venv-dead.installing/pid; echo $$")
    owner, shell_pid = done.stdout.split()
    assert owner == shell_pid


def test_no_suitable_python_is_a_sentence(checkout, tmp_path):
    for name in ("bash", "dirname", "cmp", "cp", "rm", "mkdir", "cat", "sleep", "env"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    for name in ("python3", "python"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")  # what a Python 3.8 says to the question of its version
        (tmp_path / name).chmod(0o755)
    script = f"PATH='{tmp_path}'; make_venv .venv-none requirements.lock"
    done = shell(checkout, script, GATEWAY_NO_UV="1")
    assert done.returncode != 0
    assert "No Python from 3.10 to 3.14" in done.stderr and "PYTHON=" in done.stderr
