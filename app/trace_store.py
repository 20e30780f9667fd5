"""Stores finished requests, and those that take long while they run: a sink of traces that only puts them in a queue.

A thread sends them to a process of its own (app.trace_writer), which masks, packs and writes: an answer waits for none of
that. The queue is bounded in number and in bytes; what does not fit, and what the database does not take, is counted in
`dropped` and forgotten.
"""

import atexit
import contextlib
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from app.errors import log
from app.lifecycle import instance
from app.trace_process import WriterProcess
from app.trace_record import NOTES, OFF, PIECES, Record, encode, record_of

if TYPE_CHECKING:
    from flask import Flask

    from app.config import Settings
    from app.trace import Trace

MOST_WAITING, MOST_BYTES = 5_000, 64_000_000  # traces, and what they hold
LINGER = 0.01  # seconds more that are waited for others: one write for many is cheaper
LISTEN, LISTEN_EVERY = 10.0, 1.0  # seconds after a write in which the process may say that it failed; between two looks
SHOWN_AFTER, SHOWN_EVERY = 0.4, 5.0  # seconds until a running request is stored, and until that is brought up to date
WATCHED_EVERY = 1.0  # the same while somebody looks, for each WATCHED_BYTES that are to be stored
WATCHED_BYTES, WATCHED_MOST = 500_000, 4_000_000  # with more than these a running request is stored without its parts
FLUSH_WAIT, EXIT_WAIT = 10.0, 2.0  # seconds
TOO_SLOW = "writing them takes too long"
LOOKS = ("GET", "HEAD", "OPTIONS")  # not stored, unless they fail


class Shown(NamedTuple):
    """When a running request was stored last (time.monotonic), and which of its notes are stored."""

    at: float
    notes: object


