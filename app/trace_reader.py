"""Reads stored requests: lists with filters, one request and its parts, what changed lately. Knows SQL, no HTTP.

Everything in the database is masked already. Every function raises StoreUnavailable when the database cannot be used.
"""

import contextlib
import json
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from app.errors import GatewayError
from app.trace_events import Note, Reads, Writes, in_order
from app.trace_packing import CHUNKS, NOTES, unpack_chunks, unpack_notes
from app.trace_rows import COLUMNS, Row
from app.trace_values import parse, split_events
from app.utils.assemble import assemble

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from app.store import Store

Found = TypeVar("Found")

MOST = 1_000  # rows of one page
OPEN_WAIT = 10.0  # seconds that this process may take to open the database: somebody looks, no answer waits
STALE = 30.0  # seconds: a running request is stored every few of them; one that is not has died with its server
MOST_NAMES = 200  # models, clients and statuses to filter by
SEARCHED = " || ' ' || ".join(
    f"coalesce({name}, '')" for name in ("id", "asked", "model", "target", "session", "user_agent", "path", "error", "repairs")
)

SELECT = f"SELECT {', '.join(COLUMNS)} FROM traces"
WHERE = {
    "model": "(model = :model OR target = :model)",
    "client": "(user_agent = :client OR client = :client)",
    "session": "session = :session",
    "ok": "(status < 400 AND error IS NULL)",
    "error": "(status >= 400 OR error IS NOT NULL)",
    "status": "status = :status",
    "repaired": "repairs <> ''",
    "q": f"lower({SEARCHED}) LIKE :q ESCAPE '!'",
    # SQLite knows small and capital letters of English only: others are found as they are written.
    "words": f"(lower({SEARCHED}) LIKE :q ESCAPE '!' OR {SEARCHED} LIKE :words ESCAPE '!')",
    "before": "(started < :started OR (started = :started AND id < :id))",
}
PARTS_OF = "SELECT part, data FROM trace_parts WHERE trace_id = :id"
CHANGED = f"{SELECT} WHERE updated > :since ORDER BY updated, id LIMIT :most"
SESSIONS = """SELECT session, min(started), max(started + coalesce(duration, 0)), count(*),
sum(CASE WHEN status >= 400 OR error IS NOT NULL THEN 1 ELSE 0 END), sum(CASE WHEN repairs <> '' THEN 1 ELSE 0 END),
sum(prompt_tokens), sum(completion_tokens), sum(cost), max(user_agent), max(client)
FROM traces WHERE session IS NOT NULL GROUP BY session ORDER BY max(started) DESC LIMIT :most"""
MODELS_OF = "SELECT DISTINCT session, model FROM traces WHERE session IN :sessions AND model IS NOT NULL"
SESSION_FIELDS = ("session", "first", "last", "requests", "errors", "repaired", "prompt_tokens", "completion_tokens",
                  "cost", "user_agent", "client")  # fmt: skip
DISTINCT = "SELECT {0} FROM traces WHERE {0} IS NOT NULL GROUP BY {0} ORDER BY count(*) DESC LIMIT :most"


class StoreUnavailable(GatewayError):
    status, code = 503, "store_unavailable"


