"""The database file: its mode, its tables, what a newer or broken one leads to."""

import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from app import database
from app.errors import ConfigError
from tests.gateway import ROOT


@pytest.fixture
def opened(tmp_path):
    made = database.open_database(None, tmp_path / "var")
    yield made
    made.close()


def rows(connection, sql, **parameters):
    return [tuple(row) for row in connection.execute(database.statement(sql), parameters)]


def test_the_file_and_its_companions_are_for_the_owner_alone(opened, tmp_path):
    with opened.writer.connect() as connection:
        database.begin_write(connection)
        connection.execute(database.statement("INSERT INTO signatures VALUES ('a', 'b', 1)"))
        connection.commit()
    names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "var").iterdir()}
    assert set(names) == {"gateway.db", "gateway.db-wal", "gateway.db-shm"}
    assert set(names.values()) == {0o600}


def test_opening_again_keeps_what_is_stored(opened, tmp_path):
    with opened.writer.connect() as connection:
        connection.execute(database.statement("INSERT INTO signatures VALUES ('a', 'b', 1)"))
    again = database.open_database(f"sqlite:///{tmp_path}/var/gateway.db", tmp_path / "elsewhere")
    with again.reader.connect() as connection:
        assert rows(connection, "SELECT id, signature FROM signatures") == [("a", "b")]
        assert rows(connection, "SELECT version FROM schema_version") == [(n + 1,) for n in range(len(database.MIGRATIONS))]
    again.close()
    assert not (tmp_path / "elsewhere").exists()


def test_tables_of_an_older_version_are_brought_up_and_kept(opened, tmp_path):
    with opened.writer.connect() as connection:
        connection.execute(database.statement("INSERT INTO signatures VALUES ('a', 'b', 1)"))
    newer = (*database.MIGRATIONS, ("ALTER TABLE signatures ADD COLUMN note TEXT", "CREATE TABLE more (x INTEGER)"))
    database.migrate(opened.writer, newer)
    with opened.reader.connect() as connection:
        assert rows(connection, "SELECT id, signature, note FROM signatures") == [("a", "b", None)]
    with pytest.raises(ConfigError, match="newer gateway"):
        database.open_database(None, tmp_path / "var")


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path):
    path = tmp_path / "gateway.db"
    path.write_bytes(b"not a database " * 1000)
    with pytest.raises(database.FAILURES, match="not a database"):
        database.open_database(None, tmp_path)
    assert path.read_bytes() == b"not a database " * 1000


def test_a_failure_is_described_without_statement_or_parameters(opened):
    with opened.reader.connect() as connection, pytest.raises(database.FAILURES) as caught:
        connection.execute(database.statement("SELECT * FROM no_table WHERE id = :secret"), {"secret": "canary"})
    assert database.describe(caught.value) == "no such table: no_table"
    assert "canary" not in str(caught.value)


def test_readers_do_not_wait_for_a_writer(opened, tmp_path):
    other = sqlite3.connect(tmp_path / "var" / "gateway.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO signatures VALUES ('a', 'b', 1)")
    assert opened.readable()
    with opened.reader.connect() as connection:
        assert rows(connection, "SELECT id FROM signatures") == []
    other.execute("ROLLBACK")
    other.close()


def test_a_file_that_was_taken_away_is_noticed(opened, tmp_path):
    assert not opened.moved
    (tmp_path / "var" / "gateway.db").unlink()
    assert opened.moved and not opened.readable()


def test_several_processes_may_open_a_new_database_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from app.database import open_database;"
        "sys.stdin.readline(); open_database(None, Path(sys.argv[1])).close()"
    )
    many = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE) for _ in range(4)
    ]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda process: process.communicate(b"go\n", timeout=60), many))
    assert [process.returncode for process in many] == [0, 0, 0, 0]


@pytest.mark.skipif("TEST_DATABASE_URL" not in os.environ, reason="TEST_DATABASE_URL names no PostgreSQL to test with")
def test_postgresql_takes_the_same_tables(tmp_path):
    made = database.open_database(os.environ["TEST_DATABASE_URL"], tmp_path)
    with made.reader.connect() as connection:
        assert rows(connection, "SELECT max(version) FROM schema_version") == [(len(database.MIGRATIONS),)]
    made.close()


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("file is not a database", "a new one is made"),
        ("database disk image is malformed", "a new one is made"),
        ("database or disk is full", "make room"),
        ("[Errno 28] No space left on device", "make room"),
        ("attempt to write a readonly database", "GATEWAY_DATA_DIR"),
        ("[Errno 30] Read-only file system: '/x'", "GATEWAY_DATA_DIR"),
        ("it was made by a newer gateway (version 9, known up to 2)", "use that one"),
    ],
)
def test_a_failure_says_what_to_do(words, advice):
    assert database.describe(OSError(words)).startswith(words + " (") and advice in database.describe(OSError(words))