class TraceStore:
    """A sink (see app.trace.Sink). `order` is what the writing process is told (see app.trace_writer.open_writer)."""

    live = False

    def __init__(self, depth: str, order: dict[str, Any]) -> None:
        self.depth, self._order = depth, order
        self.on_loss: Callable[[], None] = lambda: None  # called when `dropped` has grown
        self.is_watched: Callable[[], bool] = lambda: False  # running requests are stored with their parts
        self._reset()

    def _reset(self) -> None:
        """Begin as in a new process. What ran before a fork belongs to the parent."""
        self._lost = 0
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._queue: deque[tuple[Trace, int]] = deque()
        self._bytes = 0
        self._running: dict[str, weakref.ref[Trace]] = {}
        self._shown: dict[str, Shown] = {}
        self._wake, self._hurry = threading.Event(), threading.Event()
        self._flushes: list[threading.Event] = []
        self._thread: threading.Thread | None = None
        self._ended = False
        self._known_losses, self._listening = 0, 0.0  # until when
        self._why_lost: str | None = None  # as long as requests are lost: what the log was told
        self._lost_before = 0  # when that was over last
        self._process = WriterProcess(self._order)

    @property
    def dropped(self) -> int:
        """How many requests could not be stored."""
        return self._lost + self._process.dropped

    @property
    def problem(self) -> str | None:
        """Why they cannot be written, or None."""
        return self._process.problem

    @property
    def pid(self) -> int | None:
        """The process that writes, if one runs."""
        return self._process.pid

    # --- called by requests ------------------------------------------------------------------------------------------

    def note(self, trace: "Trace", station: str, value: Any) -> None: ...
    def raw(self, trace: "Trace", events: list[Any]) -> None: ...
    def emitted(self, trace: "Trace", events: list[Any]) -> None: ...

    def begun(self, trace: "Trace") -> None:
        """Watch a request, so that it is shown while it runs."""
        if self._pid != os.getpid():
            self._reset()
        first = not self._running
        self._running[trace.id] = weakref.ref(trace)
        if first:
            self._begin()
            self._wake.set()

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
            else:
                self._lost += 1
        if not self._wake.is_set():
            self._begin()
            self._wake.set()

    def flush(self, seconds: float) -> bool:
        """Wait until all that finished before is stored or lost, at most `seconds`; tell whether that was reached."""
        if self._thread is None or not self._thread.is_alive():
            return not self._queue
        done = threading.Event()
        with self._lock:
            self._flushes.append(done)
        self._hurry.set()
        self._wake.set()
        return done.wait(seconds)

    def finish(self) -> None:
        """Hand on what waits: this process ends."""
        self.flush(EXIT_WAIT)

    def close(self, seconds: float = FLUSH_WAIT) -> None:
        """Have all stored, and end thread and process; the next request begins others."""
        self.flush(seconds)
        atexit.unregister(self.finish)
        thread, self._ended = self._thread, True
        self._hurry.set()
        self._wake.set()
        if thread is not None:
            thread.join(seconds)
        self._process.close(seconds)
        self._reset()

    # --- the thread --------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="trace-sender", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads, or the interpreter is ending
                    return
                self._thread = thread
                atexit.register(self.finish)

    def _run(self) -> None:
        while not self._ended:
            self._wake.wait(SHOWN_AFTER if self._running else self._patience())
            self._hurry.wait(LINGER)
            with self._lock:
                self._wake.clear()
                self._hurry.clear()
                flushes, self._flushes = self._flushes, []
            try:
                while self._process.hear():
                    pass
                while self._queue:
                    self._send_oldest()
                for record in self._news():
                    self._process.send(encode(record), count=False)
                self._process.push()
                if flushes:
                    self._process.flush(FLUSH_WAIT)
            except Exception as error:  # the rim of this thread: a bug with one trace must not end all later ones
                self._lost += 1
                log.error("bug in storing requests", exc_info=error)
            self._tell()
            for done in flushes:
                done.set()

    def _patience(self) -> float | None:
        """Return how long to wait for requests before the process is listened to."""
        return LISTEN_EVERY if time.monotonic() < self._listening else None

    def _send_oldest(self) -> None:
        """Send the trace that waited longest."""
        self._listening = time.monotonic() + LISTEN
        trace, weight = self._queue.popleft()
        with self._lock:
            self._bytes -= weight
        self._shown.pop(trace.id, None)
        self._process.send(encode(record_of(trace, self.depth)))

    def _news(self) -> list[Record]:
        """Return records of requests that have been running for a while."""
        now, records = time.monotonic(), []
        watched = bool(self._running) and self.is_watched()
        for identifier, weak in list(self._running.items()):
            trace = weak()
            if trace is None:
                self._running.pop(identifier, None)
                continue
            shown = self._shown.get(identifier) or Shown(float("-inf"), None)
            pause = min(SHOWN_EVERY, WATCHED_EVERY * (1 + trace.weight // WATCHED_BYTES)) if watched else SHOWN_EVERY
            if trace.clock()()[0] < SHOWN_AFTER or now < shown.at + pause:
                continue
            with contextlib.suppress(RuntimeError):  # the request is just adding to what is read here: next time
                record, notes = _so_far(trace, self.depth, shown.notes, watched)
                records.append(record)
                self._shown[identifier] = Shown(now, notes)
        for identifier in [known for known in self._shown if known not in self._running]:
            del self._shown[identifier]
        return records

    def _tell(self) -> None:
        dropped, problem = self.dropped, self.problem
        if dropped != self._known_losses:
            self._known_losses = dropped
            self.on_loss()
        if self._why_lost is None and dropped > self._lost_before:
            self._why_lost = problem or TOO_SLOW
            log.warning("requests are not stored: %s", self._why_lost)
        elif self._why_lost not in (None, TOO_SLOW) and problem is None:
            log.warning("requests are stored again; %d were not", dropped - self._lost_before)
            self._why_lost, self._lost_before = None, dropped


def _so_far(trace: "Trace", depth: str, stored: object, watched: bool) -> tuple[Record, object]:
    """Return what there is of a running request; where somebody looks, with its chunks, and notes if others are stored."""
    if not watched or trace.weight > WATCHED_MOST:
        return record_of(trace, depth, over=False, parts=()), stored
    report = trace.facts.get("repairs")
    notes = (trace.noted_count, report.header() if hasattr(report, "header") else None)
    return record_of(trace, depth, over=False, parts=(PIECES,) if notes == stored else (NOTES, PIECES)), notes


def init_app(app: "Flask") -> None:
    """Store what `app` serves, as the settings say; `app.extensions["trace_store"]` is None where nothing is stored."""
    sink = open_trace_store(app.extensions["settings_store"].current, instance)
    app.extensions["trace_store"] = sink
    if sink is not None:
        app.extensions["trace_sinks"] = (*app.extensions["trace_sinks"], sink)


def open_trace_store(settings: "Settings", server: str) -> TraceStore | None:
    """Return the sink that the settings describe, None where nothing is stored."""
    if settings.trace == OFF:
        return None
    order = {"url": settings.database_url, "folder": str(settings.data_dir), "server": server, "days": settings.trace_days,
             "count": settings.trace_count, "size": settings.trace_size}  # fmt: skip
    return TraceStore(settings.trace, order)
