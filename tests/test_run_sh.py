"""run.sh on a fresh copy of the project: it installs once, starts from anywhere, and says what is wrong."""

import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from app.extras import EXTRAS
from tests.gateway import POLL, ROOT, clean_environ, stop_group
from tests.tiny_gguf import make

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

LOCKS = {extra.name: f"requirements-{extra.name}.lock" for extra in EXTRAS}
COPIED = ("app", "deploy", "app.py", "run.sh", "opencode.json", "requirements.lock", *LOCKS.values())
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


    def get(self, path: str) -> str:
        """Ask for a path at the address that was printed."""
        address = re.search(r" at (http://[\d.:]+)/v1", self.output)
        assert address, self.output
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address[1] + path, timeout=60) as answer:
            return str(answer.read(), "utf-8")


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


def test_debug_1_shows_each_request_in_full(first_start, checkout):
    said = {}
    for debug in ("1", "0"):
        with Running(checkout, "0", DEBUG=debug) as gateway:
            gateway.paste()
        said[debug] = gateway.output.count("Hello!")
    assert said["0"] == 1, "in the line to paste only"
    assert said["1"] > 2, "in the request and in the answer, too"


@pytest.mark.parametrize(("name", "models"), [("chatjimmy", ["llama3.1-8B"]), ("gpt-oss", ["gpt-oss-20b", "llama3-8b-8192"])])
def test_a_described_set_up_starts_with_one_command(first_start, checkout, name, models):
    with Running(checkout, GATEWAY_ENV_FILE=f"deploy/{name}/env", PORT="0") as gateway:
        assert all(model in gateway.output for model in models)
        assert f"default    {models[0]} " in gateway.output
        assert all(f'"id":"{model}"' in gateway.get("/v1/models") for model in models)
    log = re.findall(r"^GATEWAY_LOG_FILE=(.*)$", (checkout / "deploy" / name / "env").read_text("utf-8"), re.MULTILINE)
    assert "GET /v1/models" in (checkout / log[0]).read_text("utf-8")


def test_the_env_file_is_the_callers_too(first_start, checkout, tmp_path):
    (tmp_path / "mine.env").write_text("PORT=0\nMODEL_NAME=mock\n", "utf-8")
    with Running(checkout, cwd=tmp_path, GATEWAY_ENV_FILE="mine.env") as gateway:
        assert "default    mock (mock/mock)" in gateway.output


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
    assert done.returncode == 0
    for option in ("--log-file", "--verbose", "--model-path", "--bind", *(f"--{extra}" for extra in LOCKS)):
        assert option in done.stdout
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


# --- the extras: nothing is fetched here ------------------------------------------------------------------------------

LOCAL = LOCKS["local"]
COUNT = "install_with_uv() { echo base; }; add_with_uv() { echo extra; }; install_with_pip() { :; }; add_with_pip() { :; };"
FAIL = "add_with_uv() { return 1; }; add_with_pip() { return 1; };"
LINK = "mkdir -p .venv-extra; ln -sfn ../.venv/bin .venv-extra/bin; cp requirements.lock .venv-extra/installed.lock;"
ADD = f"add_to_venv .venv-extra {LOCAL}"


@pytest.mark.parametrize(
    ("script", "done"),
    [
        (f"{ADD}; {ADD}", ["extra"]),
        (f"{ADD}; echo '# new' >> copy.lock; add_to_venv .venv-extra copy.lock", ["extra", "extra"]),
        # A new first lock takes away what it does not name; the extra comes back, as it was asked for once.
        (f"{ADD}; echo >> copy.lock; make_venv .venv-extra copy.lock; has_extra .venv-extra {LOCAL} && {ADD}",
         ["extra", "base", "extra"]),
        (f"has_extra .venv-extra {LOCAL} || echo none", ["none"]),
        # One that could not be installed is not tried again by each start, one that was there once is.
        (f"{FAIL} {ADD} || echo failed; has_extra .venv-extra {LOCAL} || echo none", ["failed", "none"]),
        (f"{ADD}; stale_extras .venv-extra; {FAIL} {ADD} || echo failed; has_extra .venv-extra {LOCAL} && echo wanted",
         ["extra", "failed", "wanted"]),
    ],
)  # fmt: skip
def test_what_was_asked_for_once_stays_and_follows_its_lock(first_start, checkout, script, done):
    shutil.rmtree(checkout / ".venv-extra", ignore_errors=True)
    said = shell(checkout, f"{COUNT} cp requirements.lock copy.lock; {LINK} {script}")
    assert said.stdout.split() == done, said.stderr
    assert (checkout / ".venv-extra" / "installed.lock").exists() and not list(checkout.glob("*.installing"))


