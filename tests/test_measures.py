"""What a request is measured by: laps add up to its time, gaps lie between writes, a wait is told once."""

import threading
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import measures
from app.measures import ENGINE, FORMAT, GAP_BOUNDS, PREPARE, REPAIR, WRITE, Measures, take_wait, wait_over


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets by hand: `clock(5.0)`."""
    now = [0.0]
    monkeypatch.setattr(measures, "_clock", lambda: now[0])

    def set_to(seconds: float) -> None:
        now[0] = seconds

    return set_to


def test_the_laps_are_all_of_the_time(clock):
    made = Measures(0.0)
    for at, part in ((1, PREPARE), (3, ENGINE), (6, PREPARE), (6.5, REPAIR)):
        clock(at)
        made.lap(part)
    clock(7)
    made.written(silent=False)
    assert (made.seconds[PREPARE], made.seconds[ENGINE], made.seconds[REPAIR], made.seconds[FORMAT]) == (4, 2, 0.5, 0.5)
    assert sum(made.seconds) == made.elapsed == 7


def test_a_request_without_writes_has_neither_a_first_one_nor_gaps():
    made = Measures(time.perf_counter())
    made.lap(WRITE)
    assert made.first is None and made.gaps() is None


def test_comments_and_the_closing_mark_are_no_writes(clock):
    made = Measures(0.0)
    for at, silent in ((1, True), (2, False), (2.5, True), (3, False), (3.1, True)):
        clock(at)
        made.written(silent)
    assert made.first == 2
    counts, seconds = made.gaps()
    assert seconds == 1 and sum(counts) == counts[GAP_BOUNDS.index(1.0)] == 1


def test_a_gap_as_long_as_a_bound_is_within_it(clock):
    made = Measures(0.0)
    for at in (0, 0.5, 100.5):
        clock(at)
        made.written(silent=False)
    counts, _ = made.gaps()
    assert counts[GAP_BOUNDS.index(0.5)] == 1 and counts[-1] == 1


@given(st.lists(st.floats(0, 20), min_size=1, max_size=60), st.integers(1, 9))
def test_gaps_are_the_same_however_often_they_are_counted_meanwhile(gaps, most):
    with pytest.MonkeyPatch.context() as patch:
        now = [0.0]
        patch.setattr(measures, "_clock", lambda: now[0])
        patch.setattr(measures, "MOST_WRITES", most)
        made, times = Measures(0.0), [0.0]
        made.written(silent=False)
        for gap in gaps:
            now[0] += gap
            times.append(now[0])
            made.written(silent=False)
    counts, seconds = made.gaps()
    assert made.gaps() == (counts, seconds)
    assert sum(counts) == len(gaps) and seconds == pytest.approx(times[-1])
    below = sum(after - before <= GAP_BOUNDS[3] for before, after in pairwise(times))
    assert sum(counts[:4]) == below


def test_a_wait_is_told_once_and_to_its_own_thread():
    wait_over(0.25)
    others = []
    thread = threading.Thread(target=lambda: others.append(take_wait()))
    thread.start()
    thread.join()
    assert (others, take_wait(), take_wait()) == ([None], 0.25, None)
