"""What one request is measured by: the seconds of its parts, the gaps between its writes, retries, how it ended.

Filled on the path by the one thread that serves the request, read once when it is over. It knows no metric and no label.
"""

import threading
import time
from bisect import bisect_left
from itertools import pairwise
from typing import Any

# What the time goes to. A lap ends a part: the time since the lap before it was this part's.
READ, PREPARE, ENGINE, UPSTREAM, REPAIR, FORMAT, WRITE = range(7)
GAP_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds
MOST_WRITES = 4096  # whose times are kept; then they are counted

_clock = time.perf_counter


class Measures:
    """`seconds` by part; `first` is the time to the first write, None before it; `error` the class that ended it.

    `queued` are the seconds it waited for a thread, None where nobody knows.
    """

    __slots__ = ("_gap_counts", "_gap_seconds", "_last", "_writes", "_zero", "cancelled", "error", "first", "queued",
                 "retries", "seconds", "usage")  # fmt: skip

    def __init__(self, zero: float) -> None:
        """Begin at `zero`, a time of time.perf_counter."""
        self._zero = self._last = zero
        self.seconds = [0.0] * 7
        self.first: float | None = None
        self.queued: float | None = None
        self.error: str | None = None
        self.usage: dict[str, Any] | None = None
        self.cancelled = False
        self.retries: list[str] = []
        self._writes: list[float] = []
        self._gap_counts: list[int] | None = None
        self._gap_seconds = 0.0

    def take_usage(self, counts: dict[str, Any]) -> None:
        """Keep the `usage` of an answer whose client did not ask for it."""
        self.usage = counts

    def lap(self, part: int) -> None:
        """Say that the time since the last lap went to `part`."""
        now = _clock()
        self.seconds[part] += now - self._last
        self._last = now

    def written(self, silent: bool) -> None:
        """Say that a write is ready to leave; a `silent` one (a comment, the closing mark) brings nothing new."""
        now = _clock()
        self.seconds[FORMAT] += now - self._last
        self._last = now
        if silent:
            return
        if self.first is None:
            self.first = now - self._zero
        self._writes.append(now)
        if len(self._writes) > MOST_WRITES:
            self._count_gaps()

    @property
    def elapsed(self) -> float:
        """Seconds since the request began."""
        return _clock() - self._zero

    def gaps(self) -> tuple[list[int], float] | None:
        """Return how many gaps between writes fell below each of GAP_BOUNDS and above the last, and their sum."""
        if len(self._writes) > 1:
            self._count_gaps()
        return None if self._gap_counts is None else (self._gap_counts, self._gap_seconds)

    def _count_gaps(self) -> None:
        counts = self._gap_counts = self._gap_counts or [0] * (len(GAP_BOUNDS) + 1)
        for before, after in pairwise(self._writes):
            counts[bisect_left(GAP_BOUNDS, after - before)] += 1
        self._gap_seconds += self._writes[-1] - self._writes[0]
        del self._writes[:-1]


class _Waited(threading.local):
    seconds: float | None = None


_waited = _Waited()


def wait_over(seconds: float) -> None:
    """Say that the connection which this thread now serves waited for it so long."""
    _waited.seconds = seconds


def take_wait() -> float | None:
    """Return what `wait_over` said of the request that begins now, once."""
    seconds, _waited.seconds = _waited.seconds, None
    return seconds
