"""A gateway as a user has it: a real process, gunicorn and all, on a port of its own; knows nothing of what it answers.

    with Gateway(tmp_path, GEMINI_API_BASE=upstream.base_url) as gateway:
        requests.get(gateway.url + "/health")

The listening socket is opened here and handed over, so no port is ever guessed and none can be taken meanwhile.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_LIMIT, STOP_LIMIT, POLL = 60.0, 15.0, 0.05  # seconds

# A pytest that is told to end does so like an interrupted one: fixtures stop the processes that they started.
signal.signal(signal.SIGTERM, signal.default_int_handler)


def clean_environ(folder: Path, **environ: str) -> dict[str, str]:
    """An environment without the developer's keys, .env, home and proxies.

    The engine is the relay, unless the map or the test says otherwise: LiteLLM's import takes 2 s of CPU.
    """
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    env_file = folder / "empty.env"
    env_file.touch()
    path = os.environ.get("PATH", os.defpath)
    data = str(folder / "var")
    fixed = {"PATH": path, "HOME": str(home), "GATEWAY_ENV_FILE": str(env_file), "GATEWAY_DATA_DIR": data}
    return fixed | {"GATEWAY_ENGINE": "relay"} | environ


def stop_group(process: subprocess.Popen[bytes], limit: float = STOP_LIMIT) -> int:
    """Ask a process (the leader of its group) to end, kill its group if it does not; returns its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


class Gateway:
    """`python -m app serve` in a process group of its own. `url`, `base_url` (…/v1), `output()` is all it printed."""

    command = ("-m", "app", "serve")

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.base_url = f"{self.url}/v1"
        self.log = folder / f"gateway-{self.port}.log"
        self.environ = clean_environ(folder, PORT=str(self.port), **environ)
        self.arguments = arguments

    def __enter__(self) -> "Gateway":
        handed_over = self.listener.fileno()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.command, "--bind", f"fd://{handed_over}", *self.arguments],
                cwd=ROOT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[handed_over],
                start_new_session=True,
            )
        self.listener.close()  # now a dead gateway refuses connections instead of leaving them in our queue
        try:
            self.wait_ready()
        except BaseException:
            stop_group(self.process)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        stop_group(self.process)

    def wait_ready(self) -> None:
        """Wait until /ready says so. Raises RuntimeError with the gateway's own words when it does not."""
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.status("/ready") == 200:
                return
            time.sleep(POLL)
        raise RuntimeError(f"the gateway did not become ready:\n{self.output()}")

    def status(self, path: str) -> int | None:
        """The HTTP status of a GET, None where nobody answers."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(self.url + path, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return None

    def output(self) -> str:
        return self.log.read_text("utf-8", errors="replace")
