"""The live feed: a row for each request as it is stored, over real HTTP; nothing twice, pings in silences."""

import json

import pytest

from app.inspector_feed import OVERLAP, SILENCE, feed
from app.inspector_guard import TOKEN
from app.trace_reader import StoreUnavailable

BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def trace_depth():
    return "chunks"


@pytest.fixture
def gateway(serve):
    return serve({"m": {"options": {"engine": "mock"}, "models": {"mock": {}}}})


class Live:
    """The feed, read event by event."""

    def __init__(self, gateway, query="", headers=None):
        self._connection = gateway.connect()
        self._connection.request("GET", f"/inspector/api/live{query}", headers=BEARER | (headers or {}))
        self.answer = self._connection.getresponse()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answer.close()
        self._connection.close()

    def next(self, name):
        """Return (id, data) of the next event of a name."""
        fields = {}
        while line := self.answer.readline():
            if line == b"\n":
                if fields.get("event") == name:
                    return fields.get("id"), json.loads(fields["data"])
                fields = {}
            else:
                field, _, value = line.decode().rstrip("\n").partition(": ")
                fields[field] = value
        raise AssertionError(f"the feed ended before a {name}")

    def finished(self, identifier):
        """Return (id, row) once the row of a request says how long it took."""
        while True:
            event, row = self.next("trace")
            if row["id"] == identifier and row["duration"] is not None:
                return event, row


def ask(gateway, text="hello"):
    body = {"model": "mock", "messages": [{"role": "user", "content": text}]}
    return gateway.post("/v1/chat/completions", body).headers["x-request-id"]


def test_a_new_request_is_shown_as_it_is_stored(gateway):
    with Live(gateway) as live:
        assert live.answer.getheader("content-type") == "text/event-stream; charset=utf-8"
        assert live.answer.getheader("cache-control") == "no-store"
        assert live.next("ping")[1] == {"dropped": 0}
        asked = ask(gateway, "show me")
        event, row = live.finished(asked)
    assert (row["asked"], row["status"], row["path"]) == ("show me", 200, "/v1/chat/completions")
    assert float(event) == row["updated"]
    assert row == gateway.get(f"/inspector/api/traces/{asked}", BEARER).json["summary"]


def test_two_readers_see_the_same(gateway):
    with Live(gateway) as one, Live(gateway) as other:
        one.next("ping"), other.next("ping")
        asked = ask(gateway)
        assert one.finished(asked) == other.finished(asked)


@pytest.mark.parametrize("headers", [False, True])
def test_who_comes_back_gets_what_was_missed(gateway, headers):
    missed = ask(gateway)
    again = {"headers": {"Last-Event-ID": "1.5"}} if headers else {"query": "?since=1.5"}
    with Live(gateway, **again) as live:
        assert live.finished(missed)[1]["id"] == missed


class Rows:
    """A reader of a list of rows; an exception in it is raised."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def changed(self, since):
        self.asked.append(since)
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, Exception):
            raise answer
        return answer


def run(reader, rounds, since=100.0, step=0.0):
    """Return what the feed yields in some rounds, whose clock goes on by `step` with each."""
    now, left = [1000.0], [rounds]

    def wait(_):
        now[0] += step
        left[0] -= 1
        return left[0] == 0

    return list(feed(reader, since, wait, lambda: {"dropped": 3}, lambda: now[0]))


def row(name, updated):
    return {"id": name, "updated": updated}


def test_a_row_is_sent_once_for_each_time_it_was_written():
    reader = Rows([row("a", 101.0)], [row("a", 101.0), row("b", 101.0)], [row("a", 102.0), row("b", 101.0)])
    sent = b"".join(run(reader, 3)).decode()
    assert [line for line in sent.split("\n") if line.startswith("data: {\"id")] == [
        'data: {"id":"a","updated":101.0}', 'data: {"id":"b","updated":101.0}', 'data: {"id":"a","updated":102.0}',
    ]  # fmt: skip
    assert sent.count("id: 102.0\n") == 1


def test_the_last_seconds_are_asked_for_again_but_nothing_before_the_begin():
    reader = Rows([row("a", 101.0)], [row("b", 150.0)])
    run(reader, 3)
    assert reader.asked == [100.0, 100.0, 150.0 - OVERLAP]


def test_a_silence_is_broken_by_pings_also_while_the_database_is_away():
    reader = Rows(*[StoreUnavailable("away")] * 3, [row("a", 101.0)])
    sent = [block.decode() for block in run(reader, 4, step=SILENCE)]
    assert sent[0] == 'retry: 2000\n\nevent: ping\ndata: {"dropped":3}\n\n'
    assert sent[1:-1] == ['event: ping\ndata: {"dropped":3}\n\n'] * 2
    assert "event: trace\n" in sent[-1]


def test_a_feed_begins_now_unless_told_otherwise():
    run(reader := Rows(), 1, since=None)
    assert reader.asked == [1000.0]
