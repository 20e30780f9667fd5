"""Numbers that every worker of a server can read: memory from before the fork, a region of it for each worker.

prometheus-client's files would cost a request 31 us and a chunk 1.5 us (0.26.0), would have to be cleaned, and a full disk
would kill whoever writes to one; here an addition is one store into memory. What a worker counted outlives it, and the
worker that comes after it goes on in the same region. A region has one writer: a process that sees to its own threads.

A region holds records: a key (a tuple of words) and cells (doubles). Layout in words of 8 bytes: how many are used, who
writes, the gauges, and then for each record the length of its key in bytes, the number of its cells, its key as a JSON
array, its cells. A record is there once it is counted as used, so a reader never sees half of one.
"""

import json
import mmap
import os
from collections.abc import Container, Iterator, Sequence

REGION = 1 << 20  # bytes; a page that nobody touched takes no memory
WORD = 8
USED, WRITER, GAUGES, RECORDS = 0, 1, 2, 8

Key = tuple[str, ...]


class Region:
    """The part of one worker. `cells` is indexed by what `place` returns."""

    def __init__(self, memory: memoryview) -> None:
        """Take over a region and the records that it holds already."""
        self.cells: memoryview[float] = memory.cast("d")
        self._words: memoryview[int] = memory.cast("Q")
        self._memory = memory
        self._places: dict[Key, int] = {key: at for key, at, _ in self._records()}

    def place(self, key: Key, size: int) -> int | None:
        """Return where the `size` cells of `key` begin, None when the region is full. Not safe for threads."""
        at = self._places.get(key)
        if at is None and (at := self._add(key, size)) is not None:
            self._places[key] = at
        return at

    def read(self) -> Iterator[tuple[Key, list[float]]]:
        """Yield each record; what is being added meanwhile may or may not be in it."""
        for key, at, size in self._records():
            yield key, list(self.cells[at : at + size])

    @property
    def writer(self) -> int:
        """The process that writes here, 0 for none."""
        return self._words[WRITER]

    def enter(self) -> None:
        """Make this process the writer; what its forerunner left in the gauges holds no more."""
        self.leave()
        self._words[WRITER] = os.getpid()

    def leave(self) -> None:
        """Say that nobody writes here any more."""
        self._words[WRITER] = 0
        for gauge in range(GAUGES, RECORDS):
            self.cells[gauge] = 0.0

    def _add(self, key: Key, size: int) -> int | None:
        name = json.dumps(key).encode()
        begin = self._words[USED] or RECORDS
        at = begin + 2 + -(-len(name) // WORD)
        if at + size > len(self.cells):
            return None
        self._words[begin], self._words[begin + 1] = len(name), size
        self._memory[(begin + 2) * WORD : (begin + 2) * WORD + len(name)] = name
        for cell in range(at, at + size):
            self.cells[cell] = 0.0  # a worker that was killed may have left something here
        self._words[USED] = at + size
        return at

    def _records(self) -> Iterator[tuple[Key, int, int]]:
        at, used = RECORDS, self._words[USED]
        while at < used:
            length, size = self._words[at], self._words[at + 1]
            name = bytes(self._memory[(at + 2) * WORD : (at + 2) * WORD + length])
            at += 2 + -(-length // WORD)
            yield tuple(json.loads(name)), at, size
            at += size


class Board:
    """The regions of one server; made before the first fork."""

    def __init__(self, regions: int) -> None:
        memory = memoryview(mmap.mmap(-1, regions * REGION))
        self.regions = [Region(memory[n * REGION : (n + 1) * REGION]) for n in range(regions)]

    def free(self, taken: Container[int]) -> int | None:
        """Return the number of the first region that is not `taken`, None when all are."""
        return next((number for number in range(len(self.regions)) if number not in taken), None)

    def enter(self, number: int) -> None:
        """Make one region this process's own. Call it after the fork."""
        global _own
        region = self.regions[number] = Region(self.regions[number]._memory)  # with what its forerunner added
        region.enter()
        _own = (region, self)


_own: tuple[Region, Board] | None = None


def claim() -> tuple[Region, Sequence[Region]]:
    """Return where this process writes, and all that is to be read; without a board both are its own alone."""
    if _own is not None:
        return _own[0], _own[1].regions
    region = Region(memoryview(bytearray(REGION)))
    region.enter()
    return region, [region]
