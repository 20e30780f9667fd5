"""Which model makes room, which one is idle: decisions alone, no process."""

import pytest

from app.local_models.states import BUSY, FAILED, LOADING, READY, UNLOADING, Life, is_idle, is_out_of_hand, make_room


def life(name, size=10, phase=READY, used=0.0, leases=0, memory=0, has_room=False, wanted=0):
    return Life(name, size, phase, leases, used, memory=memory, has_room=has_room, wanted=wanted)


def test_a_leased_model_is_busy():
    assert life("a", leases=1).state == BUSY
    assert life("a").state == READY
    assert life("a", phase=LOADING, leases=1).state == LOADING


@pytest.mark.parametrize(
    ("lives", "needed", "expected"),
    [
        ([], 10, []),
        ([life("a")], 20, []),
        ([life("a", used=2), life("b", used=1), life("c", used=3)], 10, ["b"]),
        ([life("a", used=2), life("b", used=1), life("c", used=3)], 20, ["b", "a"]),
        ([life("a", leases=1), life("b", leases=1), life("c", leases=1)], 10, None),
        ([life("a", phase=LOADING, size=30, has_room=True)], 10, None),
        ([life("a", phase=LOADING, size=30)], 10, []),
        ([life("a", wanted=1), life("b", used=1), life("c", used=2)], 10, ["b"]),
        ([life("a", phase=UNLOADING, size=30)], 10, None),
        ([life("a", phase=FAILED, size=30)], 30, []),
        ([life("a", memory=25)], 10, ["a"]),
    ],
    ids=["empty", "fits", "oldest leaves", "two leave", "all busy", "loading stays", "waits for room too", "its turn",
         "leaving", "failed", "real memory"],
)
def test_room_is_made_by_what_was_used_least_recently(lives, needed, expected):
    chosen = make_room(lives, needed, 30)
    assert (None if chosen is None else [one.name for one in chosen]) == expected


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (life("a", size=10, memory=29), False),
        (life("a", size=10, memory=31), True),
        (life("a", size=20, memory=31), False),
        (life("a", size=10, memory=31, phase=LOADING, has_room=True), True),
        (life("a", size=10, memory=31, phase=FAILED), False),
    ],
    ids=["within the budget", "beyond", "a little more than expected", "while it loads", "gone"],
)
def test_what_takes_more_than_all_may_is_out_of_hand(one, expected):
    assert is_out_of_hand(one, 30) is expected


@pytest.mark.parametrize(
    ("one", "limit", "idle"),
    [
        (life("a", used=100), 10, True),
        (life("a", used=101), 10, False),
        (life("a", used=0, leases=1), 10, False),
        (life("a", used=0, phase=LOADING), 10, False),
        (life("a", used=0, wanted=1), 10, False),
        (life("a", used=0), 0, False),
    ],
    ids=["idle", "used", "busy", "loading", "wanted", "never"],
)
def test_idle_models_are_those_that_nobody_used(one, limit, idle):
    assert is_idle(one, 110, limit) is idle
