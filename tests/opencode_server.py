"""One OpenCode for many prompts: `opencode serve`, spoken to as its desktop and editor windows do; the agent is the same.

A start of OpenCode takes five seconds of CPU, a prompt to one that runs takes a third of one. Each prompt works in a folder
of its own, whose opencode.json is read anew; its session has a title, so that no model is asked for one.
"""

import contextlib
import json
import re
import shutil
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests

from tests.gateway import stop_group
from tests.opencode import LIMIT, Outcome, environ_of, find_binary, first_home

START_LIMIT, POLL = 60.0, 0.02  # seconds
# What `opencode run` forbids as well: nobody is there to be asked.
RULES = [{"permission": name, "pattern": "*", "action": "deny"} for name in ("question", "plan_enter", "plan_exit")]


class OpenCodeServer:
    """A server that runs until `stop`."""

    def __init__(self) -> None:
        binary = find_binary()
        assert binary is not None
        self.folder = Path(tempfile.mkdtemp(prefix="opencode-server-"))
        environ = environ_of(self.folder)
        shutil.copytree(first_home() / "data", environ["XDG_DATA_HOME"])
        self.log = self.folder / "opencode.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [binary, "serve", "--hostname", "127.0.0.1", "--port", "0"],
                cwd=self.folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.http = requests.Session()
        self.http.trust_env = False
        self.url = self._wait()

    def _wait(self) -> str:
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(rb"listening on (http://\S+)\s", self.log.read_bytes()):
                return found[1].decode()
            time.sleep(POLL)
        self.stop()
        raise RuntimeError("OpenCode's server did not start")

    def stop(self) -> None:
        self.http.close()
        stop_group(self.process, 0)  # it has nothing to save
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, project: Path, model: str, prompt: str) -> Outcome:
        """Do what `opencode run` does: one prompt in `project`; tell what was shown, and 1 where it ended with an error."""
        session = self._ask(project, "POST", "/session", {"title": "A task", "permission": RULES})["id"]
        provider, _, name = model.partition("/")
        body = {"model": {"providerID": provider, "modelID": name}, "parts": [{"type": "text", "text": prompt}]}
        try:
            last = self._ask(project, "POST", f"/session/{session}/message", body)
            code = 1 if last["info"].get("error") else 0
        except requests.Timeout:
            code = None  # as an `opencode run` that had to be killed
            self._ask(project, "POST", f"/session/{session}/abort")
        shown = [words for message in self._ask(project, "GET", f"/session/{session}/message") for words in told(message)]
        self._ask(project, "POST", "/instance/dispose")
        return Outcome(code, "\n".join(shown))

    def _ask(self, project: Path, method: str, path: str, body: object = None) -> Any:
        query = urlencode({"directory": str(project)})
        answer = self.http.request(method, f"{self.url}{path}?{query}", json=body, timeout=LIMIT)
        assert answer.ok, f"OpenCode refuses {method} {path}: {answer.text[:1000]}"
        return answer.json()


def told(message: dict[str, Any]) -> list[str]:
    """Return what OpenCode shows of one answer: its text, its calls, how it failed."""
    info = message["info"]
    if info["role"] != "assistant":
        return []
    shown = []
    for part in message["parts"]:
        if part["type"] == "text":
            shown.append(part["text"])
        elif part["type"] == "tool":
            state = part["state"]
            shown += [part["tool"], state.get("title") or "", str(state.get("output") or state.get("error") or "")]
    error = info.get("error")
    return [*shown, json.dumps(error, ensure_ascii=False)] if error else shown


@cache
def _server() -> OpenCodeServer:
    return OpenCodeServer()


def ask_opencode(project: Path, model: str, prompt: str) -> Outcome:
    """Let the server of this process work on a prompt in `project`, whose opencode.json it reads."""
    return _server().run(project, model, prompt)


def stop_opencode() -> None:
    """Stop the server, if there is one."""
    if _server.cache_info().currsize:
        with contextlib.suppress(OSError):
            _server().stop()
        _server.cache_clear()
