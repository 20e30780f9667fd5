"""How long stored requests are kept: by age, by number and by size, the oldest going first. Runs as a job of the store."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

DAY = 86_400.0
AT_ONCE = 500  # traces deleted in one transaction: others wait for it
PAGES_AT_ONCE = 2_000  # of SQLite's file given back in one transaction
SPARE, LEAST_SPARE = 0.25, 1_000  # of its pages, pages: so much room may stay in it for what comes next
INCREMENTAL = 2  # SQLite's word for a file that can be cut (see app.database)

TOO_OLD = "SELECT id FROM traces WHERE started < :since ORDER BY started LIMIT :most"
TOTALS = "SELECT count(*), coalesce(sum(size), 0) FROM traces"
FIRST = "SELECT id, size FROM traces ORDER BY started, id LIMIT :most"
FORGET = ("DELETE FROM trace_parts WHERE trace_id IN :ids", "DELETE FROM traces WHERE id IN :ids")


@dataclass(frozen=True)
class Retention:
    """What is kept at most: days, requests, bytes of their parts."""

    days: float
    count: int
    size: int
    clock: Callable[[], float] = time.time

    def prune(self, connection: "Connection") -> bool:
        """Delete what is too much, at most AT_ONCE requests, or give back room; tell whether there may be more."""
        from app.database import statement

        ids = self._too_old(connection) or self._too_many(connection)
        for sql in FORGET if ids else ():
            connection.execute(statement(sql, "ids"), {"ids": ids})
        return bool(ids) or give_back(connection)

    def _too_old(self, connection: "Connection") -> list[str]:
        from app.database import statement

        since = self.clock() - self.days * DAY
        rows = connection.execute(statement(TOO_OLD), {"since": since, "most": AT_ONCE})
        return [identifier for (identifier,) in rows]

    def _too_many(self, connection: "Connection") -> list[str]:
        from app.database import statement

        count, size = connection.execute(statement(TOTALS)).one()
        surplus, excess = count - self.count, int(size) - self.size
        if surplus <= 0 and excess <= 0:
            return []
        ids = []
        for identifier, bytes_of_it in connection.execute(statement(FIRST), {"most": AT_ONCE}).all():
            if surplus <= 0 and excess <= 0:
                break
            ids.append(identifier)
            surplus, excess = surplus - 1, excess - bytes_of_it
        return ids


def give_back(connection: "Connection") -> bool:
    """Cut SQLite's file by some of the room that nothing is in; tell whether there is more to cut."""
    if connection.dialect.name != "sqlite" or _pragma(connection, "auto_vacuum") != INCREMENTAL:
        return False
    enough = max(LEAST_SPARE, int(SPARE * _pragma(connection, "page_count")))
    before = _pragma(connection, "freelist_count")
    for _ in range(min(PAGES_AT_ONCE, before - enough)):
        connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")  # Python takes one step of it, whatever the number
    return enough < _pragma(connection, "freelist_count") < before


def _pragma(connection: "Connection", name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0)
