"""Counts repairs by rule and model: of this process exactly, of all workers through the shared database.

Each process writes its own totals about once a second while they change, so a failed write is made good by the next.
"""

import os
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from app.quirks.rule import FIX, WARN
from app.store import Store

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from app.quirks.report import Report

FLUSH_AFTER = 1.0  # seconds
MOST_KEYS = 5_000  # combinations of rule and model; more are counted under the model OTHER
OTHER = "other"
KEPT = 30 * 86_400.0  # seconds the totals of processes that ended are kept

PUT = """INSERT INTO repairs (server, process, rule, model, mode, count, updated)
VALUES (:server, :process, :rule, :model, :mode, :count, :updated) ON CONFLICT (server, process, rule, model, mode)
DO UPDATE SET count = excluded.count, updated = excluded.updated"""
FORGET_OLD = "DELETE FROM repairs WHERE updated < :since"
SUM = "SELECT rule, model, mode, sum(CASE WHEN server = :server THEN count ELSE 0 END), sum(count) FROM repairs " \
    "GROUP BY rule, model, mode"


class Key(NamedTuple):
    """What is counted apart; `mode` is fix for repairs made, warn for those that were only noted."""

    rule: str
    model: str
    mode: str


class Sums(NamedTuple):
    """Repairs since this server started, and of all servers that share the database within the last 30 days."""

    here: Counter[Key]
    everywhere: Counter[Key]
    all_workers: bool  # False: the database cannot be used, so `here` is this worker alone


class RepairCounts:
    """The repairs of this process. `server` is the same for all workers of one server."""

    def __init__(self, store: Store, server: str) -> None:
        self.since = time.time()
        self._store, self._server = store, server
        self._lock = threading.Lock()
        self._totals: Counter[Key] = Counter()
        self._changed: set[Key] = set()
        self._next_write = 0.0
        self._process = ""

    def add(self, report: "Report", model: str) -> None:
        """Count what one request needed; call it once, at the request's end."""
        if not report.counts and not report.warnings:
            return
        with self._lock:
            for mode, counts in ((FIX, report.counts), (WARN, report.warnings)):
                for rule, number in counts.items():
                    key = Key(rule, model, mode)
                    if key not in self._totals and len(self._totals) >= MOST_KEYS:
                        key = Key(rule, OTHER, mode)
                    self._totals[key] += number
                    self._changed.add(key)
            now = time.monotonic()
            due = now >= self._next_write
            if due:
                self._next_write = now + FLUSH_AFTER
        if due:
            self._store.submit(self._write, FLUSH_AFTER)

    def totals(self) -> Counter[Key]:
        """Return a copy of what this process counted: for metrics, which gather the workers themselves."""
        with self._lock:
            return Counter(self._totals)

    def sums(self) -> Sums:
        """Return what all workers counted; others' last second may be missing."""
        self._store.submit(self._write)
        self._store.flush(0.5)
        rows = self._store.read(self._sum, None)
        if rows is None:
            own = self.totals()
            return Sums(own, own, False)
        keyed = [(Key(*row[:3]), row[3], row[4]) for row in rows]
        return Sums(Counter({k: int(n) for k, n, _ in keyed if n}), Counter({k: int(n) for k, _, n in keyed}), True)

    def _sum(self, connection: "Connection") -> list:
        from app.database import statement

        return list(connection.execute(statement(SUM), {"server": self._server}))

    def _write(self, connection: "Connection") -> None:
        from app.database import statement

        now, first = time.time(), not self._process.startswith(f"{os.getpid()}.")
        if first:
            self._process = f"{os.getpid()}.{time.time_ns()}"
            connection.execute(statement(FORGET_OLD), {"since": now - KEPT})
        with self._lock:
            # After a failed write all totals are written again: what that one held is not known any more.
            keys = list(self._totals) if self._store.problem else list(self._changed)
            rows = [key._asdict() | {"count": self._totals[key]} for key in keys]
            self._changed.clear()
        if rows:
            common = {"server": self._server, "process": self._process, "updated": now}
            connection.execute(statement(PUT), [row | common for row in rows])
