"""The database is read beside a gateway: nothing is written or made, and what is wrong is told."""

import contextlib
import sqlite3

import pytest

from app.commands.stored import ReadOnlyStore, find_row, load, open_stored
from app.config import Settings
from app.trace_reader import StoreUnavailable
from tests.commands.stored import ask, request_id, say


def settings(folder, **environ):
    return Settings.load({"GATEWAY_DATA_DIR": str(folder), **environ}, dotenv=False, opencode={})


@pytest.fixture
def trace_depth():
    return "chunks"


@pytest.fixture
def stored(client_for, upstream, tmp_path):
    say(upstream, "Hello.")
    gateway = client_for("relay")
    return gateway, open_stored(settings(tmp_path / "var"))


def test_it_sees_what_a_running_gateway_stores(stored):
    gateway, reader = stored
    replies = [ask(gateway, text) for text in ("One", "Two")]
    assert [row["id"] for row in reader.page()[0]] == [request_id(reply) for reply in reversed(replies)]
    capture = load(reader, find_row(reader, request_id(replies[0])))
    assert capture.last("client_request")["messages"][0]["content"] == "One"
    assert b"".join(data for _, data in capture.emitted()) == replies[0].raw


def test_nothing_can_be_written(stored, tmp_path):
    from app.database import FAILURES, open_reader

    ask(stored[0])
    with open_reader(None, tmp_path / "var").connect() as connection, pytest.raises(FAILURES, match="readonly"):
        connection.exec_driver_sql("DELETE FROM traces")


def test_a_missing_database_is_a_problem_and_is_not_made(tmp_path):
    store = ReadOnlyStore(settings(tmp_path))
    assert store.read(lambda connection: 1, 0) == 0
    assert "there is no database" in str(store.problem) and list(tmp_path.iterdir()) == []


def test_one_that_comes_later_is_found(tmp_path, client_for, upstream):
    reader = open_stored(settings(tmp_path / "var"))
    with pytest.raises(StoreUnavailable):
        reader.page()
    say(upstream, "Hello.")
    ask(client_for("relay"))
    assert len(reader.page()[0]) == 1


def test_one_that_is_replaced_is_read_anew(tmp_path, stored):
    gateway, reader = stored
    ask(gateway)
    assert len(reader.page()[0]) == 1
    for file in (tmp_path / "var").glob("gateway.db*"):
        file.unlink()
    with pytest.raises(StoreUnavailable):
        reader.page()


@pytest.mark.parametrize(("content", "problem"), [(b"", "no request was stored yet"), (b"no database" * 100, "not a database")])
def test_a_file_that_is_no_database_of_ours(tmp_path, content, problem):
    (tmp_path / "gateway.db").write_bytes(content)
    with pytest.raises(StoreUnavailable, match=problem):
        open_stored(settings(tmp_path)).page()


def test_one_of_a_newer_gateway_is_told(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "gateway.db")) as connection:
        connection.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
        connection.execute("INSERT INTO schema_version VALUES (99)")
        connection.commit()
    with pytest.raises(StoreUnavailable, match=r"newer gateway.*use that one"):
        open_stored(settings(tmp_path)).page()


def test_nothing_is_stored_yet(tmp_path, stored, capsys):
    ask(stored[0], headers={"x-unused": "1"}, model="no-such-model")
    with contextlib.closing(sqlite3.connect(tmp_path / "var" / "gateway.db")) as connection:
        connection.execute("DELETE FROM traces")
        connection.commit()
    with pytest.raises(SystemExit):
        find_row(stored[1], "last")
    assert capsys.readouterr().err == "Error: No request is stored yet.\n"


def test_two_that_begin_alike_are_told(stored, capsys):
    gateway, reader = stored
    names = [request_id(ask(gateway)) for _ in range(2)]

    class Both:
        def get(self, identifier):
            return None

        def page(self, limit, **filters):
            rows = [row | {"id": "req_aaaa" + row["id"][8:]} for row in reader.page()[0]]
            return rows, None

    with pytest.raises(SystemExit):
        find_row(Both(), "aaaa")
    assert "2 requests begin with aaaa" in capsys.readouterr().err and len(set(names)) == 2
