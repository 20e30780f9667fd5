"""Thought signatures: what is remembered, for how long, how much of it, and what is not even looked up."""

import sqlite3
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import Settings
from app.signature_store import DAY, LONGEST_ID, Memory, SignatureStore, is_sound_id, open_signatures
from app.store import Store
from tests.gateway import ROOT

WAIT = 20.0


class Clock:
    now = 1_000_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def store(tmp_path):
    made = Store(None, tmp_path)
    yield made
    made.close()


@pytest.fixture
def clock():
    return Clock()


def stored(folder):
    connection = sqlite3.connect(folder / "gateway.db")
    found = [row[0] for row in connection.execute("SELECT id FROM signatures ORDER BY created, id")]
    connection.close()
    return found


def test_the_own_worker_answers_at_once_and_without_a_database(tmp_path):
    (tmp_path / "file").touch()
    store = Store(None, tmp_path / "file")
    signatures = SignatureStore(store, 30, 100)
    signatures.put("call_1", "signature")
    assert signatures.get_many(["call_1", "call_2", "call_1"]) == {"call_1": "signature"}
    store.close()


def test_another_worker_finds_it_in_the_database(store):
    SignatureStore(store, 30, 100).put("call_1", "signature")
    assert store.flush(WAIT)
    assert SignatureStore(store, 30, 100).get_many(["call_1", "other"]) == {"call_1": "signature"}


def test_another_process_finds_it(store, tmp_path):
    code = (
        "import sys; from pathlib import Path; from app.store import Store; from app.signature_store import SignatureStore;"
        "store = Store(None, Path(sys.argv[1])); s = SignatureStore(store, 30, 100); store.begin(); store.flush(20);"
        "print(s.get_many(['mine'])['mine']); s.put('yours', 'two'); store.flush(20)"
    )
    signatures = SignatureStore(store, 30, 100)
    signatures.put("mine", "one")
    assert store.flush(WAIT)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, timeout=60)
    assert done.stdout == b"one\n", done.stderr
    assert signatures.get_many(["yours"]) == {"yours": "two"}


def test_the_newest_signature_of_an_id_counts(store):
    signatures = SignatureStore(store, 30, 100)
    signatures.put("call_1", "old")
    signatures.put("call_1", "new")
    store.flush(WAIT)
    for known in (signatures, SignatureStore(store, 30, 100)):
        assert known.get_many(["call_1"]) == {"call_1": "new"}


@pytest.mark.parametrize("fresh", [False, True], ids=["memory", "database"])
def test_days_of_life(store, clock, fresh):
    signatures = SignatureStore(store, 30, 100, clock)
    signatures.put("call_1", "signature")
    store.flush(WAIT)
    reader = SignatureStore(store, 30, 100, clock) if fresh else signatures
    clock.now += 30 * DAY
    assert reader.get_many(["call_1"])
    clock.now += 1
    assert not reader.get_many(["call_1"])


def test_pruning_forgets_what_is_old_then_what_is_too_many(store, clock, tmp_path):
    signatures = SignatureStore(store, 1, 3, clock)
    signatures.put("old", "s")
    clock.now += 2 * DAY
    for number in range(5):
        clock.now += 1
        signatures.put(f"new{number}", "s")
    store.submit(signatures.prune)
    assert store.flush(WAIT)
    assert stored(tmp_path) == ["new2", "new3", "new4"]


def test_pruning_comes_by_itself_after_many_puts(store, clock, tmp_path):
    signatures = SignatureStore(store, 1, 10, clock)
    for number in range(1_000):
        clock.now += 1
        signatures.put(f"call_{number}", "s")
    assert store.flush(WAIT)
    assert len(stored(tmp_path)) == 10


HOSTILE = ["", "x" * (LONGEST_ID + 1), "nul\0", "line\nbreak", "\ud800", None, 7, ["list"], b"bytes"]


@pytest.mark.parametrize("identifier", HOSTILE, ids=repr)
def test_what_is_no_id_is_not_looked_up(identifier):
    assert not is_sound_id(identifier)


def test_hostile_ids_and_signatures_do_no_harm(store):
    signatures = SignatureStore(store, 30, 100)
    quoting = "'; DROP TABLE signatures; --"
    for identifier in (*[i for i in HOSTILE if isinstance(i, str)], quoting):
        signatures.put(identifier, "signature")
    for signature in ("", "\0", "\ud800", "x" * 300_000):
        signatures.put("call_1", signature)
    store.flush(WAIT)
    hashable = [i for i in HOSTILE if not isinstance(i, list)]
    fresh = SignatureStore(store, 30, 100)
    assert fresh.get_many([*hashable, quoting, "call_1", "%", "_"]) == {quoting: "signature"}
    assert store.problem is None and store.failures == 0


def test_ten_thousand_ids_are_one_short_look(store):
    signatures = SignatureStore(store, 30, 100)
    signatures.put("call_1", "signature")
    store.flush(WAIT)
    assert SignatureStore(store, 30, 100).get_many(["call_1", *map(str, range(10_000))]) == {"call_1": "signature"}
    assert store.problem is None


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.text(max_size=20)), max_size=40))
def test_the_memory_is_the_newest_entries_within_its_bounds(puts):
    memory, expected = Memory(entries=4, characters=50), {}
    for identifier, signature in puts:
        memory.put(identifier, signature, 1.0)
        expected.pop(identifier, None)
        expected[identifier] = signature
        while len(expected) > 4 or sum(len(i) + len(s) for i, s in expected.items()) > 50:
            del expected[next(iter(expected))]
    assert memory.get_many("abcdef", 0.0) == expected


def test_what_was_asked_for_stays_longest():
    memory = Memory(entries=2)
    memory.put("a", "1", 1.0)
    memory.put("b", "2", 1.0)
    memory.get_many(["a"], 0.0)
    memory.put("c", "3", 1.0)
    assert memory.get_many("abc", 0.0) == {"a": "1", "c": "3"}


@pytest.mark.parametrize("off", [{"GATEWAY_SIGNATURE_DAYS": "0"}, {"GATEWAY_SIGNATURE_LIMIT": "0"}])
def test_it_can_be_switched_off(store, off):
    assert open_signatures(store, Settings.load(off, dotenv=False, opencode={})) is None
    assert open_signatures(store, Settings.load({}, dotenv=False, opencode={})) is not None
