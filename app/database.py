"""Opens the shared database and keeps its tables up to date; knows SQLAlchemy, SQLite and PostgreSQL, not what is stored.

Imported on first use only: SQLAlchemy takes 0.4 s.
"""

import os
import sqlite3
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, TextClause, bindparam, create_engine, event, make_url, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from app.errors import ConfigError
from app.extras import POSTGRES

FILE_NAME = "gateway.db"
READ_WAIT, WRITE_WAIT = 0.25, 5.0  # seconds for a lock: an answer waits for the first, the writer's thread for the second
CONNECT_SECONDS = 3
# A server whose machine vanished, be it before or after it took a statement; milliseconds, then seconds.
NOTICE_THAT_IT_IS_GONE = {"tcp_user_timeout": 3000, "keepalives_idle": 5, "keepalives_interval": 1, "keepalives_count": 3}
VERSION = "SELECT max(version) FROM schema_version"
MIGRATION_LOCK = 0x6F636777  # any number that all gateways agree on
WAL_TRIES, WAL_PAUSE = 50, 0.05
WAL_SIZE = 8_000_000  # bytes that the log beside the file keeps when it begins anew

# One tuple of statements for each version of the tables. Never change one that was released: add the next.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE signatures (id VARCHAR(512) PRIMARY KEY, signature TEXT NOT NULL, created DOUBLE PRECISION NOT NULL)",
        "CREATE INDEX signatures_created ON signatures (created)",
        """CREATE TABLE repairs (server VARCHAR(64) NOT NULL, process VARCHAR(64) NOT NULL, rule VARCHAR(100) NOT NULL,
        model VARCHAR(512) NOT NULL, mode VARCHAR(8) NOT NULL, count BIGINT NOT NULL, updated DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (server, process, rule, model, mode))""",
    ),
    (
        """CREATE TABLE traces (id VARCHAR(64) PRIMARY KEY, started DOUBLE PRECISION NOT NULL,
        updated DOUBLE PRECISION NOT NULL, server VARCHAR(64), session VARCHAR(200), client VARCHAR(200),
        user_agent VARCHAR(300), method VARCHAR(16), path VARCHAR(500), model VARCHAR(200), target VARCHAR(300),
        engine VARCHAR(64), stream SMALLINT, status INTEGER, error VARCHAR(1000), finish_reason VARCHAR(64),
        prompt_tokens BIGINT, completion_tokens BIGINT, reasoning_tokens BIGINT, cached_tokens BIGINT,
        cost DOUBLE PRECISION, ttft DOUBLE PRECISION, duration DOUBLE PRECISION, raw_chunks BIGINT, emitted_chunks BIGINT,
        dropped_events BIGINT, repairs VARCHAR(4000), depth VARCHAR(16), size BIGINT NOT NULL, asked VARCHAR(400),
        timings VARCHAR(400))""",
        "CREATE INDEX traces_started ON traces (started, id)",
        "CREATE INDEX traces_updated ON traces (updated)",
        "CREATE INDEX traces_session ON traces (session, started)",
        "CREATE TABLE trace_parts (trace_id VARCHAR(64) NOT NULL, part VARCHAR(16) NOT NULL, data {BLOB} NOT NULL, "
        "PRIMARY KEY (trace_id, part))",
    ),
)
BYTES = {"sqlite": "BLOB", "postgresql": "BYTEA"}  # what {BLOB} stands for

# What may go wrong with a database that is missing, locked, full, broken, or made by a newer gateway.
FAILURES = (SQLAlchemyError, sqlite3.Error, OSError, ImportError, ConfigError)


# What to do about it, by words of SQLite's and of the system's.
OTHER_FOLDER = "let the gateway write there, or set GATEWAY_DATA_DIR to another folder"
NEW_FILE = f"move {FILE_NAME}, {FILE_NAME}-wal and {FILE_NAME}-shm away, and a new one is made"
MORE_ROOM = "make room there, or lower GATEWAY_TRACE_SIZE"
ADVICE = (
    ("not a database", NEW_FILE), ("malformed", NEW_FILE), ("disk is full", MORE_ROOM), ("No space left", MORE_ROOM),
    ("newer gateway", "use that one, or another GATEWAY_DATA_DIR"), ("database is locked", "another program holds it"),
    ("readonly", OTHER_FOLDER), ("Read-only", OTHER_FOLDER), ("Permission denied", OTHER_FOLDER),
    ("unable to open", OTHER_FOLDER), ("Not a directory", OTHER_FOLDER), ("File exists", OTHER_FOLDER),
    ("Is a directory", OTHER_FOLDER), ("there is no database", "a gateway makes it, in its own GATEWAY_DATA_DIR"),
)  # fmt: skip


@dataclass(frozen=True)
class Database:
    """An open database: `reader` for answers (gives up soon), `writer` for the one thread that writes."""

    reader: Engine
    writer: Engine
    path: Path | None = None
    file: tuple[int, int] | None = None

    @property
    def moved(self) -> bool:
        """Whether the file that was opened is no longer the one at its path."""
        return self.path is not None and _identity(self.path) != self.file

    def readable(self) -> bool:
        """Tell whether it can be read now: one that is only locked or full still serves."""
        try:
            with self.reader.connect() as connection:
                connection.execute(statement(VERSION)).scalar()
        except FAILURES:
            return False
        return not self.moved

    def close(self) -> None:
        """Close all connections that are not in use."""
        self.reader.dispose()
        self.writer.dispose()


def open_database(url: str | None, folder: Path) -> Database:
    """Open the database at `url`, else the SQLite file in `folder`, and bring its tables up to date.

    Raises one of FAILURES.
    """
    address = _address(url, folder)
    database = _open_sqlite(address) if address.get_backend_name() == "sqlite" else _open_postgresql(address)
    try:
        migrate(database.writer)
    except FAILURES:
        database.close()
        raise
    return database


