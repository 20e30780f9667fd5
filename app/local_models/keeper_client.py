"""A worker's side of the keeper: start it if there is none, lease models, ask for their state."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from app.extras import LOCAL
from app.local_models.errors import LocalModelsMissing, ModelLoadFailed, ModelLoading
from app.local_models.keeper_protocol import Channel, connect, socket_path
from app.local_models.states import DISCOVERED

if TYPE_CHECKING:
    from app.cancel import CancelToken

ANSWER_SECONDS = 5.0  # to connect; what is asked for may take as long as it takes
STATUS_SECONDS = 30.0  # but not the states: a keeper that stands still must not hold up every list
GRACE_SECONDS = 3.0  # without any worker, until the keeper ends
TRIES = 3  # to find a keeper that is not about to end


class Loaded(NamedTuple):
    """Where a loaded model answers in OpenAI's dialect, and the key it wants."""

    base_url: str
    key: str
    pid: int


class Status(NamedTuple):
    """What is known of a model; times are Unix seconds, `progress` is 0 to 1 while it loads."""

    name: str
    state: str = DISCOVERED
    reason: str | None = None
    progress: float | None = None
    memory_bytes: int | None = None
    active: int = 0
    last_used: float | None = None
    loaded_at: float | None = None


class KeeperClient:
    """Asks the keeper of one data folder. Safe for threads; each question has a connection of its own."""

    def __init__(self, folder: Path, memory: int, idle: float, grace: float = GRACE_SECONDS) -> None:
        """`memory` in bytes for all models, `idle` and `grace` in seconds (see keeper.Limits)."""
        self._folder = folder
        self._limits = {"memory": memory, "idle": idle, "grace": grace}
        self._lock = threading.Lock()
        self._presence: tuple[int, Channel] | None = None  # the process that said hello, and its connection
        self._started: subprocess.Popen[bytes] | None = None

    def load(self, order: dict[str, Any], wait: float) -> Loaded:
        """Load a model and let it go again at once; it stays loaded. Raises as `lease`."""
        with self.lease(order, wait, fresh=True) as loaded:
            return loaded

    @contextmanager
    def lease(
        self,
        order: dict[str, Any],
        wait: float,
        cancel: "CancelToken | None" = None,
        fresh: bool = False,
        lost: int | None = None,
    ) -> Iterator[Loaded]:
        """Keep a model loaded while the context lasts. `fresh`: try again at once what failed a moment ago.

        `lost` is the id of a process that did not answer: that one is not given out again.

        Raises ModelLoading after `wait` seconds, ModelLoadFailed, LocalModelsMissing.
        """
        if not is_installed():
            raise LocalModelsMissing
        channel = self._ask(op="lease", model=order, wait=wait, fresh=fresh, lost=lost)
        forget = cancel.on_cancel(channel.abort) if cancel is not None else lambda: None
        try:
            answer = channel.receive_if_any()
            forget()
            yield _loaded(order["name"], answer)
        finally:
            forget()
            channel.close()

    def unload(self, name: str) -> Status:
        """Unload a model when its running answers are done. Nothing happens to one that is not loaded."""
        return self._status("unload", name)

    def status(self, name: str) -> Status:
        """Return the state of one model; `discovered` for one that the keeper does not know."""
        return self._status("status", name)

    def statuses(self) -> list[Status]:
        """Return the states of all models that are loaded, loading or failed; starts no keeper."""
        return [Status(**found) for found in self._quick("status").get("models", ())]

    def close(self, wait: bool = False) -> None:
        """Leave the keeper, which ends when nobody is left. `wait` for that end, where this client started it."""
        self._leave()
        if wait and self._started is not None:
            self._started.wait()

    def _status(self, op: str, name: str) -> Status:
        found = self._quick(op, name=name).get("models", ())
        return next((Status(**model) for model in found), Status(name))

    def _quick(self, op: str, **message: Any) -> dict[str, Any]:
        """Ask a keeper that is there already; without one nothing is loaded."""
        try:
            channel = Channel(connect(socket_path(self._folder), ANSWER_SECONDS))
        except OSError:
            return {}
        try:
            if op == "status":
                channel.limit(STATUS_SECONDS)
            channel.send(op=op, **message)
            return channel.receive() or {}
        except OSError:
            return {}
        finally:
            channel.close()

    def _ask(self, **message: Any) -> Channel:
        """Ask the keeper. Raises ModelLoadFailed, ModelLoading."""
        for _ in range(TRIES):
            try:
                with self._lock:
                    self._be_present()
                channel = Channel(connect(socket_path(self._folder), ANSWER_SECONDS))
                channel.send(**message)
            except OSError:  # it was just about to end: the next one begins in its place
                with self._lock:
                    self._leave()
            else:
                return channel
        raise ModelLoading("The keeper of the local models stopped; ask again.", 1)

    def _leave(self) -> None:
        if self._presence is not None:
            self._presence[1].close()
            self._presence = None

    def _be_present(self) -> None:
        """Say hello once per process; the keeper lives as long as one of these connections does. Raises OSError."""
        if self._presence is not None and self._presence[0] == os.getpid() and self._presence[1].is_open():
            return
        self._leave()
        channel = Channel(self._connect_or_start())
        channel.send(op="hello")
        if channel.receive() is None:
            channel.close()
            raise ConnectionAbortedError("the keeper is ending")
        self._presence = (os.getpid(), channel)

    def _connect_or_start(self) -> socket.socket:
        path = socket_path(self._folder)
        with suppress(OSError):  # nobody there yet, or no longer
            return connect(path, ANSWER_SECONDS)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / "local-models.lock").open("w")
        except OSError as error:
            raise ModelLoadFailed(f"The folder {self._folder} cannot be written: {error.strerror}.") from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of several workers one starts it
            with suppress(OSError):
                return connect(path, ANSWER_SECONDS)
            self._start()
            return connect(path, ANSWER_SECONDS)

    def _start(self) -> None:
        """Start the keeper, apart from this process, and wait until it listens. Raises ModelLoadFailed."""
        log = self._folder / "local-models.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "app.local_models.keeper", str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=Path(__file__).resolve().parents[2],
                start_new_session=True,
            )
        assert process.stdin is not None and process.stdout is not None
        with process.stdin, process.stdout:
            process.stdin.write(json.dumps(self._limits).encode() + b"\n")
            process.stdin.flush()
            word = process.stdout.readline()
        self._started = process
        # It lives as long as any worker does, perhaps longer than this client: its end is awaited, so that no zombie stays.
        threading.Thread(target=process.wait, name="keeper-end", daemon=True).start()
        if word != b"ready\n":
            raise ModelLoadFailed(f"The keeper of the local models did not start; {log} says why.")


def is_installed() -> bool:
    """Tell whether the optional extra is there; it is never imported here."""
    return LOCAL.installed


@cache
def client_for(folder: str, memory: int, idle: float) -> KeeperClient:
    """Return this process's client for a data folder."""
    return KeeperClient(Path(folder), memory, idle)


def _loaded(name: str, answer: dict[str, Any] | None) -> Loaded:
    if answer is None:
        raise ModelLoading(f"The keeper of the local models stopped while `{name}` was loading; ask again.", 1)
    if answer["ok"]:
        return Loaded(f"http://127.0.0.1:{answer['port']}/v1", answer["key"], answer["pid"])
    if answer["kind"] == "failed":
        raise ModelLoadFailed(f"The model `{name}` cannot be loaded: {answer['reason']}.")
    progress = f" ({round(answer['progress'] * 100)} %)" if answer.get("progress") else ""
    raise ModelLoading(f"The model `{name}` is being loaded{progress}; ask again in a moment.")
