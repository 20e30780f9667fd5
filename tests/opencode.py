"""The real OpenCode, headless: finds its binary, runs one prompt in a folder of its own; knows nothing of the gateway.

./test.sh installs it from npm into .cache/opencode; OPENCODE_BINARY names another.
"""

import atexit
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.gateway import ROOT, clean_environ, stop_group

LIMIT = 100.0  # seconds for one prompt; about five are usual
SWITCHES = (
    "AUTOUPDATE MODELS_FETCH LSP_DOWNLOAD DEFAULT_PLUGINS SHARE CLAUDE_CODE PRUNE EXTERNAL_SKILLS".split()
)  # each of them would ask the internet, or look outside the folder
QUIET = {"$schema": "https://opencode.ai/config.json", "autoupdate": False, "share": "disabled", "permission": "allow"}


@dataclass(frozen=True)
class Outcome:
    """How a run ended; `code` is None if it had to be killed."""

    code: int | None
    output: str


@cache
def find_binary() -> Path | None:
    """Return the binary that runs on this machine, None without one."""
    named = os.environ.get("OPENCODE_BINARY")
    installed = sorted((ROOT / ".cache" / "opencode" / "node_modules").glob("opencode-*/bin/opencode"))
    for path in [Path(named)] if named else installed:
        try:
            with tempfile.TemporaryDirectory() as home:
                done = subprocess.run([path, "--version"], capture_output=True, timeout=60, env={"HOME": home})
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return path
    return None


@cache
def first_home() -> Path:
    """Return a home in which OpenCode has been once: it made its database there, which takes it a second."""
    binary = find_binary()
    assert binary is not None
    folder = Path(tempfile.mkdtemp(prefix="opencode-home-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    environ = environ_of(folder)
    subprocess.run([binary, "session", "list"], cwd=folder, env=environ, capture_output=True, timeout=60, check=True)
    return Path(environ["HOME"])


def environ_of(folder: Path) -> dict[str, str]:
    """Return an environment whose home is in `folder`, and in which OpenCode stays at home."""
    environ = clean_environ(folder)
    home = Path(environ["HOME"])
    environ |= {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CONFIG", "DATA", "CACHE", "STATE")}
    environ |= {f"OPENCODE_DISABLE_{switch}": "1" for switch in SWITCHES}
    settings = home / "config" / "opencode" / "opencode.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps(QUIET), "utf-8")
    return environ


def run_opencode(project: Path, model: str, prompt: str) -> Outcome:
    """Let OpenCode work on a prompt in `project`, whose opencode.json it reads. Its home is beside the project."""
    binary = find_binary()
    assert binary is not None
    environ = environ_of(project.parent)
    if not Path(environ["XDG_DATA_HOME"]).exists():
        shutil.copytree(first_home() / "data", environ["XDG_DATA_HOME"])
    log = project.parent / "opencode.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [binary, "run", "--model", model, prompt],
            cwd=project,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    code: int | None = None
    try:
        code = process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        pass  # the code stays None, the output tells how far it came
    finally:
        stop_group(process, 5)
    return Outcome(code, log.read_text("utf-8", errors="replace"))