FAKE_UV = """#!/bin/sh
[ "$1" = --version ] && exit 0
echo "$@" >>"$UV_LOG"
[ -n "$UV_FAILS" ] && exit 1
for lock in "$@"; do :; done
case "$lock" in
    *-local.lock) packages=xllamacpp ;;
    *-otel.lock) packages="opentelemetry/sdk opentelemetry/exporter/otlp/proto/http" ;;
    *-postgres.lock) packages=psycopg ;;
    *-gevent.lock) packages=gevent ;;
esac
for folder in .venv/lib/python*/site-packages; do
    for package in $packages; do mkdir -p "$folder/$package"; done
done
"""


@pytest.fixture
def fake_uv(tmp_path, checkout):
    """What makes run.sh use a uv that only takes note of what it is asked, and no pip."""
    (tmp_path / "uv").write_text(FAKE_UV, "utf-8")
    (tmp_path / "uv").chmod(0o755)
    log = tmp_path / "uv.log"
    log.touch()
    yield {"PATH": f"{tmp_path}:{os.environ['PATH']}", "UV_LOG": str(log), "PIP_NO_INDEX": "1"}
    for extra in EXTRAS:
        (checkout / ".venv" / f"installed.{LOCKS[extra.name]}").unlink(missing_ok=True)
        for package in extra.packages:
            for found in checkout.glob(f".venv/lib/python*/site-packages/{package.partition('.')[0]}"):
                shutil.rmtree(found)


def test_extras_are_installed_once_and_it_starts(first_start, checkout, fake_uv):
    asked, flags = Path(fake_uv["UV_LOG"]), [f"--{extra}" for extra in LOCKS]
    with Running(checkout, "--local", "--port", "0", **fake_uv) as gateway:
        assert f"Installing {LOCAL}" in gateway.output and gateway.output.count("Installing") == 1
    with Running(checkout, *flags, "--port", "0", **fake_uv) as gateway:
        assert gateway.output.count("Installing") == len(LOCKS) - 1
    calls = asked.read_text("utf-8").splitlines()
    for call, lock in zip(calls, LOCKS.values(), strict=True):
        assert call.startswith("pip install") and "--require-hashes" in call and call.endswith(f"-r {lock}")
    for arguments in ([], flags):
        with Running(checkout, *arguments, "--port", "0", **fake_uv) as gateway:
            assert "Installing" not in gateway.output
    assert asked.read_text("utf-8").splitlines() == calls


def test_an_extra_that_cannot_be_installed_stops_only_who_asked_for_it(first_start, checkout, fake_uv):
    done = run(checkout, "--local", "--port", "0", UV_FAILS="1", **fake_uv)
    assert done.returncode == 1 and "./run.sh starts without it" in done.stderr
    with Running(checkout, "--port", "0", UV_FAILS="1", **fake_uv) as gateway:
        assert "Installing" not in gateway.output
    for lock in LOCKS.values():
        (checkout / ".venv" / f"installed.{lock}").touch()  # asked for once, taken away by a new requirements.lock
    with Running(checkout, "--port", "0", UV_FAILS="1", **fake_uv) as gateway:
        assert all(f"What --{extra} needs could not be brought up to date" in gateway.output for extra in LOCKS)


def test_folders_with_models_are_the_callers(first_start, checkout, tmp_path):
    for name in ("one", "two:b"):
        (tmp_path / name).mkdir()
        make(tmp_path / name / f"in-{name[:3]}.gguf")
    with Running(checkout, "--port=0", "--model-path=one", "--model-dirs", "two:b;.", cwd=tmp_path) as gateway:
        listed = gateway.get("/v1/models")
    assert '"id":"in-one"' in listed and '"id":"in-two"' in listed
