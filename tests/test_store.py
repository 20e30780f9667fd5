"""The store never fails its caller: forks, kills, missing, locked, broken and vanished databases."""

import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from app import store as store_module
from app.store import Store
from tests.gateway import ROOT

PUT = "INSERT INTO signatures VALUES (:id, 'signature', 1)"
WAIT = 20.0


def put(identifier):
    from app.database import statement

    return lambda connection: connection.execute(statement(PUT), {"id": identifier})


def ids(connection):
    from app.database import statement

    return sorted(row[0] for row in connection.execute(statement("SELECT id FROM signatures")))


@pytest.fixture
def opened():
    stores = []

    def open_store(folder, url=None):
        stores.append(Store(url, folder))
        return stores[-1]

    yield open_store
    for made in stores:
        made.close()


@pytest.fixture
def store(opened, tmp_path):
    return opened(tmp_path)


def stored(folder: Path):
    connection = sqlite3.connect(folder / "gateway.db")
    found = sorted(row[0] for row in connection.execute("SELECT id FROM signatures"))
    connection.close()
    return found


def test_what_is_submitted_is_there_for_others(store, opened, tmp_path):
    assert store.submit(put("a")) and store.submit(put("b"))
    assert store.flush(WAIT)
    assert opened(tmp_path).read(ids, []) == ["a", "b"]
    assert (store.problem, store.failures, store.dropped) == (None, 0, 0)


def test_nothing_is_opened_before_it_is_needed(store, tmp_path):
    assert list(tmp_path.iterdir()) == [] and store.flush(0.1)


def test_a_delayed_job_waits_and_the_end_does_not(store):
    store.submit(put("later"), delay=3600)
    store.submit(put("now"))
    assert store.flush(WAIT) and store.read(ids, []) == ["now"]
    store.finish(WAIT)
    assert store.read(ids, []) == ["later", "now"]


def test_a_delayed_job_runs_when_its_time_has_come(store):
    done = threading.Event()
    store.submit(lambda connection: done.set(), delay=0.05)
    assert done.wait(WAIT)


def test_a_closed_store_opens_again(store):
    store.submit(put("a"))
    store.close()
    store.submit(put("b"))
    assert store.flush(WAIT) and store.read(ids, []) == ["a", "b"]


def test_a_bug_in_one_job_does_not_end_the_writer(store, caplog):
    store.submit(lambda connection: 1 / 0)
    assert store.flush(WAIT)
    store.submit(put("a"))
    assert store.flush(WAIT) and store.read(ids, []) == ["a"]
    assert store.failures == 1 and "bug in a database job" in caplog.text


class TestWithoutADatabase:
    """Reads return what was given for that case, writes are lost and counted, one line says so."""

    def check(self, store, caplog, words):
        with caplog.at_level(logging.WARNING, "gateway"):
            for name in ("a", "b", "c"):
                store.submit(put(name))
                assert store.flush(WAIT)
                assert store.read(ids, ["none"]) == ["none"]
        assert words in store.problem
        assert store.failures >= 4
        assert [record.levelname for record in caplog.records] == ["WARNING"]

    def test_a_folder_that_cannot_be_made(self, opened, tmp_path, caplog):
        (tmp_path / "file").touch()
        self.check(opened(tmp_path / "file" / "var"), caplog, "Not a directory")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_folder_that_is_read_only(self, opened, tmp_path, caplog):
        (tmp_path / "var").mkdir(mode=0o500)
        self.check(opened(tmp_path / "var"), caplog, "Permission denied")

    def test_a_file_that_is_no_database(self, opened, tmp_path, caplog):
        (tmp_path / "gateway.db").write_bytes(b"x" * 10_000)
        self.check(opened(tmp_path), caplog, "not a database")

    def test_a_server_that_is_not_there(self, opened, tmp_path, caplog):
        pytest.importorskip("psycopg")
        self.check(opened(tmp_path, f"postgresql://user:canary@/gw?host={tmp_path}"), caplog, "No such file")
        assert "canary" not in caplog.text

    def test_a_driver_that_is_not_installed(self, opened, tmp_path, caplog, monkeypatch):
        monkeypatch.setitem(sys.modules, "psycopg", None)
        self.check(opened(tmp_path, "postgres://user:canary@127.0.0.1:1/gw"), caplog, "`./run.sh --postgres`")
        assert "canary" not in caplog.text

    def test_a_database_of_a_newer_gateway(self, opened, tmp_path, caplog):
        first = opened(tmp_path)
        first.submit(lambda connection: connection.exec_driver_sql("INSERT INTO schema_version VALUES (999)"))
        first.close()
        self.check(opened(tmp_path), caplog, "newer gateway")


