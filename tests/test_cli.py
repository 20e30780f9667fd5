"""The command line as a whole: every command explains itself, wrong use ends with 2, -v and -V work everywhere."""

import os
import signal
import subprocess
import sys
from itertools import cycle

import pytest

from app.cli import main
from tests.gateway import ROOT, clean_environ

COMMANDS = sorted(main.commands)


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


def test_there_is_what_is_described():
    assert {"serve", "generate", "list", "probe", "diag", "check"} <= set(COMMANDS)


def everywhere(*flags: str) -> list[tuple[str, ...]]:
    """Return command lines: the program and each command with one of these flags, in turn."""
    return [(*command, flag) for command, flag in zip([(), *((name,) for name in COMMANDS)], cycle(flags), strict=False)]


@pytest.mark.parametrize("arguments", [("--version",), *everywhere("-V", "--version")], ids=" ".join)
def test_version(run, arguments):
    done = run(*arguments)
    assert done.returncode == 0 and done.stdout.startswith("OpenCode Gateway ")


@pytest.mark.parametrize("arguments", [("--help",), *everywhere("-h", "--help")], ids=" ".join)
def test_help_names_exit_codes_and_the_options_of_all(run, arguments):
    done = run(*arguments)
    assert done.returncode == 0 and "Usage: python -m app" in done.stdout
    assert "xit code" in done.stdout
    for option in ("-v, --verbose", "-V, --version", "-h, --help"):
        assert option in done.stdout
    assert "--json" in done.stdout or arguments[0] in ("-h", "--help", "serve"), "what prints has JSON"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="NO /dev/full HERE: a full disk is not tested")
@pytest.mark.parametrize("command", ["check --json", "generate mock --prompt hi"])
def test_an_output_that_is_full_or_closed_is_no_bug(tmp_path, command):
    def run(to):
        line = f"exec {sys.executable} -m app {command} {to}"
        return subprocess.run(["bash", "-c", line], cwd=ROOT, env=clean_environ(tmp_path), capture_output=True, text=True)

    full, closed = run(">/dev/full"), run(">&-")
    assert (full.returncode, full.stderr) == (1, "Error: the output cannot be written: No space left on device\n")
    assert (closed.returncode, closed.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [("-v", "check"), ("check", "-v"), ("--verbose", "check")], ids=str)
def test_verbose_before_a_command_is_verbose_behind_it(run, arguments):
    assert "mock -> mock/mock" in run(*arguments).stdout


def test_app_py_is_the_development_server_with_its_options(run):
    done = run("--help", script=("app.py",))
    assert done.returncode == 0
    for option in ("--host", "--port", "--log-file"):
        assert option in done.stdout


WRONG = [
    ("nonsense",), ("serve", "--nonsense"), ("serve", "99999"), ("check", "/no/such"), ("generate",),
    ("generate", "mock", "--prompt", "x", "--max-tokens", "0"), ("generate", "mock", "--prompt", "x", "--temperature", "3"),
    ("generate", "mock", "--prompt", " "), ("generate", "--prompt", "x", "--url", "http://127.0.0.1:1"),
    ("list", "--model-path", "/no/such/folder"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_a_wrong_command_ends_with_2(run, arguments):
    done = run(*arguments)
    assert done.returncode == 2 and "Error" in done.stderr and "Traceback" not in done.stderr


def test_ctrl_c_ends_any_command_with_130(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "generate", "mock", "--prompt", "-"], cwd=ROOT, env=clean_environ(tmp_path),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background inherit deaf ears
    )  # fmt: skip
    assert process.stdin is not None
    for _ in range(20):  # until it reads: a pipe holds 64 KB
        process.stdin.write(b"word " * 1000)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and said == b"Cancelled.\n"


@pytest.mark.parametrize("command", ["serve", "list", "probe mock", "generate --prompt x"])
def test_settings_that_cannot_be_used_end_with_2(run, command):
    done = run(*command.split(), MAX_TOKENS="many")
    assert done.returncode == 2 and "MAX_TOKENS" in done.stderr and "Traceback" not in done.stderr
