"""The one owner of all loaded models: `python -m app.local_models.keeper FOLDER`.

Workers ask it over a Unix socket (keeper_protocol.py) to load, lease and unload. It ends some seconds after the last
worker is gone. Its decisions are in states.py, its processes in host_process.py.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.local_models import states
from app.local_models.host_process import HostProcess
from app.local_models.keeper_protocol import Channel, listen, socket_path
from app.local_models.states import FAILED, LOADING, READY, UNLOADING, Life

COOL_DOWN = 10.0  # seconds in which a model that failed to load is not tried again by a mere request
TICK = 0.5
UNLOAD_SECONDS = 30.0  # running answers may finish


@dataclass
class Limits:
    """`memory` in bytes for all models together; seconds without use until a model is unloaded (`idle`, 0: never),
    and without any worker until the keeper ends (`grace`).
    """

    memory: int
    idle: float
    grace: float


class Hosted:
    """A model with its process; `life` is what is told of it."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.life = Life(order["name"], order["size"])
        self.process: HostProcess | None = None
        self.failed_at = 0.0
        self.again = False  # whether the load before this one failed


class Keeper:
    """Serves workers until none is left. One thread a connection, one a host; `_changed` guards everything."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder, self._limits = folder, limits
        self._changed = threading.Condition()
        self._models: dict[str, Hosted] = {}
        self._workers = 0
        self._alone_since = time.monotonic()
        self._stopping = False

    # --- what workers ask for ------------------------------------------------------------------------------------

    def serve(self, listener: socket.socket) -> None:
        """Answer connections until no worker was connected for a while, then end all hosts."""
        listener.settimeout(TICK)
        looked = 0.0
        while not self._done():
            if time.monotonic() - looked >= TICK:
                self._look_after()
                looked = time.monotonic()
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(None)
            threading.Thread(target=self._answer, args=(Channel(connection),), daemon=True).start()

    def stop(self) -> None:
        """End all hosts."""
        with self._changed:
            self._stopping = True
            hosted = list(self._models.values())
            self._changed.notify_all()
        for model in hosted:
            if model.process is not None:
                model.process.end()

    def _answer(self, channel: Channel) -> None:
        try:
            message = channel.receive()
            if message is not None:
                getattr(self, f"_on_{message.pop('op')}")(channel, **message)
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            print(f"keeper: a request failed: {error!r}", file=sys.stderr)
        finally:
            channel.close()

    def _on_hello(self, channel: Channel) -> None:
        """A worker is there for as long as this connection is open."""
        with self._changed:
            if self._stopping:
                return  # whoever came too late begins another keeper
            self._workers += 1
        try:
            channel.send(ok=True, pid=os.getpid())
            channel.wait_closed()
        finally:
            with self._changed:
                self._workers -= 1
                self._alone_since = time.monotonic()

    def _on_lease(
        self, channel: Channel, model: dict[str, Any], wait: float, fresh: bool = False, lost: int | None = None
    ) -> None:
        """Load a model if needed and keep it until the connection closes; answers {"ok", …}."""
        hosted, answer = self._lease(model, wait, fresh, lost)
        try:
            channel.send(**answer)
            if answer["ok"]:
                channel.wait_closed()
        finally:
            if answer["ok"]:
                self._release(hosted)

    def _on_unload(self, channel: Channel, name: str) -> None:
        self._unload(name)
        channel.send(ok=True, models=self._statuses(name))

    def _on_status(self, channel: Channel, name: str | None = None) -> None:
        channel.send(ok=True, models=self._statuses(name))

    # --- leases --------------------------------------------------------------------------------------------------

    def _lease(
        self, order: dict[str, Any], wait: float, fresh: bool, lost: int | None
    ) -> tuple[Hosted, dict[str, Any]]:
        until = time.monotonic() + wait
        with self._changed:
            while True:
                hosted = self._models.get(order["name"])
                if hosted is None or hosted.life.phase == FAILED:
                    if hosted is not None and not fresh and time.monotonic() - hosted.failed_at < COOL_DOWN:
                        return hosted, {"ok": False, "kind": "failed", "reason": hosted.life.reason}
                    hosted, fresh = self._begin(order), False
                elif hosted.life.phase == READY and hosted.process is not None and hosted.process.pid != lost:
                    return hosted, self._take(hosted, hosted.process)
                left = until - time.monotonic()
                if left <= 0 or self._stopping:
                    return hosted, {"ok": False, "kind": "loading", "progress": progress_of(hosted)}
                hosted.life.wanted += 1  # what was loaded for this request is not to leave before it came to it
                self._changed.wait(min(left, TICK))
                hosted.life.wanted -= 1

    def _take(self, hosted: Hosted, process: HostProcess) -> dict[str, Any]:
        hosted.life.leases += 1
        hosted.life.used = time.monotonic()
        return {"ok": True, "port": process.port, "key": process.key, "pid": process.pid}

    def _release(self, hosted: Hosted) -> None:
        with self._changed:
            hosted.life.leases -= 1
            hosted.life.used = time.monotonic()
            self._changed.notify_all()

    # --- loading and unloading -----------------------------------------------------------------------------------

    def _begin(self, order: dict[str, Any]) -> Hosted:
        before = self._models.get(order["name"])
        hosted = self._models[order["name"]] = Hosted(order)
        hosted.again = before is not None and before.life.phase == FAILED
        threading.Thread(target=self._load, args=(hosted,), daemon=True).start()
        return hosted

    def _load(self, hosted: Hosted) -> None:
        reason = self._wait_for_room(hosted) or self._start(hosted)
        with self._changed:
            if hosted.life.phase != LOADING:
                return  # unloaded before it was ready
            if reason is not None:
                self._fail(hosted, reason)
                if hosted.process is not None and hosted.process.killed and not hosted.again:
                    hosted.failed_at = 0.0  # by somebody: that says nothing of the file
                return
            hosted.life.phase = READY
            hosted.life.used = hosted.life.loaded = time.monotonic()
            self._changed.notify_all()
        self._watch(hosted)

    def _wait_for_room(self, hosted: Hosted) -> str | None:
        """Unload what is needed least until the model fits the budget. Returns why it never will, or None."""
        size = hosted.life.size
        if size > self._limits.memory:
            return f"it needs {size} bytes, all local models together may take {self._limits.memory}"
        with self._changed:
            while True:
                if self._stopping:
                    return "the gateway is stopping"
                if hosted.life.phase != LOADING:
                    return "it was unloaded"
                others = [other for other in self._models.values() if other is not hosted]
                leaving = states.make_room((other.life for other in others), size, self._limits.memory)
                if leaving is not None:
                    break
                self._changed.wait(TICK)
            # Set aside before others see it: two that wait for the same room would else wait for each other.
            hosted.life.has_room = True
            chosen = [other for other in others if any(other.life is life for life in leaving)]
            for other in chosen:
                other.life.phase = UNLOADING
        for other in chosen:
            self._finish(other)
        return None

    def _start(self, hosted: Hosted) -> str | None:
        """Start a model's process and wait until it is loaded. Returns None, or why it is not."""
        try:
            process = HostProcess(hosted.order, self._folder / "local-models" / f"{safe(hosted.life.name)}.log")
        except OSError as error:
            return f"its process cannot be started: {error}"
        with self._changed:
            hosted.process = process
            unloaded = hosted.life.phase != LOADING
        if unloaded:  # by somebody who saw no process yet
            process.end()
            return "it was unloaded"
        return process.wait_ready()

    def _watch(self, hosted: Hosted) -> None:
        """Wait for the process to end; unless it was asked to, the model has failed."""
        assert hosted.process is not None
        words = hosted.process.last_words()
        with self._changed:
            if hosted.life.phase == READY and not self._stopping:
                self._fail(hosted, words)
                hosted.failed_at = 0.0  # it worked before: the next request loads it again at once

    def _fail(self, hosted: Hosted, reason: str) -> None:
        hosted.life.phase, hosted.life.reason = FAILED, reason
        hosted.life.memory, hosted.failed_at = 0, time.monotonic()
        self._changed.notify_all()
        print(f"keeper: {hosted.life.name}: {reason}", file=sys.stderr, flush=True)

    def _unload(self, name: str) -> None:
        """Let running answers finish, then end the process. Nothing happens to a model that is not loaded."""
        with self._changed:
            hosted = self._models.get(name)
            if hosted is None:
                return
            if hosted.life.phase == UNLOADING:  # somebody else does it
                self._changed.wait_for(lambda: self._models.get(name) is not hosted)
                return
            hosted.life.phase = UNLOADING
        self._finish(hosted)

    def _finish(self, hosted: Hosted) -> None:
        """End a model that is UNLOADING, when its running answers are done."""
        name = hosted.life.name
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: not hosted.life.leases, UNLOAD_SECONDS)
        if hosted.process is not None:
            hosted.process.end()
        with self._changed:
            if self._models.get(name) is hosted:
                del self._models[name]
            self._changed.notify_all()

    # --- looking after -------------------------------------------------------------------------------------------

    def _look_after(self) -> None:
        """Measure, and unload what nobody used for long."""
        now, idle = time.monotonic(), []
        with self._changed:
            for hosted in self._models.values():
                if hosted.process is not None and hosted.life.phase != FAILED:
                    hosted.life.memory = hosted.process.memory()
                    if states.is_out_of_hand(hosted.life, self._limits.memory):
                        most = f"all local models together may take {self._limits.memory}"
                        self._fail(hosted, f"its process took {hosted.life.memory} bytes, {most}")
                        hosted.process.kill()
                if states.is_idle(hosted.life, now, self._limits.idle):
                    hosted.life.phase = UNLOADING
                    idle.append(hosted)
        for hosted in idle:
            threading.Thread(target=self._finish, args=(hosted,), daemon=True).start()

    def _statuses(self, name: str | None) -> list[dict[str, Any]]:
        now = time.monotonic()
        with self._changed:
            chosen = [model for model in self._models.values() if name in (None, model.life.name)]
            return [self._told(hosted, now) for hosted in chosen]

    def _told(self, hosted: Hosted, now: float) -> dict[str, Any]:
        life = hosted.life
        if hosted.process is not None and life.phase != FAILED:
            life.memory = hosted.process.memory()
        wall = time.time() - now
        return {
            "name": life.name,
            "state": life.state,
            "reason": life.reason,
            "progress": progress_of(hosted),
            "memory_bytes": life.memory or None,
            "active": life.leases,
            "last_used": wall + life.used if life.used else None,
            "loaded_at": wall + life.loaded if life.loaded else None,
        }

    def _done(self) -> bool:
        with self._changed:
            if not self._workers and time.monotonic() - self._alone_since > self._limits.grace:
                self._stopping = True
            return self._stopping


def progress_of(hosted: Hosted) -> float | None:
    """Return how much of a loading model is in memory, 0 to 1; llama.cpp's server itself tells nothing."""
    if hosted.life.phase != LOADING:
        return None
    if hosted.process is None or not hosted.life.size:
        return 0.0
    return round(min(0.99, hosted.process.memory() / hosted.life.size), 2)


def safe(name: str) -> str:
    """Return a model's name as a file name."""
    return "".join(character if character.isalnum() or character in "._-" else "_" for character in name)[:100]


def main() -> None:
    folder = Path(sys.argv[1])
    limits = Limits(**json.loads(sys.stdin.readline()))
    keeper = Keeper(folder, limits)
    path = socket_path(folder)
    listener = listen(path)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(keeper, "_stopping", True))
    print("ready", flush=True)  # whoever started this waits for it
    try:
        keeper.serve(listener)
    finally:
        path.unlink(missing_ok=True)  # before the port is closed: the next keeper's must not go
        listener.close()
        keeper.stop()


if __name__ == "__main__":
    main()
