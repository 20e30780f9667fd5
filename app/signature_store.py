"""Thought signatures by tool call id, for clients that drop them: a memory of this process over the shared database.

Ids come from clients: what is no short printable text is not looked up. It knows nothing of requests or answers.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from app.store import Store

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from app.config import Settings

Row = tuple[str, str, float]  # id, signature, Unix time

LONGEST_ID, LONGEST_SIGNATURE = 512, 262_144  # characters
MOST_IDS = 2_000  # of one conversation
MEMORY_ENTRIES, MEMORY_CHARACTERS = 10_000, 32_000_000
DAY = 86_400.0
FIRST_PRUNE, PRUNE_EVERY = 5.0, 600.0  # seconds
PRUNE_AFTER = 1_000  # puts of this process

ASK = "SELECT id, signature, created FROM signatures WHERE id IN :ids AND created >= :since"
PUT = """INSERT INTO signatures (id, signature, created) VALUES (:id, :signature, :created)
ON CONFLICT (id) DO UPDATE SET signature = excluded.signature, created = excluded.created"""
FORGET_OLD = "DELETE FROM signatures WHERE created < :since"
COUNT = "SELECT count(*) FROM signatures"
FORGET_FIRST = "DELETE FROM signatures WHERE id IN (SELECT id FROM signatures ORDER BY created, id LIMIT :number)"


class SignatureStore:
    """`id -> signature`, kept for `days` and for the newest `limit` ids. Never raises and never waits for a write."""

    def __init__(self, store: Store, days: float, limit: int, clock: Callable[[], float] = time.time) -> None:
        self._store, self._life, self._limit, self._clock = store, days * DAY, limit, clock
        self._memory = Memory()
        self._prune_planned = False
        self._puts = 0

    def get_many(self, ids: Iterable[Any]) -> Mapping[str, str]:
        """Return the signatures that are known of these tool call ids."""
        since = self._clock() - self._life
        wanted = [identifier for identifier in dict.fromkeys(ids) if is_sound_id(identifier)][:MOST_IDS]
        found = self._memory.get_many(wanted, since)
        if missing := [identifier for identifier in wanted if identifier not in found]:
            nothing: list[Row] = []
            rows = self._store.read(lambda connection: ask(connection, missing, since), nothing)
            for identifier, signature, created in rows:
                self._memory.put(identifier, signature, created)
                found[identifier] = signature
        return found

    def put(self, identifier: str, signature: str) -> None:
        """Remember a signature: here at once, for other workers and replicas within milliseconds."""
        if not is_sound_id(identifier) or not is_sound(signature, LONGEST_SIGNATURE):
            return
        created = self._clock()
        self._memory.put(identifier, signature, created)
        row = {"id": identifier, "signature": signature, "created": created}
        self._store.submit(lambda connection: self._write(connection, row))

    def prune(self, connection: "Connection") -> None:
        """Forget what is too old, then the oldest of what is too many. Runs as a job of the store."""
        from app.database import statement

        connection.execute(statement(FORGET_OLD), {"since": self._clock() - self._life})
        surplus = (connection.execute(statement(COUNT)).scalar() or 0) - self._limit
        if surplus > 0:
            connection.execute(statement(FORGET_FIRST), {"number": surplus})

    def _write(self, connection: "Connection", row: dict[str, Any]) -> None:
        from app.database import statement

        connection.execute(statement(PUT), row)
        self._puts += 1
        if self._puts % PRUNE_AFTER == 0:
            self.prune(connection)
        if not self._prune_planned:
            self._prune_planned = True
            self._store.submit(self._prune_regularly, FIRST_PRUNE)

    def _prune_regularly(self, connection: "Connection") -> None:
        self._store.submit(self._prune_regularly, PRUNE_EVERY)
        self.prune(connection)


class Memory:
    """The entries used last, bounded by number and by size; safe for many threads."""

    def __init__(self, entries: int = MEMORY_ENTRIES, characters: int = MEMORY_CHARACTERS) -> None:
        self._entries, self._characters = entries, characters
        self._held: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get_many(self, ids: Iterable[str], since: float) -> dict[str, str]:
        """Return those that are here and not older than `since`."""
        found = {}
        with self._lock:
            for identifier in ids:
                held = self._held.get(identifier)
                if held is not None and held[1] >= since:
                    self._held.move_to_end(identifier)
                    found[identifier] = held[0]
        return found

    def put(self, identifier: str, signature: str, created: float) -> None:
        """Keep an entry; the ones not used for longest make room."""
        with self._lock:
            old = self._held.pop(identifier, None)
            self._size += len(identifier) + len(signature) - (len(identifier) + len(old[0]) if old else 0)
            self._held[identifier] = signature, created
            while len(self._held) > self._entries or self._size > self._characters:
                gone, (text, _) = self._held.popitem(last=False)
                self._size -= len(gone) + len(text)


def open_signatures(store: Store, settings: "Settings") -> SignatureStore | None:
    """Return the store that the settings describe; None when days or limit are 0."""
    if not settings.signature_days or not settings.signature_limit:
        return None
    return SignatureStore(store, settings.signature_days, settings.signature_limit)


def ask(connection: "Connection", ids: list[str], since: float) -> list[Row]:
    """Return (id, signature, created) of those ids that the database knows."""
    from app.database import statement

    rows = connection.execute(statement(ASK, "ids"), {"ids": ids, "since": since})
    return [(identifier, signature, created) for identifier, signature, created in rows]


def is_sound_id(identifier: object) -> bool:
    """Tell whether a client's id may be looked up."""
    return is_sound(identifier, LONGEST_ID)


def is_sound(text: object, longest: int) -> bool:
    """Tell whether this is a text that any database takes: no NUL, no lone surrogate, not too long."""
    return isinstance(text, str) and 0 < len(text) <= longest and text.isprintable()
