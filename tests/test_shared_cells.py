"""Cells that processes share: what is written is read elsewhere, outlives its writer, and nothing is written twice."""

import mmap
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import shared_cells
from app.shared_cells import GAUGES, REGION, Board, Region, claim

words = st.lists(st.text(max_size=30), min_size=1, max_size=4).map(tuple)


def region(size=REGION):
    return Region(memoryview(bytearray(size)))


def in_a_child(work):
    """Run `work` in a forked process, and wait for its end; False when it failed."""
    pid = os.fork()
    if pid == 0:
        ended = 1
        try:
            work()
            ended = 0
        finally:
            os._exit(ended)
    return os.waitpid(pid, 0)[1] == 0


@given(st.dictionaries(words, st.lists(st.floats(0, 1e9), min_size=1, max_size=5), max_size=20))
def test_what_was_placed_is_read(records):
    made = region()
    for key, values in records.items():
        at = made.place(key, len(values))
        for offset, value in enumerate(values):
            made.cells[at + offset] = value
    assert dict(made.read()) == records
    assert {key: made.place(key, len(values)) for key, values in records.items()} == made._places


def test_a_full_region_takes_no_more_and_keeps_what_it_has():
    made = region(1024)
    places = [made.place(("record", str(number)), 8) for number in range(20)]
    assert places[0] is not None and places[-1] is None
    taken = [at for at in places if at is not None]
    for at in taken:
        made.cells[at] += 1
    assert [cells for _, cells in made.read()] == [[1.0] + [0.0] * 7] * len(taken)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_writes_what_its_parent_reads_and_its_successor_goes_on():
    board = Board(2)
    key = ("request", "up/m")

    def count():
        board.enter(1)
        own, _ = claim()
        at = own.place(key, 2)
        own.cells[at + 1] += 1
        own.cells[GAUGES] = 7

    for times in (1, 2):
        assert in_a_child(count)
        assert list(board.regions[1].read()) == [(key, [0.0, times])]
        assert list(board.regions[0].read()) == []
        assert board.regions[1].writer and board.regions[1].cells[GAUGES] == 7
        board.regions[1].leave()
        assert not board.regions[1].writer and board.regions[1].cells[GAUGES] == 0


def test_the_first_region_that_nobody_has_is_free():
    board = Board(3)
    assert [board.free(taken) for taken in (set(), {0}, {1, 0}, {0, 1, 2}, {None, 1})] == [0, 1, 2, None, 0]


def test_without_a_board_a_process_is_alone():
    assert shared_cells._own is None
    (one, all_of_one), (other, _) = claim(), claim()
    assert all_of_one == [one] and one is not other and one.writer == os.getpid()


def test_a_record_that_was_never_finished_is_not_read_and_written_over():
    memory = memoryview(mmap.mmap(-1, REGION))
    first = Region(memory)
    first.place(("a",), 1)
    begin = first._words[0]
    first._words[begin] = 3  # killed in the middle of the next one
    first.cells[begin + 3] = 9.0
    second = Region(memory)
    assert [key for key, _ in second.read()] == [("a",)]
    at = second.place(("b",), 1)
    assert second.cells[at] == 0.0
    assert [key for key, _ in Region(memory).read()] == [("a",), ("b",)]


def test_reading_while_records_are_added():
    made, done = region(), threading.Event()

    def add():
        for number in range(2_000):
            made.cells[made.place(("record", str(number)), 2)] += 1
        done.set()

    thread = threading.Thread(target=add)
    thread.start()
    seen = 0
    while not done.is_set():
        found = list(made.read())
        assert [key for key, _ in found] == [("record", str(number)) for number in range(len(found))]
        assert len(found) >= seen
        seen = len(found)
    thread.join()
    assert [cells for _, cells in made.read()] == [[1.0, 0.0]] * 2_000
