"""The keeper and its client with real processes: load once, share, evict, unload, survive crashes, end with the workers."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.cancel import CancelToken
from app.local_models.errors import ModelLoadFailed, ModelLoading
from app.local_models.keeper_client import KeeperClient
from app.local_models.keeper_protocol import Channel, listen, socket_path
from tests.local_models.models import model_folder, order  # noqa: F401 (a fixture)
from tests.tiny_gguf import make

WAIT = 30.0


@pytest.fixture
def keeper(tmp_path):
    client = KeeperClient(tmp_path / "data", 10**10, 0, 0.2)
    yield client
    client.close(wait=True)


def until(check, seconds=20.0):
    """Wait for another process; there is nothing to select on."""
    end = time.monotonic() + seconds
    while not check() and time.monotonic() < end:
        threading.Event().wait(0.02)
    assert check()


def say(loaded):
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 30}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {loaded.key}"}
    request = urllib.request.Request(f"{loaded.base_url}/chat/completions", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


def test_a_model_is_loaded_on_first_use_and_stays(keeper, model_folder):  # noqa: F811
    wanted = order(model_folder / "tiny.gguf", "my/tiny")
    assert keeper.status("my/tiny").state == "discovered"
    with keeper.lease(wanted, WAIT) as loaded:
        assert "tiny test model" in say(loaded)
        status = keeper.status("my/tiny")
        assert (status.state, status.active) == ("busy", 1)
        assert status.memory_bytes and status.loaded_at and abs(status.loaded_at - time.time()) < 60
    until(lambda: keeper.status("my/tiny").state == "ready")
    with keeper.lease(wanted, WAIT) as again:
        assert again.pid == loaded.pid


def test_many_at_once_load_it_once(keeper, model_folder):  # noqa: F811
    wanted = order(model_folder / "tiny.gguf")
    with ThreadPoolExecutor(8) as pool:
        assert len({loaded.pid for loaded in pool.map(lambda _: keeper.load(wanted, WAIT), range(8))}) == 1


def test_unloading_ends_the_process(keeper, model_folder):  # noqa: F811
    loaded = keeper.load(order(model_folder / "tiny.gguf"), WAIT)
    until(lambda: keeper.status("tiny").state == "ready")
    assert keeper.unload("tiny").state == "discovered"
    with pytest.raises(ProcessLookupError):
        os.kill(loaded.pid, 0)
    assert keeper.unload("tiny").state == "discovered"


def test_unloading_waits_for_a_running_answer(keeper, model_folder):  # noqa: F811
    with ThreadPoolExecutor(1) as pool:
        with keeper.lease(order(model_folder / "tiny.gguf"), WAIT) as loaded:
            unloading = pool.submit(keeper.unload, "tiny")
            until(lambda: keeper.status("tiny").state == "unloading")
            assert "tiny test model" in say(loaded)
            assert not unloading.done()
        assert unloading.result(20).state == "discovered"


def test_a_killed_model_is_failed_and_loads_again(keeper, model_folder):  # noqa: F811
    wanted = order(model_folder / "tiny.gguf")
    first = keeper.load(wanted, WAIT)
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: keeper.status("tiny").state == "failed")
    assert "SIGKILL" in (keeper.status("tiny").reason or "")
    assert keeper.load(wanted, WAIT).pid != first.pid


def test_a_model_that_is_killed_while_it_loads_is_loaded_once_more(tmp_path, keeper, model_folder):  # noqa: F811
    os.mkfifo(tmp_path / "slow.gguf")  # whoever reads it waits for ever
    wanted = order(model_folder / "tiny.gguf") | {"path": str(tmp_path / "slow.gguf")}
    seen: set[int] = set()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(keeper.load, wanted, 60)
        for _ in range(2):
            until(lambda: hosts_of(keeper) - seen)
            (new,) = hosts_of(keeper) - seen
            seen.add(new)
            os.kill(new, signal.SIGKILL)
        with pytest.raises(ModelLoadFailed, match="SIGKILL"):
            waiting.result(60)
    assert hosts_of(keeper) == set()


def hosts_of(keeper):
    """The ids of the processes that the keeper started, as far as they live."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if keeper._started is not None and int(parent) == keeper._started.pid and state != "Z":
                found.add(int(stat.parent.name))
    return found


