"""The oldest requests go first: by age, by number, by size; their parts go with them."""

from app import trace_retention
from app.trace_retention import DAY, Retention
from tests.traces import NOW, WAIT, names, put, row, store

__all__ = ["store"]


def retention(days=1000.0, count=1000, size=10**9):
    return Retention(days, count, size, clock=lambda: NOW)


def prune(store, kept):
    found = []
    assert store.submit(lambda connection: found.append(kept.prune(connection))) and store.flush(WAIT)
    return found[0]


def fill(store, number, **fields):
    rows = [row(f"t{at}", NOW - (number - at) * DAY, **fields) for at in range(number)]
    put(store, rows, [(each["id"], "notes", b"x") for each in rows])


def left(store):
    parts = names(store, "SELECT trace_id FROM trace_parts ORDER BY trace_id")
    assert parts == names(store)
    return parts


def test_what_fits_is_kept(store):
    fill(store, 5, size=10)
    assert prune(store, retention(days=6, count=5, size=50)) is False
    assert len(left(store)) == 5


def test_what_is_too_old_goes(store):
    fill(store, 5)  # five days old to one day old
    assert prune(store, retention(days=2.5)) is True
    assert left(store) == ["t3", "t4"] and prune(store, retention(days=2.5)) is False


def test_what_is_too_many_goes(store):
    fill(store, 5)
    assert prune(store, retention(count=2)) is True and left(store) == ["t3", "t4"]


def test_what_is_too_large_goes(store):
    fill(store, 5, size=100)
    assert prune(store, retention(size=250)) is True and left(store) == ["t3", "t4"]


def test_nothing_may_be_kept_at_all(store):
    fill(store, 3, size=1)
    assert prune(store, retention(count=0)) is True and left(store) == []


def pages(store):
    return names(store, "PRAGMA page_count")[0]


def test_the_file_becomes_smaller(store, monkeypatch):
    monkeypatch.setattr(trace_retention, "LEAST_SPARE", 10)
    monkeypatch.setattr(trace_retention, "PAGES_AT_ONCE", 100)
    rows = [row(f"t{at:02}", NOW + at, size=50_000) for at in range(100)]
    put(store, rows, [(each["id"], "chunks", b"x" * 50_000) for each in rows])
    full, steps = pages(store), 0
    while prune(store, retention(count=5)):
        steps += 1
    assert steps >= 5 and pages(store) * 4 < full and len(left(store)) == 5
    put(store, [row("u", NOW + 100)], [("u", "chunks", b"y" * 500_000)])
    assert prune(store, retention()) is False and len(left(store)) == 6


def test_few_go_at_once(store, monkeypatch):
    monkeypatch.setattr(trace_retention, "AT_ONCE", 2)
    fill(store, 5)
    steps = []
    while prune(store, retention(count=0)):
        steps.append(len(left(store)))
    assert steps == [3, 1, 0]