class TestAServerThatStandsStill:
    """Its connections are open, and nothing comes: a read waits for so long and no longer, and says so once."""

    @pytest.fixture
    def standing(self, opened, tmp_path, monkeypatch):
        """A store whose reads stand still until the event is set; it takes the file for a server's."""
        monkeypatch.setattr(store_module, "READ_LIMIT", 0.05)
        store, gate = opened(tmp_path), threading.Event()
        assert store.read(ids, None) == []
        store._database = replace(store._database, path=None, file=None)
        yield store, lambda connection: gate.wait(WAIT)
        gate.set()

    def test_many_reads_at_once_are_one_outage(self, standing, caplog):
        store, stand = standing
        with caplog.at_level(logging.WARNING, "gateway"), ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda _: store.read(stand, "nothing"), range(8))) == ["nothing"] * 8
        assert store._pause == 2 * store_module.PAUSES[0] and store.failures == 8
        assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == ["no answer within 0.05 seconds"]

    def test_later_reads_do_not_wait_and_it_is_used_again(self, standing, monkeypatch):
        store, stand = standing
        assert store.read(stand, "nothing") == "nothing" and store.problem
        assert store.read(stand, "nothing") == "nothing", "at once, or this test would take its time"
        store._next_try = 0.0
        assert store.read(ids, "nothing") == "nothing" and store.flush(WAIT)
        assert store.problem is None and store.read(ids, "nothing") == []

    def test_a_bug_in_a_query_is_its_callers(self, standing):
        with pytest.raises(ZeroDivisionError):
            standing[0].read(lambda connection: 1 // 0, "nothing")

    def test_only_the_first_reads_wait_until_it_is_opened(self, opened, tmp_path):
        pytest.importorskip("psycopg")
        with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections and says nothing
            store = opened(tmp_path, f"postgresql://user@127.0.0.1:{silent.getsockname()[1]}/gw")
            began = time.monotonic()
            assert [store.read(ids, "nothing", 0.4) for _ in range(6)] == ["nothing"] * 6
            assert time.monotonic() - began < 1.5, "each waits for itself"


def test_a_full_disk_costs_writes_and_no_reads(store, caplog):
    def fill(connection):
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite's own way to say that there is no room
        connection.exec_driver_sql("INSERT INTO signatures VALUES ('big', printf('%.*c', 1000000, 'x'), 1)")

    store.submit(put("a"))
    store.flush(WAIT)
    store.submit(fill)
    assert store.flush(WAIT)
    assert store.failures == 1 and "full" in store.problem
    assert store.read(ids, []) == ["a"]


def test_a_lock_delays_writes_and_no_reads(store, tmp_path):
    store.begin()
    store.flush(WAIT)
    other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store.submit(put("a"))
    assert store.read(ids, None) == [] and not store.flush(0.1)
    other.execute("ROLLBACK")
    other.close()
    assert store.flush(WAIT) and store.read(ids, []) == ["a"] and store.problem is None


def test_a_database_that_vanishes_is_made_again(store, tmp_path):
    store.submit(put("a"))
    store.flush(WAIT)
    for path in tmp_path.iterdir():
        path.unlink()
    store.submit(put("b"))
    assert store.flush(WAIT) and stored(tmp_path) == ["b"]


@pytest.mark.parametrize("replaced", [True, False])
def test_who_only_reads_finds_the_file_that_is_there_now(store, opened, tmp_path, replaced):
    store.submit(put("old"))
    assert store.flush(WAIT) and store.read(ids, None) == ["old"]
    (tmp_path / "aside").mkdir()
    for path in list(tmp_path.glob("gateway.db*")):
        path.rename(tmp_path / "aside" / path.name)
    if replaced:
        other = opened(tmp_path)
        other.submit(put("new"))
        assert other.flush(WAIT)
    assert store.read(ids, None, WAIT) == (["new"] if replaced else [])


def test_it_works_again_when_the_database_does(opened, tmp_path, caplog):
    path = tmp_path / "gateway.db"
    path.write_bytes(b"x" * 10_000)
    store = opened(tmp_path)
    store.submit(put("lost"))
    store.flush(WAIT)
    path.unlink()
    done = threading.Event()
    for _ in range(200):  # it is tried again after a second
        store.submit(lambda connection: done.set())
        store.flush(WAIT)
        if done.wait(0.05):
            break
    assert done.is_set()
    with caplog.at_level(logging.WARNING, "gateway"):
        store.submit(put("a"))
        assert store.flush(WAIT)
    assert store.problem is None and stored(tmp_path) == ["a"]


def test_a_writer_that_stands_still_drops_and_never_waits(store, caplog):
    gate, entered = threading.Event(), threading.Event()

    def stand(connection):
        entered.set()
        gate.wait(WAIT)

    store.submit(stand)
    assert entered.wait(WAIT)
    taken = sum(store.submit(lambda connection: None) for _ in range(store_module.QUEUE_SIZE + 100))
    assert (taken, store.dropped) == (store_module.QUEUE_SIZE, 100)
    gate.set()
    assert store.flush(WAIT) and caplog.text.count("too slow") == 1


def test_many_threads_read_and_write(store):
    def work(number):
        for step in range(20):
            store.submit(put(f"{number}-{step}"))
            assert store.read(ids, None) is not None

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert store.flush(WAIT) and len(store.read(ids, [])) == 160 and store.failures == 0


CHILD = """
import os, sys
from pathlib import Path
from tests.test_store import Store, ids, put
store = Store(None, Path(sys.argv[1]))
"""


def run(code, folder, **how):
    return subprocess.Popen([sys.executable, "-c", CHILD + code, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, **how)


def test_a_fork_gets_a_writer_of_its_own(tmp_path):
    code = """
store.submit(put("before")); store.flush(20)
child = os.fork()
store.submit(put("child" if child == 0 else "parent"))
assert store.flush(20) and store.problem is None
if child == 0:
    assert "before" in store.read(ids, [])
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    process = run(code, tmp_path)
    process.communicate(timeout=60)
    assert process.returncode == 0 and stored(tmp_path) == ["before", "child", "parent"]


def test_what_was_written_outlives_a_kill(tmp_path, opened):
    code = """
store.submit(put("a")); store.flush(20)
print("ready", flush=True)
while True: store.submit(put(os.urandom(8).hex()))
"""
    process = run(code, tmp_path)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    store = opened(tmp_path)
    assert "a" in store.read(ids, []) and store.problem is None
    store.submit(put("after"))
    assert store.flush(WAIT) and "after" in stored(tmp_path)


def test_the_end_of_a_process_writes_what_waits(tmp_path):
    process = run('store.submit(put("a")); store.submit(put("b"), delay=60)', tmp_path)
    process.communicate(timeout=60)
    assert process.returncode == 0 and stored(tmp_path) == ["a", "b"]


def test_without_sqlalchemy_the_gateway_goes_on(tmp_path):
    code = """
import sys
sys.modules["sqlalchemy"] = None
assert store.submit(lambda c: None) and store.flush(20) and store.read(ids, "nothing") == "nothing"
assert "sqlalchemy" in store.problem
"""
    process = run(code, tmp_path, stderr=subprocess.PIPE)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert errors.count(b"goes on without it") == 1 and b"Traceback" not in errors


def test_a_start_and_a_health_check_open_nothing(tmp_path):
    code = """
from app import create_app
from app.config import Settings
settings = Settings.load({"GATEWAY_DATA_DIR": sys.argv[1] + "/var"}, dotenv=False, opencode={})
assert create_app(settings).test_client().get("/health").status_code == 200
assert "sqlalchemy" not in sys.modules and not Path(sys.argv[1], "var").exists()
"""
    process = run(code, tmp_path, stderr=subprocess.PIPE)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
