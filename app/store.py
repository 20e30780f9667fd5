"""The database that workers and replicas share, as seen by a request: reads that may find nothing, writes that never wait.

One thread per process opens it, writes to it, and tries again when it failed. Nothing here fails its caller: without a
database reads return what they were given for that case, writes are dropped and counted, and one log line says so.
"""

import atexit
import heapq
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from app.errors import log

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from app.database import Database

QUEUE_SIZE = 5_000  # jobs that wait for the database
BATCH = 200  # jobs of one transaction
OPEN_WAIT = 2.0  # seconds that an answer waits for the database to be opened: rarely more than 0.3, on a busy machine
READ_LIMIT = 2.0  # seconds that a read waits for a server; it ends a statement itself after less
EXIT_WAIT = 2.0  # seconds the end of a process waits for its last writes
PAUSES = (1.0, 60.0)  # seconds until a failed database is tried again: first, at most

Job = Callable[["Connection"], None]  # one that has a method `lost` is told when it could not be written
Found = TypeVar("Found")

_stores: "weakref.WeakSet[Store]" = weakref.WeakSet()


class Store:
    """A database at `url`, else a SQLite file in `folder`; opened on first use, for each process anew.

    `problem` says why it cannot be used, or None; `failures` counts reads and jobs that this cost, `dropped` jobs that
    found the queue full. Safe for many threads and for forks.
    """

    def __init__(self, url: str | None, folder: Path) -> None:
        self._url, self._folder = url, folder
        self._inherited: list[Database] = []
        self._database: Database | None = None
        self._reset()
        _stores.add(self)

    def _reset(self) -> None:
        """Begin as in a new process. A connection from before a fork belongs to the parent and is never touched again."""
        if self._database is not None:
            self._inherited.append(self._database)
        self.problem: str | None = None
        self.failures = self.dropped = 0
        self._lock = threading.Lock()
        self._jobs: queue.Queue[tuple[float, Job] | threading.Event | None] = queue.Queue(QUEUE_SIZE)
        self._later: list[tuple[float, int, Job]] = []
        self._order = count()
        self._opened = threading.Event()
        self._begun = 0.0
        self._thread: threading.Thread | None = None
        self._database = None
        self._pause, self._next_try = PAUSES[0], 0.0
        self._ending = False

    # --- for requests ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Have the database opened, if this process has not yet; returns at once."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
                self._begun = time.monotonic()
                try:
                    thread.start()
                except RuntimeError:  # no more threads, or the interpreter is ending
                    self.failures += 1
                    return
                self._thread = thread
                atexit.register(self.finish)

    def submit(self, job: Job, delay: float = 0.0) -> bool:
        """Have `job` write with a connection, in a transaction with others, `delay` seconds from now; False if dropped."""
        self.begin()
        if self._thread is None:
            return False
        try:
            self._jobs.put_nowait((time.monotonic() + delay, job))
        except queue.Full:
            with self._lock:
                self.dropped += 1
                first = self.dropped == 1
            if first:
                log.warning("the database is too slow: some writes are dropped")
            return False
        return True

    def read(self, query: "Callable[[Connection], Found]", otherwise: Found, open_wait: float = OPEN_WAIT) -> Found:
        """Return what `query` finds with a connection; `otherwise` when the database cannot be used.

        `open_wait`: seconds that this process may take to open it, before the caller does without.
        """
        self.begin()
        if self._thread is not None:
            self._opened.wait(max(0.0, self._begun + open_wait - time.monotonic()))
        if self._database is not None and self._database.moved:
            self._reopen(open_wait)
        database = self._database
        if database is None:
            self._count_failures(1)
            if time.monotonic() >= self._next_try and self._jobs.empty():
                self.submit(_nothing)
            return otherwise
        if database.path is not None:  # a file answers or fails in time by itself
            return self._ask(database, query, otherwise)
        return self._ask_in_time(database, query, otherwise)

    def _reopen(self, seconds: float) -> None:
        """Have the file opened that is now where the opened one was: what would be read is nobody's any more."""
        if self._jobs.empty():
            self.submit(_nothing)
        self.flush(seconds)

    def _ask_in_time(self, database: "Database", query: "Callable[[Connection], Found]", otherwise: Found) -> Found:
        """Ask in a thread of its own: a server that stands still is noticed by no timeout of a connection."""
        answer: Future[Found] = Future()

        def ask() -> None:
            try:
                answer.set_result(self._ask(database, query, otherwise))
            except BaseException as error:  # the caller's
                answer.set_exception(error)
            if database is not self._database:  # somebody gave it up meanwhile
                database.close()

        try:
            threading.Thread(target=ask, name="store-reader", daemon=True).start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            self._count_failures(1)
            return otherwise
        try:
            return answer.result(READ_LIMIT)
        except TooLate:
            self._count_failures(1)
            if self._put_off(database):
                self._say(f"no answer within {READ_LIMIT:g} seconds")
            return otherwise

    def _ask(self, database: "Database", query: "Callable[[Connection], Found]", otherwise: Found) -> Found:
        from app.database import FAILURES

        for attempt in (1, 2):  # a kept connection may have died with its server
            try:
                with database.reader.connect() as connection:
                    return query(connection)
            except FAILURES as error:
                if attempt == 2 or not getattr(error, "connection_invalidated", False):
                    self._fail(error, database, 1)
                    break
        return otherwise

    def flush(self, seconds: float) -> bool:
        """Wait until everything submitted before is written or lost, at most `seconds`; tell whether that was reached."""
        if self._thread is None or not self._thread.is_alive():
            return True
        done = threading.Event()
        try:
            self._jobs.put(done, timeout=seconds)
        except queue.Full:
            return False
        return done.wait(seconds)

    def finish(self, seconds: float = EXIT_WAIT) -> None:
        """Write what waits, also what was meant for later: the process ends."""
        self._ending = True
        self.flush(seconds)

    def close(self, seconds: float = EXIT_WAIT) -> None:
        """Write what waits and close; the next use opens it again."""
        self.finish(seconds)
        thread, database = self._thread, self._database
        atexit.unregister(self.finish)
        if thread is not None and thread.is_alive():
            self._jobs.put(None)
            thread.join(seconds)
        self._reset()
        if database is not None:
            self._inherited.clear()
            database.close()

    # --- the writer's thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._open()
        finally:
            self._opened.set()
        while True:
            jobs, waiting, ended = self._next_batch()
            if jobs:
                self._write(jobs)
            for event in waiting:
                event.set()
            if ended:
                return

    def _next_batch(self) -> tuple[list[Job], list[threading.Event], bool]:
        """Wait for jobs; return those that are due, who waits for them, and whether this is the end."""
        jobs: list[Job] = []
        waiting: list[threading.Event] = []
        timeout = max(0.0, self._later[0][0] - time.monotonic()) if self._later else None
        try:
            item = self._jobs.get(timeout=timeout)
            while True:
                if item is None:
                    return jobs, waiting, True
                if isinstance(item, threading.Event):
                    waiting.append(item)
                elif item[0] <= time.monotonic():
                    jobs.append(item[1])
                else:
                    heapq.heappush(self._later, (item[0], next(self._order), item[1]))
                if len(jobs) >= BATCH or waiting:
                    break
                item = self._jobs.get_nowait()
        except queue.Empty:
            pass
        while self._later and (self._ending or self._later[0][0] <= time.monotonic()):
            jobs.append(heapq.heappop(self._later)[2])
        return jobs, waiting, False

    def _write(self, jobs: list[Job]) -> None:
        """Run jobs in one transaction; they are lost when the database fails."""
        if self._database is not None and self._database.moved:
            self._close_database()
        if self._database is None and not (time.monotonic() >= self._next_try and self._open()):
            self._lose(jobs)
            return
        database = self._database
        assert database is not None
        from app.database import FAILURES, begin_write

        try:
            with database.writer.connect() as connection:
                begin_write(connection)
                for job in jobs:
                    job(connection)
                connection.commit()
        except FAILURES as error:
            self._lose(jobs)
            self._fail(error, database, 0)
        except Exception as error:  # the rim of this thread: a bug in one job must not end all later ones
            self._lose(jobs)
            log.error("bug in a database job", exc_info=error)
        else:
            self._recovered()

    def _open(self) -> bool:
        try:
            from app import database
        except ImportError as error:
            self._say(str(error))
            return False
        try:
            self._database = database.open_database(self._url, self._folder)
        except database.FAILURES as error:
            self._fail(error, None, 0)
            return False
        return True

    def _fail(self, error: BaseException, database: "Database | None", lost: int) -> None:
        """Count and say it once; a database that cannot even be read is closed and tried again later."""
        from app.database import describe

        self._count_failures(lost)
        if database is not self._database:  # somebody gave it up meanwhile, and said so
            return
        if database is None or not database.readable():
            self._put_off(database)
            if database is not None:
                database.close()
        self._say(describe(error))

    def _put_off(self, database: "Database | None") -> bool:
        """Give up a database that does not serve, and have it tried later; False if somebody did before."""
        with self._lock:
            if self._database is not database:
                return False
            self._database = None
            self._next_try = time.monotonic() + self._pause
            self._pause = min(self._pause * 2, PAUSES[1])
        return True

    def _say(self, problem: str) -> None:
        if self.problem is None:
            self.problem = problem
            log.warning("the database cannot be used, the gateway goes on without it: %s", problem)

    def _recovered(self) -> None:
        self._pause = PAUSES[0]
        if self.problem is not None:
            self.problem = None
            log.warning("the database can be used again")

    def _close_database(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def _lose(self, jobs: list[Job]) -> None:
        self._count_failures(len(jobs))
        for job in jobs:
            if (lost := getattr(job, "lost", None)) is not None:
                lost()

    def _count_failures(self, number: int) -> None:
        with self._lock:
            self.failures += number


def _nothing(connection: "Connection") -> None:
    """Only the writer opens the database: a job that has it do so."""


def _begin_child() -> None:
    for store in list(_stores):
        store._reset()


os.register_at_fork(after_in_child=_begin_child)
