"""The keeper's side of one host: start it, wait for its word, measure it, end it. Knows no states and no budget."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.local_models.host import KEY_VARIABLE

HOST = Path(__file__).with_name("host.py")
END_SECONDS = 5.0
PAGE = os.sysconf("SC_PAGE_SIZE")
COMPLAINT = re.compile(r" E |error|assert|failed", re.IGNORECASE)
PREFIX = re.compile(r"^[\d.]+ E (\S+: )?")  # llama.cpp's clock, level and function
TAIL = 16_384  # bytes of the log in which a crash explains itself


class HostProcess:
    """A child that loads one model. `order` is the first line it reads (see host.py)."""

    def __init__(self, order: dict[str, Any], log: Path) -> None:
        """Start the process; the model is not loaded yet. Raises OSError."""
        self.key = secrets.token_hex(16)
        self.port = 0
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                # Run as a file, isolated: the gateway itself is not imported, and the model has the memory to itself.
                [sys.executable, "-I", str(HOST)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env={**os.environ, KEY_VARIABLE: self.key},
            )
        self.pid = self._process.pid
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended at once; `wait_ready` says why

    def wait_ready(self) -> str | None:
        """Wait until the model is loaded. Returns None, or why it failed."""
        for event in self._events():
            if event["event"] == "ready":
                self.port = event["port"]
                return None
            if event["event"] == "failed":
                self._process.wait()
                return f"{str(event['reason']).rstrip('.')}{self._complaint(0)}"
        return self.last_words()

    def _events(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                yield json.loads(line)
        except ValueError:
            pass  # closed: another thread ended the process

    def last_words(self) -> str:
        """Wait for the process to end and say how, with the last error of its log."""
        code = self._process.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"the model's process ended ({how}){self._complaint(-1)}"

    def _complaint(self, at: int) -> str:
        """Return the first (0) or last (-1) complaint in the log: a loader's first one names the cause."""
        try:
            with self._log.open("rb") as log:
                log.seek(max(0, self._log.stat().st_size - TAIL))
                lines = log.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        telling = [line for line in lines if COMPLAINT.search(line)]
        return f": {PREFIX.sub('', telling[at].strip())[:300]}" if telling else ""

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def killed(self) -> bool:
        """Whether it ended by SIGKILL: it did not crash by itself."""
        return self._process.poll() == -signal.SIGKILL

    def memory(self) -> int:
        """Return the resident bytes of the process, 0 when it is gone or nothing tells."""
        return resident_bytes(self.pid) if self.alive else 0

    def kill(self) -> None:
        """End the process at once; whoever waits for it is told."""
        self._process.kill()

    def end(self) -> None:
        """End the process: its input is closed, then SIGTERM, then SIGKILL. Returns when it is gone.

        While it loads it does not look at its input: then it is SIGTERM at once.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it was gone already
        steps = (self._process.terminate, self._process.kill)
        for step in (lambda: None, *steps) if self.port else steps:
            step()
            try:
                self._process.wait(END_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
        self._process.stdout.close()


def resident_bytes(pid: int) -> int:
    """Return the resident set size of a process in bytes; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError, ValueError):
        pass  # gone, or no Linux
    try:
        found = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, timeout=5)
        return int(found.stdout or 0) * 1024
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0
