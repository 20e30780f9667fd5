"""Repairs by rule and model: counted once a request, summed over workers, still there without a database."""

import threading

import pytest

from app import repair_counts
from app.quirks.report import Report
from app.repair_counts import Key, RepairCounts
from app.store import Store

WAIT = 20.0
FIXED = Key("tool.id", "up/model", "fix")
NOTED = Key("usage.final_chunk", "up/model", "warn")


@pytest.fixture
def store(tmp_path):
    made = Store(None, tmp_path)
    made.begin()
    made.flush(WAIT)
    yield made
    made.close()


def report(fixed=1, noted=0):
    made = Report()
    for _ in range(fixed):
        made.note("tool.id", "x", None, "y")
    for _ in range(noted):
        made.note("usage.final_chunk", "x", None, None, mode="warn")
    return made


def test_repairs_and_warnings_are_counted_apart(store):
    counts = RepairCounts(store, "server")
    counts.add(report(2, 1), "up/model")
    counts.add(report(1), "up/model")
    counts.add(Report(), "up/other")
    assert counts.totals() == {FIXED: 3, NOTED: 1}
    assert counts.sums() == ({FIXED: 3, NOTED: 1}, {FIXED: 3, NOTED: 1}, True)


def test_workers_of_one_server_are_summed_and_other_servers_only_everywhere(store):
    for server in ("one", "one", "two"):
        worker = RepairCounts(store, server)
        worker.add(report(2), "up/model")
        worker.sums()
    assert RepairCounts(store, "one").sums() == ({FIXED: 4}, {FIXED: 6}, True)


def test_totals_written_twice_count_once(store):
    counts = RepairCounts(store, "server")
    for _ in range(3):
        counts.add(report(), "up/model")
        assert counts.sums().all_workers
    assert counts.sums().here == {FIXED: 3}


def test_without_a_database_this_worker_is_counted(tmp_path):
    (tmp_path / "file").touch()
    store = Store(None, tmp_path / "file")
    counts = RepairCounts(store, "server")
    counts.add(report(), "up/model")
    store.flush(WAIT)
    assert counts.sums() == ({FIXED: 1}, {FIXED: 1}, False)
    store.close()


def test_the_number_of_models_is_bounded(store):
    counts = RepairCounts(store, "server")
    for number in range(repair_counts.MOST_KEYS + 10):
        counts.add(report(), f"model{number}")
    totals = counts.totals()
    assert len(totals) == repair_counts.MOST_KEYS + 1
    assert totals[Key("tool.id", repair_counts.OTHER, "fix")] == 10


def test_many_threads_lose_nothing(store):
    counts = RepairCounts(store, "server")
    work = [threading.Thread(target=lambda: [counts.add(report(), "up/model") for _ in range(200)]) for _ in range(8)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join(WAIT)
    assert counts.sums().here == {FIXED: 1600}
