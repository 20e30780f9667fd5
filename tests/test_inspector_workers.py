"""Stored requests of a gateway with several worker processes: one token, one list, one live feed; on both worker classes."""

import http.client
import json
import os
import re
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import Gateway
from tests.maps import write_map
from tests.upstream import FakeUpstream

LIMIT = 60.0
AT_ONCE = 12
WORDS = [{"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]} for word in ("one ", "two")]
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


@contextmanager
def started(folder: Path, upstream: FakeUpstream, **environ: str) -> Iterator[Gateway]:
    up = {"options": {"engine": "relay", "baseURL": upstream.base_url, "apiKey": "sk-0123456789ab"}, "models": {"m": {}}}
    path = write_map(folder, {"provider": {"up": up, "mock": {"options": {"engine": "mock"}, "models": {"mock": {}}}}})
    with Gateway(folder, OPENCODE_CONFIG=path, GATEWAY_WORKERS="2", **environ) as gateway:
        yield gateway


def token_of(gateway: Gateway) -> str:
    found = re.findall(r"/inspector\?token=(\S+)", gateway.output())
    assert len(found) == 1, "the address is printed once, whatever the number of workers"
    return str(found[0])


@contextmanager
def asked(gateway: Gateway, method: str, path: str, body: Any = None, **headers: str) -> Iterator[http.client.HTTPResponse]:
    """Send a request on a connection of its own and yield the answer; closing it is the end of both."""
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=LIMIT)) as connection:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        yield connection.getresponse()


def say(gateway: Gateway, model: str, text: str, stream: bool = False) -> str:
    """Ask a model and return the id of the request."""
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}
    with asked(gateway, "POST", "/v1/chat/completions", body) as answer:
        answer.read()
        return str(answer.headers["x-request-id"])


class Feed:
    """The live feed, read as it comes."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        assert answer.status == 200, answer.read()
        self._answer = answer
        assert self.next()[0] == "ping"

    def next(self) -> tuple[str, Any]:
        """Wait for the next event."""
        event = {}
        while line := self._answer.readline().decode():
            if line == "\n" and "event" in event:
                return event["event"], json.loads(event["data"])
            name, _, value = line.rstrip("\n").partition(": ")
            event[name] = value
        raise AssertionError("the feed ended")

    def until_ended(self, ids: set[str]) -> list[dict[str, Any]]:
        """Return the rows up to the one that ends the last of these requests."""
        rows = []
        while ids:
            name, row = self.next()
            if name == "trace":
                rows.append(row)
                if row["duration"] is not None:
                    ids = ids - {row["id"]}
        return rows


@pytest.mark.parametrize("worker_class", ("gthread", "gevent"))
def test_all_workers_take_the_token_and_each_sees_what_all_served(tmp_path, upstream, worker_class):
    if worker_class == "gevent":
        pytest.importorskip("gevent")
    ids: list[str] = []
    with started(tmp_path, upstream, GATEWAY_WORKER_CLASS=worker_class) as gateway:
        token = token_of(gateway)
        with asked(gateway, "GET", "/inspector/api/live", Authorization=f"Bearer {token}") as answer:
            feed = Feed(answer)
            texts = [f"number {n}" for n in range(AT_ONCE)]
            threads = [threading.Thread(target=lambda t=t: ids.append(say(gateway, "mock/mock", t))) for t in texts]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(LIMIT)
            rows = feed.until_ended(set(ids))
        assert sorted(row["id"] for row in rows) == sorted(ids) and len(set(ids)) == AT_ONCE
        assert {row["asked"] for row in rows} == set(texts)
        for _ in range(AT_ONCE):  # each on a connection of its own: both workers get some
            with asked(gateway, "GET", "/inspector/api/traces", Authorization=f"Bearer {token}") as answer:
                assert {row["id"] for row in json.loads(answer.read())["traces"]} == set(ids)
            with asked(gateway, "GET", "/inspector/api/traces", Authorization=f"Bearer {token[:-1]}") as answer:
                assert answer.status == 401
        late = say(gateway, "mock/mock", "just before the end")
    with closing(sqlite3.connect(tmp_path / "var" / "gateway.db")) as connection:
        stored = {identifier for (identifier,) in connection.execute("SELECT id FROM traces")}
    assert stored == {*ids, late}, "what was answered before the end is stored"


def test_a_request_that_takes_long_is_shown_while_it_runs(tmp_path, upstream):
    gate = upstream.reply_sse([*WORDS, END]).gate_after(1)
    done: list[str] = []
    with started(tmp_path, upstream) as gateway:
        with asked(gateway, "GET", "/inspector/api/live", Authorization=f"Bearer {token_of(gateway)}") as answer:
            feed = Feed(answer)
            thread = threading.Thread(target=lambda: done.append(say(gateway, "up/m", "take your time", stream=True)))
            thread.start()
            name, row = feed.next()
            assert (name, row["status"], row["duration"], row["stream"]) == ("trace", None, None, True)
            assert row["model"] == "up/m" and not done
            gate.open()
            thread.join(LIMIT)
            *_, last = feed.until_ended(set(done))
        assert (last["id"], last["status"], last["finish_reason"]) == (row["id"], 200, "stop")
        assert last["duration"] > 0.4 and last["asked"] == "take your time"


def test_a_worker_that_is_killed_leaves_what_it_sent(tmp_path, upstream):
    with started(tmp_path, upstream) as gateway:
        token = token_of(gateway)
        with asked(gateway, "GET", "/inspector/api/live", Authorization=f"Bearer {token}") as answer:
            feed = Feed(answer)
            first = say(gateway, "mock/mock", "before")
            feed.until_ended({first})
        children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split()
        for pid in children:
            os.kill(int(pid), signal.SIGKILL)
        gateway.wait_ready()
        with asked(gateway, "GET", "/inspector/api/live", Authorization=f"Bearer {token}") as answer:
            feed = Feed(answer)
            second = say(gateway, "mock/mock", "after")
            feed.until_ended({second})
        with asked(gateway, "GET", "/inspector/api/traces", Authorization=f"Bearer {token}") as answer:
            assert [row["id"] for row in json.loads(answer.read())["traces"]] == [second, first]
