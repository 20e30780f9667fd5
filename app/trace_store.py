"""Stores finished requests, and those that take long while they run: a sink of traces that only puts them in a queue.

A thread of its own masks and packs them and hands them to the database's thread in batches. The queue is bounded in
number and in bytes; what does not fit, and what the database does not take, is counted in `dropped` and forgotten.
"""

import atexit
import os
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from app.errors import log
from app.lifecycle import instance
from app.trace_packing import Packer
from app.trace_retention import Retention
from app.trace_rows import COLUMNS, OFF, Part, Row, row_of, rows_of

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Connection

    from app.config import Settings
    from app.store import Store
    from app.trace import Trace

MOST_WAITING, MOST_BYTES = 5_000, 64_000_000  # traces, and what they hold
BATCH, BATCH_BYTES = 100, 16_000_000  # traces packed before they are handed on, and what they hold
PATIENCE = 30.0  # seconds the database's thread gets for one batch
LINGER = 0.05  # seconds more that are waited for others: one transaction for many is cheaper
SHOWN_AFTER, SHOWN_EVERY = 0.4, 5.0  # seconds until a running request is stored, and until that is brought up to date
FIRST_PRUNE, PRUNE_EVERY, PRUNE_AGAIN = 10.0, 60.0, 0.1  # seconds

LOOKS = ("GET", "HEAD", "OPTIONS")  # not stored, unless they fail

_CHANGES = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name != "id")
PUT = f"INSERT INTO traces ({', '.join(COLUMNS)}) VALUES %s ON CONFLICT (id) DO UPDATE SET {_CHANGES}"
PUT_PART = """INSERT INTO trace_parts (trace_id, part, data) VALUES %s
ON CONFLICT (trace_id, part) DO UPDATE SET data = excluded.data"""