def test_who_found_a_model_dead_does_not_get_it_again(keeper, model_folder):  # noqa: F811
    wanted = order(model_folder / "tiny.gguf")
    first = keeper.load(wanted, WAIT)
    os.kill(first.pid, signal.SIGKILL)
    with keeper.lease(wanted, WAIT, lost=first.pid) as again:
        assert again.pid != first.pid
    with keeper.lease(wanted, WAIT, lost=first.pid) as still:
        assert still.pid == again.pid
    with pytest.raises(ModelLoading):
        with keeper.lease(wanted, 0, lost=again.pid):
            pass


def test_a_corrupt_file_fails_with_its_reason_and_others_go_on(keeper, model_folder):  # noqa: F811
    with keeper.lease(order(model_folder / "tiny.gguf"), WAIT) as loaded:
        for _ in range(2):
            with pytest.raises(ModelLoadFailed, match="not within the file bounds"):
                keeper.load(order(model_folder / "bad.gguf", "bad"), WAIT)
        assert keeper.status("bad").state == "failed"
        assert "tiny test model" in say(loaded)


def test_the_least_recently_used_model_makes_room(tmp_path, model_folder):  # noqa: F811
    size = 200_000_000
    keeper = KeeperClient(tmp_path / "data", 2 * size, 0, 0.2)
    first, second, third = (order(model_folder / "tiny.gguf", name, size=size) for name in ("one", "two", "three"))
    try:
        for wanted in (first, second, first, third):
            keeper.load(wanted, WAIT)
        until(lambda: {status.name: status.state for status in keeper.statuses()} == {"one": "ready", "three": "ready"})
        with keeper.lease(first, WAIT), keeper.lease(third, WAIT):
            with pytest.raises(ModelLoading) as told:
                keeper.load(second, 0.3)
        assert (told.value.status, int(told.value.headers["Retry-After"]) > 0) == (503, True)
        with pytest.raises(ModelLoadFailed, match="all local models together"):
            keeper.load(order(model_folder / "tiny.gguf", "huge", size=3 * size), WAIT)
    finally:
        keeper.close(wait=True)


def test_those_that_wait_for_the_same_room_get_it_one_after_the_other(tmp_path, model_folder):  # noqa: F811
    size = 200_000_000
    keeper = KeeperClient(tmp_path / "data", size, 0, 0.2)
    orders = [order(model_folder / "tiny.gguf", name, size=size) for name in ("one", "two", "three", "four")]

    def use(wanted):
        with keeper.lease(wanted, 4 * WAIT) as loaded:
            return say(loaded)

    try:
        with ThreadPoolExecutor(9) as pool:
            with keeper.lease(orders[0], WAIT):
                answers = [pool.submit(use, wanted) for wanted in orders[1:] * 3]
                until(lambda: len(keeper.statuses()) == 4)
            assert all("tiny test model" in answer.result(4 * WAIT) for answer in answers)
    finally:
        keeper.close(wait=True)


def test_what_is_unloaded_while_it_waits_for_room_is_never_loaded(tmp_path, model_folder):  # noqa: F811
    size = 200_000_000
    keeper = KeeperClient(tmp_path / "data", size, 0, 0.2)
    one, two, three = (order(model_folder / "tiny.gguf", name, size=size) for name in ("one", "two", "three"))
    try:
        with keeper.lease(one, WAIT):
            with pytest.raises(ModelLoading):
                keeper.load(two, 0)
            assert keeper.unload("two").state == "discovered"
        keeper.load(three, WAIT)
        assert [status.name for status in keeper.statuses()] == ["three"]
    finally:
        keeper.close(wait=True)
    assert not (tmp_path / "data" / "local-models" / "two.log").exists()  # each process has one


def test_what_is_unloaded_while_it_loads_ends_at_once(tmp_path, keeper, model_folder):  # noqa: F811
    os.mkfifo(tmp_path / "slow.gguf")  # whoever reads it waits for ever
    slow = order(model_folder / "tiny.gguf") | {"path": str(tmp_path / "slow.gguf")}
    with pytest.raises(ModelLoading):
        keeper.load(slow, 0)
    until((tmp_path / "data" / "local-models" / "tiny.log").exists)
    assert keeper.unload("tiny").state == "discovered"
    with keeper.lease(order(model_folder / "tiny.gguf"), WAIT) as loaded:
        assert keeper.status("tiny").state == "busy"
        assert "tiny test model" in say(loaded)