class TraceReader:
    """Stored requests, as rows (COLUMNS by name; `stream` a bool, `timings` an object) and their parts."""

    def __init__(self, store: "Store", clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock

    def page(self, limit: int = 100, before: str | None = None, **filters: str) -> tuple[list[Row], str | None]:
        """Return the newest rows that pass the filters, and the cursor of the next page, None at the end.

        Filters: model, client, session, status ("ok", "error" or a number), repaired ("1"), q (a text in the row).
        Raises ValueError for a cursor or status that is none.
        """
        limit = max(1, min(limit, MOST))
        conditions, values = _conditions(filters, before)
        where = " WHERE " + " AND ".join(conditions) if conditions else ""
        sql = f"{SELECT}{where} ORDER BY started DESC, id DESC LIMIT :limit"
        rows = self._rows(sql, {**values, "limit": limit + 1})
        more = len(rows) > limit
        return rows[:limit], f"{rows[limit - 1]['started']!r}_{rows[limit - 1]['id']}" if more else None

    def get(self, identifier: str) -> Row | None:
        """Return the row of one request, None where there is none."""
        return next(iter(self._rows(f"{SELECT} WHERE id = :id", {"id": identifier})), None)

    def changed(self, since: float, most: int = MOST) -> list[Row]:
        """Return rows that were written after `since` (Unix time), oldest first."""
        return self._rows(CHANGED, {"since": since, "most": most})

    def notes(self, identifier: str) -> list[Note] | None:
        """Return what was noted of one request: (seconds, station, value); None where it is not stored."""
        found = self._packages(identifier)
        return None if found is None else _notes(found)

    def parts(self, identifier: str) -> dict[str, int]:
        """Return which parts of a request are stored, with the size of their JSON in bytes."""
        values = self._values(identifier).items()
        return {station: len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")) for station, value in values}

    def part(self, identifier: str, station: str) -> tuple[Any] | None:
        """Return the value noted last at a station in a tuple, None where there is none."""
        values = self._values(identifier)
        return (values[station],) if station in values else None

    def chunks(self, identifier: str) -> tuple[Reads, Writes]:
        """Return the exact reads and writes of one request; empty where they are not stored."""
        return _chunks(self._packages(identifier) or {})

    def events(self, identifier: str) -> Iterator[dict[str, Any]]:
        """Yield the events of a capture file."""
        found = self._packages(identifier) or {}
        return in_order(_notes(found), *_chunks(found))

    def sessions(self, most: int = MOST_NAMES) -> list[dict[str, Any]]:
        """Return the sessions used last: SESSION_FIELDS by name, and `models`."""

        def query(connection: "Connection") -> list[dict[str, Any]]:
            rows = _execute(connection, SESSIONS, {"most": most})
            found = {row[0]: dict(zip(SESSION_FIELDS, row, strict=True)) | {"models": []} for row in rows}
            if found:
                for session, model in _execute(connection, MODELS_OF, {"sessions": list(found)}, "sessions"):
                    found[session]["models"].append(model)
            return list(found.values())

        return [_plain(session) for session in self._read(query)]

    def filters(self) -> dict[str, list[Any]]:
        """Return what there is to filter by: models, clients, statuses, the most frequent first."""

        def query(connection: "Connection") -> dict[str, list[Any]]:
            names = {"models": "model", "clients": "user_agent", "statuses": "status"}
            return {
                name: [value for (value,) in _execute(connection, DISTINCT.format(column), {"most": MOST_NAMES})]
                for name, column in names.items()
            }

        return self._read(query)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _values(self, identifier: str) -> dict[str, Any]:
        """Return the last value of each station; the answer of a stream is put together from its chunks."""
        found = self._packages(identifier) or {}
        values = {station: value for _, station, value in _notes(found)}
        if "answer" not in values and CHUNKS in found and _streams(values):
            values["answer"] = streamed_answer(text for _, text in _chunks(found)[1])
        return {station: value for station, value in values.items() if value is not None}

    def _packages(self, identifier: str) -> dict[str, bytes] | None:
        def query(connection: "Connection") -> dict[str, bytes]:
            return {part: bytes(data) for part, data in _execute(connection, PARTS_OF, {"id": identifier})}

        return self._read(query) or None

    def _rows(self, sql: str, values: Mapping[str, Any]) -> list[Row]:
        def query(connection: "Connection") -> list[Row]:
            return [dict(zip(COLUMNS, row, strict=True)) for row in _execute(connection, sql, values)]

        return [self._shown(row) for row in self._read(query)]

    def _shown(self, row: Row) -> Row:
        row["stream"] = bool(row["stream"])
        row["timings"] = json.loads(row["timings"]) if row["timings"] else None
        if row["duration"] is None and row["updated"] < self._clock() - STALE:
            row["duration"] = row["updated"] - row["started"]
            row["error"] = row["error"] or "The gateway ended before the answer did."
        return row

    def _read(self, query: "Callable[[Connection], Found]") -> Found:
        return read_or_raise(self._store, query)


def read_or_raise(store: "Store", query: "Callable[[Connection], Found]") -> Found:
    """Return what a query finds. Raises StoreUnavailable."""
    found = store.read(lambda connection: (query(connection),), None, OPEN_WAIT)
    if found is None:
        problem = store.problem or "it does not answer"
        raise StoreUnavailable(f"The stored requests cannot be read, the database has a problem: {problem}")
    return found[0]


def streamed_answer(writes: Iterable[str]) -> dict[str, Any] | None:
    """Return the answer that a client would put together from what was written to it; None where it was no stream."""
    data = "".join(writes).encode("utf-8", "replace")
    chunks = [chunk for chunk in map(parse, split_events(data)) if isinstance(chunk, dict)]
    return assemble(chunks) if chunks else None


def numbered(reads: Reads) -> list[dict[str, Any]]:
    """Return one entry for each event that was read: {"at", "n", "data"}; [DONE] and comments have no number."""
    entries: list[dict[str, Any]] = []
    number = 0
    for at, payloads in reads:
        for payload in payloads:
            is_chunk = payload[:1] != ":" and payload.strip() != "[DONE]"
            number += is_chunk
            entries.append({"at": at, "n": number if is_chunk else None, "data": payload})
    return entries


def events_of(writes: Writes) -> Reads:
    """Return what was written as the events that it holds."""
    return [
        (at, [event.decode("utf-8", "surrogateescape") for event in split_events(text.encode("utf-8", "surrogateescape"))])
        for at, text in writes
    ]


def _conditions(filters: Mapping[str, str], before: str | None) -> tuple[list[str], dict[str, Any]]:
    conditions, values = [], dict[str, Any]()
    for name, value in filters.items():
        if not value:
            continue
        if name == "status" and value not in ("ok", "error"):
            values["status"] = _status(value)
        elif name == "q":
            values["q"] = _containing(value.lower())
            if not value.isascii():
                name, values["words"] = "words", _containing(value)
        elif name != "repaired":
            values[name] = value
        conditions.append(WHERE[values.pop("status") if name == "status" and value in ("ok", "error") else name])
    if before:
        started, _, identifier = before.partition("_")
        values |= {"started": float(started), "id": identifier}
        conditions.append(WHERE["before"])
    return conditions, values


def _containing(text: str) -> str:
    return "%" + "".join("!" + letter if letter in "!%_" else letter for letter in text) + "%"


def _status(text: str) -> int:
    """Read a status. Raises ValueError, also for a number that no column holds."""
    if not text.isdecimal() or len(text) > 4:
        raise ValueError("no status")
    return int(text)


def _execute(connection: "Connection", sql: str, values: Mapping[str, Any], many: str | None = None) -> Iterable[Any]:
    from app.database import statement

    return connection.execute(statement(sql, many), values)


def _notes(found: Mapping[str, bytes]) -> list[Note]:
    with _damage():
        return unpack_notes(found[NOTES]) if NOTES in found else []


def _chunks(found: Mapping[str, bytes]) -> tuple[Reads, Writes]:
    with _damage():
        return unpack_chunks(found[CHUNKS]) if CHUNKS in found else ([], [])


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except (ValueError, LookupError, TypeError, struct.error, zlib.error) as error:
        raise StoreUnavailable(f"What is stored of this request is damaged: {error}") from None


def _streams(values: Mapping[str, Any]) -> bool:
    body = values.get("client_request")
    return isinstance(body, dict) and bool(body.get("stream"))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """PostgreSQL's sums are Decimals."""
    return {
        name: value if value is None or isinstance(value, str | list | int | float) else float(value)
        for name, value in row.items()
    }
