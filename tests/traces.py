"""Traces made by hand, rows as the database has them, and the fixtures that store them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.secret_book import SecretBook
from app.store import Store
from app.trace import Trace
from app.trace_rows import COLUMNS, Part, Row
from app.trace_writer import PUT, PUT_PART

WAIT = 20.0
CANARY = "canary-configured-key-0123456789"
NOW = 1_000_000.0  # for clocks that stand still


def begin(*sinks: Any, **facts: Any) -> Trace:
    """A trace that has just begun and knows one configured key."""
    return Trace("POST", "/v1/chat/completions", SecretBook(lambda: (CANARY,)), sinks, **facts)


def streamed(*sinks: Any, says: str = "Hello", status: int = 200) -> Trace:
    """A finished trace of a small stream."""
    trace = begin(*sinks)
    body = {"model": "some-model", "stream": True, "messages": [{"role": "user", "content": f"hi, my key is {CANARY}"}]}
    trace.note("client_headers", {"User-Agent": "test"})
    trace.note("client_request", body)
    trace.note("upstream_request", body | {"extra": 1})
    chunk = b'{"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":"stop"}]}' % says.encode()
    trace.raw([chunk, b"[DONE]"])
    trace.emitted(b"data: " + chunk + b"\n\n")
    trace.emitted(b"data: [DONE]\n\n")
    trace.finish(status)
    return trace


def row(identifier: str, started: float = NOW, **fields: Any) -> Row:
    """A row of the table `traces`, of a request that went well."""
    known = {"id": identifier, "started": started, "updated": started + 1, "method": "POST", "status": 200, "stream": 0}
    known |= {"path": "/v1/chat/completions", "duration": 1.0, "size": 0, "depth": "chunks", "repairs": ""}
    return dict.fromkeys(COLUMNS) | known | fields


def put(store: Store, rows: list[Row], parts: list[Part] | None = None) -> None:
    """Write rows and parts, and wait until they are there."""
    from app.database import insert_many

    def job(connection: Any) -> None:
        insert_many(connection, PUT, [tuple(each.values()) for each in rows])
        insert_many(connection, PUT_PART, parts or [])

    assert store.submit(job) and store.flush(WAIT) and store.problem is None


def names(store: Store, sql: str = "SELECT id FROM traces ORDER BY started, id") -> list[Any]:
    """The first column of what a query finds."""
    return store.read(lambda connection: [each[0] for each in connection.exec_driver_sql(sql)], ["unreadable"])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(None, tmp_path)
    yield made
    made.close()
