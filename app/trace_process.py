"""The gateway's side of the process that writes stored requests: starts it, sends to it, hears from it, ends it.

Belongs to one thread. When the process ends or cannot be started, what was sent is lost, and it is tried again later.
"""

import json
import marshal
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from app.trace_record import FRAME

ROOT = Path(__file__).resolve().parent.parent
PAUSES = (1.0, 60.0)  # seconds until a process that ended is started again: first, at most
WRITE_SIZE = 65_536  # bytes that are written at once
PIPE_SIZE = 1 << 20  # bytes that it may be behind
SET_PIPE_SIZE = 1031  # fcntl's F_SETPIPE_SZ, which only Linux has


class WriterProcess:
    """A child that writes (see app.trace_writer). `dropped` and `problem` are what all of them said last."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.problem: str | None = None
        self._order = order
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = self._waiting_records = 0
        self._heard = b""
        self._dropped, self._before = 0, 0
        self._flushed = self._asked = 0
        self._pause, self._next_try = PAUSES[0], 0.0

    @property
    def dropped(self) -> int:
        return self._before + self._dropped

    @property
    def pid(self) -> int | None:
        """The process that runs, if one does."""
        return self._process.pid if self._process is not None else None

    def send(self, record: bytes, count: bool = True) -> None:
        """Have a record sent, at the latest by the next `push`; one that is lost is counted, unless it need not be."""
        self._waiting += (FRAME.pack(b"r", len(record)), record)
        self._waiting_bytes += len(record)
        self._waiting_records += count
        if self._waiting_bytes >= WRITE_SIZE:
            self.push()

    def push(self) -> None:
        """Send what waits, standing still while the process is behind."""
        if self._waiting:
            parts, number = self._waiting, self._waiting_records
            self._waiting, self._waiting_bytes, self._waiting_records = [], 0, 0
            if not self._write(parts):
                self._before += number

    def flush(self, seconds: float) -> bool:
        """Wait until all that was sent is written or lost, at most `seconds`."""
        self.push()
        if self._process is None:
            return True
        self._asked += 1
        number = b"%d" % self._asked
        if not self._write([FRAME.pack(b"f", len(number)), number]):
            return True
        deadline = time.monotonic() + seconds
        while self._process is not None and self._flushed < self._asked:
            if not self.hear(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                return False
        return True

    def hear(self, seconds: float = 0.0) -> bool:
        """Take in what the process has said, waiting at most `seconds` for it."""
        if self._process is None or self._process.stdout is None:
            return False
        out = self._process.stdout.fileno()
        if not select.select([out], [], [], seconds)[0]:
            return False
        data = os.read(out, 65_536)
        if not data:
            self._end()
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            said = json.loads(line)
            self._dropped, self.problem = said["dropped"], said["problem"]
            self._flushed = said["flushed"] or self._flushed
        return True

    def close(self, seconds: float) -> None:
        """Let the process write what it has and end; end it after `seconds`."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        self._end()

    def _write(self, parts: list[bytes]) -> bool:
        if self._process is None and not self._start():
            return False
        assert self._process is not None and self._process.stdin is not None
        try:
            rest = memoryview(b"".join(parts))
            while rest:
                rest = rest[self._process.stdin.write(rest) or 0 :]
        except OSError:
            self._end()
            return False
        while self.hear():
            pass
        return True

    def _start(self) -> bool:
        if time.monotonic() < self._next_try:
            return False
        self._next_try, self._pause = time.monotonic() + self._pause, min(self._pause * 2, PAUSES[1])
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.trace_writer"],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
            )  # fmt: skip
        except OSError as error:
            self.problem = f"no process can be started to write them: {error}"
            return False
        assert self._process.stdin is not None
        _widen(self._process.stdin.fileno())
        order = marshal.dumps(self._order)
        return self._write([FRAME.pack(b"o", len(order)), order])

    def _end(self) -> None:
        """Forget the process, which has ended or has to."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        if process.poll() is None:
            process.kill()
        process.wait()
        self._before, self._dropped, self._heard = self.dropped, 0, b""


def _widen(pipe: int) -> None:
    """Let the process be further behind than the 64 KB that a pipe usually holds, where the system can do that."""
    try:
        import fcntl

        fcntl.fcntl(pipe, SET_PIPE_SIZE, PIPE_SIZE)
    except (ImportError, OSError):
        pass