def open_reader(url: str | None, folder: Path) -> Engine:
    """Open the same database for reading alone: nothing is made, migrated or written. Raises ConfigError without a file."""
    address = _address(url, folder)
    if address.get_backend_name() != "sqlite":
        database = _open_postgresql(address)
        database.writer.dispose()
        return database.reader
    path = Path(address.database or FILE_NAME)
    if not path.is_file():
        raise ConfigError(f"there is no database at {path}")
    # Each read opens the file anew: it may be replaced while somebody looks.
    read_only = URL.create("sqlite", database=path.resolve().as_uri(), query={"mode": "ro", "uri": "true"})
    arguments = {"timeout": WRITE_WAIT, "isolation_level": None}
    return create_engine(read_only, connect_args=arguments, hide_parameters=True, poolclass=NullPool)


def _address(url: str | None, folder: Path) -> URL:
    if url:
        return make_url(url.replace("postgres://", "postgresql://", 1))
    return URL.create("sqlite", database=str(folder / FILE_NAME))


def _open_sqlite(address: URL) -> Database:
    path = Path(address.database or FILE_NAME)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # its -wal and -shm inherit the mode
    reader, writer = (_sqlite_engine(address, wait) for wait in (READ_WAIT, WRITE_WAIT))
    _switch_to_wal(writer)
    return Database(reader, writer, path, _identity(path))


def _sqlite_engine(address: URL, wait: float) -> Engine:
    # No isolation level: reads begin no transaction, `begin_write` begins one.
    arguments = {"timeout": wait, "isolation_level": None}
    engine = create_engine(address, connect_args=arguments, hide_parameters=True, pool_timeout=READ_WAIT)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")  # in WAL mode a killed process loses nothing that was committed
        connection.execute(f"PRAGMA journal_size_limit={WAL_SIZE}")

    return engine


def _switch_to_wal(engine: Engine) -> None:
    """Let readers and a writer work side by side; the mode stays in the file.

    SQLite does not wait for a lock here, so several workers that start together try again.
    """
    for attempt in range(WAL_TRIES):
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")  # of a new file: it can be cut later
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            return
        except OperationalError as error:
            if "locked" not in str(error) or attempt == WAL_TRIES - 1:
                raise
        time.sleep(WAL_PAUSE)


def _open_postgresql(address: URL) -> Database:
    if not POSTGRES.installed:
        raise ConfigError(POSTGRES.missing)
    address = address.set(drivername="postgresql+psycopg")
    # Without prepared statements it also works behind PgBouncer.
    arguments: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "prepare_threshold": None, **NOTICE_THAT_IT_IS_GONE}
    common: dict[str, Any] = {"connect_args": arguments, "hide_parameters": True, "pool_recycle": 300}
    reader = create_engine(address, isolation_level="AUTOCOMMIT", pool_timeout=READ_WAIT, **common)
    writer = create_engine(address, pool_size=1, pool_pre_ping=True, **common)

    for engine, seconds in ((reader, 1), (writer, WRITE_WAIT)):
        event.listen(engine, "connect", _limit_statements(seconds))
    return Database(reader, writer)


def _limit_statements(seconds: float) -> Any:
    def configure(connection: Any, record: object) -> None:
        connection.execute(f"SET statement_timeout = {int(seconds * 1000)}")
        connection.commit()

    return configure


def begin_write(connection: Connection) -> None:
    """Begin a transaction that may write; SQLite's waits for its turn here and not in the middle."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def migrate(engine: Engine, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> None:
    """Bring the tables to the newest version, keeping what they hold. Raises ConfigError for tables of a newer gateway."""
    with engine.connect() as connection:
        begin_write(connection)
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": MIGRATION_LOCK})
        connection.execute(text("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)"))
        if newer := newer_version(connection, len(migrations)):
            raise ConfigError(newer)
        version = connection.execute(text(VERSION)).scalar() or 0
        for number, statements in enumerate(migrations[version:], version + 1):
            for sql in statements:
                connection.execute(text(sql.replace("{BLOB}", BYTES[connection.dialect.name])))
            connection.execute(text("INSERT INTO schema_version VALUES (:number)"), {"number": number})
        connection.commit()


@cache
def statement(sql: str, many: str | None = None) -> TextClause:
    """Return SQL with `:named` parameters, prepared once; `many` names one that stands for a list."""
    clause = text(sql)
    return clause.bindparams(bindparam(many, expanding=True)) if many else clause


def insert_many(connection: Connection, sql: str, rows: list[tuple[Any, ...]]) -> None:
    """Insert rows with a statement in which %s stands for one of them; half the price of named parameters."""
    if rows:
        mark = "?" if connection.dialect.name == "sqlite" else "%s"
        connection.exec_driver_sql(sql % f"({', '.join([mark] * len(rows[0]))})", rows)


def describe(error: BaseException) -> str:
    """Put a failure into one line: the driver's words, without statement, parameters or address, and what to do."""
    own = getattr(error, "orig", None) or error
    words = (str(own).strip().splitlines() or [type(own).__name__])[0][:200]
    advice = next((advice for sign, advice in ADVICE if sign in words), None)
    return f"{words} ({advice})" if advice else words


def newer_version(connection: Connection, known: int = len(MIGRATIONS)) -> str | None:
    """Tell of tables that were made by a newer gateway, None for others."""
    version = connection.execute(text(VERSION)).scalar() or 0
    return f"it was made by a newer gateway (version {version}, known up to {known})" if version > known else None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
