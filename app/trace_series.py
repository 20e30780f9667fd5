"""Numbers over time from stored requests, for plots: counts, tokens, times and repairs by bucket. Knows SQL, no HTTP."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from app.trace_reader import read_or_raise

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from app.store import Store

MOST_BUCKETS, MOST_MINUTES = 1_500, 60 * 24 * 366
ASK = """SELECT started, status, error, repairs, prompt_tokens, completion_tokens, ttft, duration, cost FROM traces
WHERE started >= :since AND started < :until ORDER BY started"""


def series(store: "Store", minutes: float, bucket: float, clock: Callable[[], float] = time.time) -> list[dict[str, Any]]:
    """Return one entry for each `bucket` seconds of the last `minutes`, oldest first, empty ones too.

    Raises ValueError for a range or bucket that cannot be drawn, StoreUnavailable.
    """
    if not 0 < minutes <= MOST_MINUTES or not bucket > 0 or minutes * 60 / bucket > MOST_BUCKETS:
        raise ValueError(f"at most {MOST_BUCKETS} buckets within {MOST_MINUTES} minutes can be asked for")
    until = (clock() // bucket + 1) * bucket
    count = max(1, round(minutes * 60 / bucket))
    since = until - count * bucket

    def query(connection: "Connection") -> list[Any]:
        from app.database import statement

        return list(connection.execute(statement(ASK), {"since": since, "until": until}))

    groups: list[list[Any]] = [[] for _ in range(count)]
    for row in read_or_raise(store, query):
        groups[min(count - 1, int((row[0] - since) // bucket))].append(row)
    return [_bucket(since + number * bucket, rows) for number, rows in enumerate(groups)]


def _bucket(at: float, rows: Sequence[Any]) -> dict[str, Any]:
    columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * 9
    _, statuses, errors, reports, prompt, completion, ttft, duration, cost = columns
    failed = sum(error is not None or (status or 0) >= 400 for status, error in zip(statuses, errors, strict=True))
    first, last = _percentiles(ttft), _percentiles(duration)
    return {
        "at": at,
        "requests": len(rows),
        "errors": failed,
        "repaired": sum(bool(report) for report in reports),
        "prompt_tokens": sum(filter(None, prompt)),
        "completion_tokens": sum(filter(None, completion)),
        "cost": sum(filter(None, cost)),
        "ttft_p50": first[0],
        "ttft_p95": first[1],
        "duration_p50": last[0],
        "duration_p95": last[1],
        "repairs": dict(_count_rules(reports)),
    }


def _percentiles(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Return the middle value, and the one that 95 of 100 stay at or under; None where there are none."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None, None
    return known[(len(known) - 1) // 2], known[max(0, -(-95 * len(known) // 100) - 1)]


def _count_rules(reports: Sequence[str | None]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for report in filter(None, reports):
        for entry in report.split(","):
            rule, _, number = entry.partition("=")
            number = number.partition(";")[0]
            if rule and number.isdecimal():
                counts[rule] += int(number)
    return counts