class TraceStore:
    """A sink (see app.trace.Sink). `server` tells servers that share a database apart."""

    live = False

    def __init__(self, store: "Store", depth: str, retention: Retention, server: str) -> None:
        self.depth, self.retention = depth, retention
        self._store, self._server = store, server
        self._reset()

    def _reset(self) -> None:
        """Begin as in a new process."""
        self.dropped = 0
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._queue: deque[tuple[Trace, int]] = deque()
        self._bytes = 0
        self._running: dict[str, weakref.ref[Trace]] = {}
        self._shown: dict[str, float] = {}
        self._wake, self._hurry, self._idle = threading.Event(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._ended = False
        self._packer = Packer()
        self._next_prune = 0.0
        self._last = _Write(self, [], [])
        self._last.done.set()

    # --- called by requests ------------------------------------------------------------------------------------------

    def note(self, trace: "Trace", station: str, value: Any) -> None: ...
    def raw(self, trace: "Trace", events: list[Any]) -> None: ...
    def emitted(self, trace: "Trace", events: list[Any]) -> None: ...

    def begun(self, trace: "Trace") -> None:
        """Watch a request, so that it is shown while it runs."""
        if self._process != os.getpid():
            self._reset()
        if not self._running:
            self._running[trace.id] = weakref.ref(trace)
            self._begin()
            self._wake.set()
        else:
            self._running[trace.id] = weakref.ref(trace)

    def finished(self, trace: "Trace") -> None:
        """Have a request stored, if it asked for more than to look; returns at once."""
        self._running.pop(trace.id, None)
        status = trace.facts.get("status")
        if trace.facts["method"] in LOOKS and isinstance(status, int) and status < 400:
            return
        weight = trace.weight
        with self._lock:
            fits = len(self._queue) < MOST_WAITING and (self._bytes + weight <= MOST_BYTES or not self._queue)
            if fits:
                self._bytes += weight
                self._queue.append((trace, weight))
        if not fits:
            self.drop(1)
        elif not self._wake.is_set():
            self._begin()
            self._wake.set()

    def drop(self, number: int) -> None:
        """Count traces that were not stored."""
        with self._lock:
            first = self.dropped == 0
            self.dropped += number
        if first:
            log.warning("requests are not stored: the database is too slow or cannot be used")

    def flush(self, seconds: float) -> bool:
        """Wait until all that finished before is stored or lost, at most `seconds`; tell whether that was reached."""
        deadline = time.monotonic() + seconds
        self._hurry.set()
        try:
            while self._thread is not None and self._thread.is_alive():
                self._idle.clear()
                self._wake.set()
                if not self._idle.wait(max(0.0, deadline - time.monotonic())):
                    return False
                if not self._queue:
                    break
        finally:
            self._hurry.clear()
        return self._store.flush(max(0.0, deadline - time.monotonic()))

    def finish(self) -> None:
        """Hand on what waits: the process ends. The store writes it then."""
        self.flush(1.0)

    def close(self, seconds: float = 2.0) -> None:
        """Hand on what waits and end the thread; the next request begins another."""
        self.flush(seconds)
        atexit.unregister(self.finish)
        thread, self._ended = self._thread, True
        self._wake.set()
        if thread is not None:
            self._hurry.set()
            thread.join(seconds)
        self._reset()

    # --- the thread --------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._store.begin()
                thread = threading.Thread(target=self._run, name="trace-writer", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads, or the interpreter is ending
                    return
                self._thread = thread
                atexit.register(self.finish)  # before the store's own, which was registered before

    def _run(self) -> None:
        while not self._ended:
            self._wake.wait(SHOWN_AFTER if self._running else None)
            self._hurry.wait(LINGER)
            self._wake.clear()
            try:
                while self._queue:
                    self._store_batch()
                self._show_running()
            except Exception as error:  # the rim of this thread: a bug with one trace must not end all later ones
                self.drop(1)
                log.error("bug in storing traces", exc_info=error)
            self._idle.set()

    def _store_batch(self) -> None:
        rows: list[Row] = []
        parts: list[Part] = []
        taken = 0
        try:
            while self._queue and (not rows or (len(rows) < BATCH and taken + self._queue[0][1] <= BATCH_BYTES)):
                trace, weight = self._queue.popleft()
                taken += weight
                self._shown.pop(trace.id, None)
                row, its_parts = rows_of(trace, self.depth, self._server, self._packer)
                rows.append(row)
                parts += its_parts
        finally:
            with self._lock:
                self._bytes -= taken
            self._submit(rows, parts)

    def _show_running(self) -> None:
        now, rows = time.monotonic(), []
        for identifier, weak in list(self._running.items()):
            trace = weak()
            if trace is None:
                self._running.pop(identifier, None)
            elif trace.clock()()[0] >= SHOWN_AFTER and now >= self._shown.get(identifier, 0.0):
                self._shown[identifier] = now + SHOWN_EVERY
                rows.append(row_of(trace, self.depth, self._server, over=False))
        for identifier in [known for known in self._shown if known not in self._running]:
            del self._shown[identifier]
        if rows:
            self._submit(rows, [])

    def _submit(self, rows: list[Row], parts: list[Part]) -> None:
        if rows:
            self._last.done.wait(PATIENCE)  # what waits for a slow database waits here, where it is bounded
            self._last = _Write(self, rows, parts)
            if not self._store.submit(self._last):
                self._last.lost()
        if rows and time.monotonic() >= self._next_prune:
            first = self._next_prune == 0.0
            self._next_prune = time.monotonic() + PRUNE_EVERY
            self._store.submit(self._prune, FIRST_PRUNE if first else 0.0)

    def _prune(self, connection: "Connection") -> None:
        if self.retention.prune(connection):
            self._store.submit(self._prune, PRUNE_AGAIN)


class _Write:
    """A job of the database's thread."""

    def __init__(self, owner: TraceStore, rows: list[Row], parts: list[Part]) -> None:
        self._owner, self._rows, self._parts = owner, rows, parts
        self.done = threading.Event()

    def __call__(self, connection: "Connection") -> None:
        from app.database import insert_many

        self.done.set()
        insert_many(connection, PUT, [tuple(row.values()) for row in self._rows])
        insert_many(connection, PUT_PART, self._parts)

    def lost(self) -> None:
        self.done.set()
        self._owner.drop(len(self._rows))


def init_app(app: "Flask") -> None:
    """Store what `app` serves, as the settings say; `app.extensions["trace_store"]` is None where nothing is stored."""
    sink = open_trace_store(app.extensions["store"], app.extensions["settings_store"].current, instance)
    app.extensions["trace_store"] = sink
    if sink is not None:
        app.extensions["trace_sinks"] = (*app.extensions["trace_sinks"], sink)


def open_trace_store(store: "Store", settings: "Settings", server: str) -> TraceStore | None:
    """Return the sink that the settings describe, None where nothing is stored."""
    if settings.trace == OFF:
        return None
    return TraceStore(store, settings.trace, Retention(settings.trace_days, settings.trace_count, settings.trace_size), server)