def test_a_template_that_eats_memory_is_stopped(tmp_path):
    bomb = make(tmp_path / "bomb.gguf", chat_template="{% for i in range(10000000) %}{{ 'x' * 100000 }}{% endfor %}")
    keeper = KeeperClient(tmp_path / "data", 300_000_000, 0, 0.2)
    try:
        with pytest.raises(ModelLoadFailed, match="bytes, all local models together may take"):
            keeper.load(order(bomb), 120)
        assert keeper.status("tiny").state == "failed"
    finally:
        keeper.close(wait=True)


def test_an_idle_model_is_unloaded(tmp_path, model_folder):  # noqa: F811
    keeper = KeeperClient(tmp_path / "data", 10**10, 0.5, 0.2)
    try:
        keeper.load(order(model_folder / "tiny.gguf"), WAIT)
        until(lambda: keeper.status("tiny").state == "discovered")
    finally:
        keeper.close(wait=True)


def test_a_client_that_goes_away_stops_waiting(tmp_path, model_folder):  # noqa: F811
    size = 200_000_000
    keeper = KeeperClient(tmp_path / "data", size, 0, 0.2)
    cancel = CancelToken()
    try:
        with keeper.lease(order(model_folder / "tiny.gguf", "one", size=size), WAIT), ThreadPoolExecutor(1) as pool:

            def wait_for_room():
                with keeper.lease(order(model_folder / "tiny.gguf", "two", size=size), 1000, cancel):
                    return "loaded"

            waiting = pool.submit(wait_for_room)
            until(lambda: keeper.status("two").state == "loading")
            cancel.cancel()
            with pytest.raises(ModelLoading):
                waiting.result(10)
    finally:
        keeper.close(wait=True)


def test_leases_of_a_killed_worker_are_given_back(tmp_path, keeper, model_folder):  # noqa: F811
    wanted = order(model_folder / "tiny.gguf")
    keeper.load(wanted, WAIT)
    code = (
        "import sys, json; from pathlib import Path\n"
        "from app.local_models.keeper_client import KeeperClient\n"
        f"client = KeeperClient(Path({str(tmp_path / 'data')!r}), 10**10, 0, 0.2)\n"
        f"with client.lease({wanted!r}, 30): print('leased', flush=True); sys.stdin.read()\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert worker.stdin is not None and worker.stdout is not None
    with worker.stdin, worker.stdout:
        assert worker.stdout.readline() == b"leased\n"
        assert keeper.status("tiny").active == 1
        worker.kill()
        worker.wait()
    until(lambda: keeper.status("tiny").active == 0)


def test_it_ends_after_the_last_worker_and_takes_its_models_along(tmp_path, model_folder):  # noqa: F811
    keeper = KeeperClient(tmp_path / "data", 10**10, 0, 0.2)
    loaded = keeper.load(order(model_folder / "tiny.gguf"), WAIT)
    host = os.pidfd_open(loaded.pid)
    keeper.close(wait=True)
    assert select.select([host], [], [], 20)[0]
    os.close(host)
    assert keeper.statuses() == []


@pytest.mark.parametrize("answers", [False, True], ids=["it is going", "it goes after its greeting"])
def test_a_keeper_that_is_about_to_end_is_followed_by_another(keeper, tmp_path, model_folder, answers):  # noqa: F811
    (tmp_path / "data").mkdir()
    path = socket_path(tmp_path / "data")
    listener = listen(path)

    def end():
        channel = Channel(listener.accept()[0])
        channel.receive()
        path.unlink()
        listener.close()
        if answers:
            channel.send(ok=True, pid=1)
        channel.close()

    threading.Thread(target=end).start()
    assert "tiny test model" in say(keeper.load(order(model_folder / "tiny.gguf"), WAIT))


def test_a_folder_that_cannot_be_written_is_told(tmp_path, model_folder):  # noqa: F811
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ModelLoadFailed, match="cannot be written"):
        KeeperClient(tmp_path / "data", 10**10, 0, 0.2).load(order(model_folder / "tiny.gguf"), WAIT)


def test_asking_starts_nothing(tmp_path):
    keeper = KeeperClient(tmp_path / "data", 10**10, 0, 0.2)
    assert keeper.statuses() == []
    assert keeper.unload("x").state == "discovered"
    assert not (tmp_path / "data").exists()
