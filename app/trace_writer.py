"""The process that writes stored requests: reads records from its input, masks and packs them, writes them to the database.

`python -m app.trace_writer`, started by app.trace_process. Frames on its input: a letter, the length in four bytes, the data;
o: a marshalled dict of what to do, first of all; r: a record (app.trace_record); f: a number to be answered when all before
is written or lost. Answers are lines of JSON: {"dropped": n, "problem": text or null, "flushed": number or null}.
It ends with its input, when all is written.
"""

import contextlib
import json
import logging
import marshal
import os
import select
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.errors import log
from app.store import Store
from app.trace_packing import Packer
from app.trace_record import FRAME, Record, decode
from app.trace_retention import Retention
from app.trace_rows import COLUMNS, Part, Row, rows_of
from app.utils.masking import Masker

if TYPE_CHECKING:
    from sqlalchemy import Connection

READ_SIZE = 1 << 20
MOST_MASKERS = 64
PATIENCE = 30.0  # seconds the database's thread gets for one batch
FIRST_PRUNE, PRUNE_EVERY, PRUNE_AGAIN = 10.0, 60.0, 0.1  # seconds
PRUNE_SOON, MUCH = 1.0, 0.1  # seconds between two looks after much was written: this part of what may be kept
LOOK_EVERY = 5.0  # seconds without a request until it is seen to what is too old or too much
POLITENESS = 5  # of 19: answers go first

_CHANGES = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name != "id")
PUT = f"INSERT INTO traces ({', '.join(COLUMNS)}) VALUES %s ON CONFLICT (id) DO UPDATE SET {_CHANGES}"
PUT_PART = """INSERT INTO trace_parts (trace_id, part, data) VALUES %s
ON CONFLICT (trace_id, part) DO UPDATE SET data = excluded.data"""


class Batch:
    """A job of the store: rows and parts in one transaction."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.parts: list[Part] = []
        self.lost_rows = 0
        self.done = threading.Event()

    def __call__(self, connection: "Connection") -> None:
        from app.database import insert_many

        insert_many(connection, PUT, [tuple(row.values()) for row in self.rows])
        insert_many(connection, PUT_PART, self.parts)
        self.done.set()

    def lost(self) -> None:
        self.lost_rows = len(self.rows)
        self.done.set()


class Writer:
    """Turns frames into rows. `dropped` counts requests that were not stored."""

    def __init__(self, store: Store, retention: Retention, server: str) -> None:
        self.dropped = 0
        self._store, self._retention, self._server = store, retention, server
        self._packer = Packer()
        self._maskers: OrderedDict[tuple[str, ...], Masker] = OrderedDict()
        self._next_prune = time.monotonic() + FIRST_PRUNE
        self._soonest_prune = 0.0
        self._new_rows = self._new_bytes = 0  # since it was looked

    def write(self, frames: list[tuple[bytes, bytes]]) -> list[int]:
        """Write what came together, and wait until it is written or lost; return the numbers that want an answer."""
        batch, answers = Batch(), []
        for kind, data in frames:
            if kind == b"f":
                answers.append(int(data))
            elif kind == b"r":
                self._add(batch, data)
        if batch.rows:
            if not self._store.submit(batch):
                batch.lost()
            if not batch.done.wait(PATIENCE):
                self.dropped += len(batch.rows)
            else:
                self._store.flush(PATIENCE)
                self.dropped += batch.lost_rows
        self._prune_sometimes(batch.rows)
        return answers

    def _add(self, batch: Batch, data: bytes) -> None:
        try:
            record = decode(data)
            row, parts = rows_of(record, self._server, self._packer, self._masker(record))
        except Exception as error:  # the rim: a bug with one request must not end all later ones
            self.dropped += 1
            log.error("bug in storing a request", exc_info=error)
        else:
            batch.rows.append(row)
            batch.parts += parts

    def _masker(self, record: Record) -> Masker:
        masker = self._maskers.get(record.secrets)
        if masker is None:
            masker = self._maskers[record.secrets] = record.masker()
            if len(self._maskers) > MOST_MASKERS:
                self._maskers.popitem(last=False)
        else:
            self._maskers.move_to_end(record.secrets)
        return masker

    def _prune_sometimes(self, rows: list[Row]) -> None:
        """See to what is too old or too much: now and then, and soon after much was written."""
        self._new_rows += len(rows)
        self._new_bytes += sum(row["size"] for row in rows)
        much = self._new_rows > MUCH * self._retention.count or self._new_bytes > MUCH * self._retention.size
        now = time.monotonic()
        if now >= (self._soonest_prune if much else self._next_prune):
            self._next_prune, self._soonest_prune = now + PRUNE_EVERY, now + PRUNE_SOON
            self._new_rows = self._new_bytes = 0
            self._store.submit(self._prune)

    def _prune(self, connection: "Connection") -> None:
        if self._retention.prune(connection):
            self._store.submit(self._prune, PRUNE_AGAIN)


def frames(read: Callable[[], bytes | None]) -> Iterator[list[tuple[bytes, bytes]]]:
    """Yield the frames that each read completes; `read` returns b"" at the end, None for a while without any."""
    rest = bytearray()
    while (data := read()) != b"":
        rest += data or b""
        found, place = [], 0
        while len(rest) - place >= FRAME.size:
            kind, length = FRAME.unpack_from(rest, place)
            end = place + FRAME.size + length
            if len(rest) < end:
                break
            found.append((kind, bytes(rest[place + FRAME.size : end])))
            place = end
        del rest[:place]
        if found or data is None:
            yield found


def _read_input() -> bytes | None:
    return os.read(0, READ_SIZE) if select.select([0], [], [], LOOK_EVERY)[0] else None


def open_writer(order: dict[str, Any]) -> tuple[Writer, Store]:
    """Return what an order describes: url, folder, days, count, size, server."""
    store = Store(order["url"], Path(order["folder"]))
    return Writer(store, Retention(order["days"], order["count"], order["size"]), order["server"]), store


def main() -> None:
    """Write until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the gateway says when to end, by closing the input
    os.nice(POLITENESS)
    log.setLevel(logging.ERROR)  # that the database cannot be used is told by answers
    writer: Writer | None = None
    store: Store | None = None
    told: tuple[int, str | None] = (0, None)
    for batch in frames(_read_input):
        if writer is None or store is None:
            if not batch:
                continue
            writer, store = open_writer(marshal.loads(batch.pop(0)[1]))
        answers: list[int | None] = [*writer.write(batch)]
        now = (writer.dropped, store.problem)
        for answer in answers or ([None] if now != told else []):
            line = json.dumps({"dropped": now[0], "problem": now[1], "flushed": answer}) + "\n"
            with contextlib.suppress(BrokenPipeError):  # nobody wants to know any more
                os.write(1, line.encode())
        told = now
    if store is not None:
        store.close()


if __name__ == "__main__":
    main()
