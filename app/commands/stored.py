"""The stored requests, read beside a gateway that may be running or not; ends the process where they cannot be read."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

from app.capture import Capture
from app.commands.options import FAULTS, stop
from app.errors import ConfigError
from app.log_writer import one_line
from app.trace_reader import StoreUnavailable, TraceReader
from app.trace_rows import Row

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from app.config import Settings
    from app.store import Store

Found = TypeVar("Found")

LAST = "last"
SHORTEST_ID = 4
STRANGE = ("no such table", "no such column", "does not exist")  # what a database says that this version did not make


class ReadOnlyStore:
    """What a TraceReader needs of app.store.Store, without a writer. `problem` says why the last read failed."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._engine: Engine | None = None
        self.problem: str | None = None

    def read(self, query: "Callable[[Connection], Found]", otherwise: Found, open_wait: float = 0.0) -> Found:
        """Return what `query` finds, `otherwise` when the database cannot be read now. Opening it takes no time here."""
        from app.database import FAILURES, open_reader

        try:
            if self._engine is None:
                self._engine = open_reader(self._settings.database_url, self._settings.data_dir)
            with self._engine.connect() as connection:
                found = query(connection)
        except FAILURES as error:
            self.problem = self._why(error)
            return otherwise
        self.problem = None
        return found

    def _why(self, error: BaseException) -> str:
        """Put a failure into words: is there no database, is it too new, is nothing in it?"""
        from app.database import FAILURES, describe, newer_version, open_reader

        said = describe(error)
        if self._engine is None:
            return said
        try:
            open_reader(self._settings.database_url, self._settings.data_dir).dispose()  # is it still there?
            if not any(words in said for words in STRANGE):
                return said
            with self._engine.connect() as connection:
                newer = newer_version(connection)
        except ConfigError as missing:
            return describe(missing)
        except FAILURES:
            newer = None
        return describe(ConfigError(newer)) if newer else "no request was stored yet"


def open_stored(settings: "Settings") -> TraceReader:
    """Return a reader of the stored requests."""
    return TraceReader(cast("Store", ReadOnlyStore(settings)))


def find_row(reader: TraceReader, wanted: str) -> Row:
    """Return the row of a request by its id, by the beginning of one, or the newest for `last`."""
    try:
        if wanted == LAST:
            rows = reader.page(1)[0]
        else:
            row = reader.get(wanted)
            rows = [row] if row else _beginning_with(reader, wanted)
    except StoreUnavailable as error:
        stop(str(error))
    if not rows and wanted == LAST:
        stop("No request is stored yet.")
    if not rows:
        stop(f"There is no stored request {one_line(wanted)}; `python -m app tail` shows what there is.")
    if len(rows) > 1:
        stop(f"{len(rows)} requests begin with {wanted}: {', '.join(row['id'] for row in rows[:5])} …")
    return rows[0]


def _beginning_with(reader: TraceReader, wanted: str) -> list[Row]:
    start = "req_" + wanted.lower().removeprefix("req_")
    if len(start) < len("req_") + SHORTEST_ID:
        stop(f"{wanted} is too short to find a request by.", FAULTS)
    return [row for row in reader.page(1_000, q=start)[0] if row["id"].startswith(start)]


def load(reader: TraceReader, row: Row) -> Capture:
    """Return a stored request as the capture that it is exported as."""
    try:
        return Capture(row, list(reader.events(row["id"])))
    except StoreUnavailable as error:
        stop(str(error))
