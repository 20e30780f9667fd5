"""Counts, tokens, times and repairs by bucket."""

import pytest

from app.store import Store
from app.trace_reader import StoreUnavailable
from app.trace_series import MOST_BUCKETS, series
from tests.traces import NOW, put, row, store

__all__ = ["store"]
END = NOW // 60 * 60 + 60  # of the bucket that NOW is in


def ask(store, minutes=3, bucket=60):
    return series(store, minutes, bucket, clock=lambda: NOW)


def test_empty_buckets_are_there_too(store):
    found = ask(store)
    assert [entry["at"] for entry in found] == [END - 180, END - 120, END - 60]
    empty = {"requests": 0, "errors": 0, "repaired": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost": 0}
    empty |= {"ttft_p50": None, "ttft_p95": None, "duration_p50": None, "duration_p95": None, "repairs": {}}
    assert all({name: value for name, value in entry.items() if name != "at"} == empty for entry in found)


def test_what_happened_is_summed_up_where_it_happened(store):
    rows = [
        row("out", END - 180.5),
        row("a", END - 180, repairs="x.y=2,z=1;more", prompt_tokens=5, cost=0.5),
        row("b", END - 120.5, repairs="z=3,odd,=4,w=x", prompt_tokens=7, completion_tokens=1, cost=0.25),
        row("c", END - 59, status=500),
        row("d", END - 58, error="The client went away."),
        row("e", END - 57, status=None, duration=None),
        row("later", END),
    ]
    put(store, rows)
    first, second, third = ask(store)
    assert [entry["requests"] for entry in (first, second, third)] == [2, 0, 3]
    assert first["repaired"] == 2 and first["repairs"] == {"x.y": 2, "z": 4}
    assert (first["prompt_tokens"], first["completion_tokens"], first["cost"]) == (12, 1, 0.75)
    assert (first["errors"], third["errors"]) == (0, 2)


def test_percentiles(store):
    put(store, [row(f"t{at:03}", END - 30, ttft=at / 100, duration=float(at)) for at in range(1, 101)])
    last = ask(store)[-1]
    assert (last["ttft_p50"], last["ttft_p95"], last["duration_p50"], last["duration_p95"]) == (0.5, 0.95, 50, 95)


@pytest.mark.parametrize(("minutes", "bucket"), ((0, 60), (-1, 60), (60, 0), (60, -1), (10**9, 10**9), (MOST_BUCKETS + 1, 60)))
def test_what_cannot_be_drawn_is_refused(store, minutes, bucket):
    with pytest.raises(ValueError, match="at most"):
        ask(store, minutes, bucket)


def test_a_database_that_is_gone_is_told(tmp_path):
    (tmp_path / "gateway.db").write_bytes(b"x" * 10_000)
    broken = Store(None, tmp_path)
    with pytest.raises(StoreUnavailable, match="not a database"):
        ask(broken)
    broken.close()
