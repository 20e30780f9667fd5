"""A gateway that stores what it serves, and the commands that read it beside: what their tests share."""

import contextlib
import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.client import LiveGateway, Reply
from tests.gateway import ROOT, clean_environ, stop_group
from tests.upstream import FakeUpstream

LIMIT = 20.0
HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b2J \u202egnp.exe <script>alert(1)</script>"


@dataclass
class Stored:
    """A gateway that stores into `folder`, and its upstream."""

    gateway: LiveGateway
    upstream: FakeUpstream
    folder: Path

    def forget(self) -> None:
        """Empty the database, and have the upstream forget what it was told."""
        self.upstream.reset()
        assert self.gateway.app.extensions["trace_store"].flush(LIMIT)
        if (path := self.folder / "gateway.db").is_file():
            with contextlib.closing(sqlite3.connect(path, timeout=LIMIT)) as connection, connection:
                tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
                for table in tables & {"traces", "trace_parts"}:
                    connection.execute(f"DELETE FROM {table}")


def ask(
    gateway: LiveGateway, text: str = "Say hello.", session: str | None = None, headers: Any = None, **fields: Any
) -> Reply:
    """Ask `some-model` for a stream and wait until that is stored."""
    ended = Ended.of(gateway)
    headers = {**(headers or {}), **({"x-session-id": session} if session else {})}
    fields = {"stream": True, "messages": [{"role": "user", "content": text}], **fields}
    reply = gateway.chat(headers, **fields)
    ended.wait_for(request_id(reply))
    if (stored := gateway.app.extensions["trace_store"]) is not None:
        assert stored.flush(LIMIT)
    return reply


class Ended:
    """A sink that tells which requests are over: that is a moment after their last byte."""

    live = False

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._changed = threading.Condition()

    @classmethod
    def of(cls, gateway: LiveGateway) -> "Ended":
        sinks = gateway.app.extensions["trace_sinks"]
        if not isinstance(sinks[-1], cls):
            sinks = gateway.app.extensions["trace_sinks"] = (*sinks, cls())  # behind the store, so it has it by then
        return sinks[-1]

    def note(self, trace: Any, station: str, value: Any) -> None: ...
    def raw(self, trace: Any, events: Any) -> None: ...
    def emitted(self, trace: Any, events: Any) -> None: ...

    def finished(self, trace: Any) -> None:
        with self._changed:
            self._ids.add(trace.id)
            self._changed.notify_all()

    def wait_for(self, identifier: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: identifier in self._ids, LIMIT)


def request_id(reply: Reply) -> str:
    return reply.headers["x-request-id"]


def say(upstream: FakeUpstream, *texts: str) -> None:
    """Have the upstream say this, with a departure that is repaired: its finish reason is in capitals."""
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    upstream.reply_sse([*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "STOP"}]}])


@contextmanager
def running(folder: Path, *arguments: str, **environ: str) -> Iterator["Running"]:
    """Run a command that does not end by itself, and read what it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env=clean_environ(folder, GATEWAY_LOCAL_MODELS="0", **environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    printed = Running(process)
    try:
        yield printed
    finally:
        stop_group(process)
        printed.close()


class Running:
    """A command that runs. `lines` is what it printed so far, on both streams."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process, self.lines = process, list[str]()
        self._changed = threading.Condition()
        self._streams = [process.stdout, process.stderr]
        self._threads = [threading.Thread(target=self._read, args=(each,), daemon=True) for each in self._streams]
        for thread in self._threads:
            thread.start()

    def wait_for(self, fits: Callable[[str], bool] = bool) -> str:
        """Wait for a line, and return it."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(map(fits, self.lines)), LIMIT), self.lines
            return next(filter(fits, self.lines))

    def close(self) -> None:
        for thread, stream in zip(self._threads, self._streams, strict=True):
            thread.join(LIMIT)
            stream.close()

    def _read(self, stream: Any) -> None:
        for line in stream:
            with self._changed:
                self.lines.append(line.decode("utf-8", "replace"))
                self._changed.notify_all()


def rows(printed: str) -> list[dict[str, Any]]:
    """Return the objects of lines of JSON."""
    return [json.loads(line) for line in printed.splitlines()]
