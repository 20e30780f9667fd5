"""What is in flight, and how a server ends in order. (A whole drain under gunicorn: test_drain.)"""

import threading

import pytest
from flask import Flask, g

from app import errors, lifecycle
from app.cancel import CancelToken
from app.errors import Draining
from app.lifecycle import Lifecycle


def test_requests_are_counted():
    life, token = Lifecycle(), CancelToken()
    life.enter(token)
    life.enter(CancelToken())
    assert life.in_flight == 2
    life.leave(token)
    life.leave(token)
    assert life.in_flight == 1


def test_whoever_watches_is_told_of_each_change():
    life, token, told = Lifecycle(), CancelToken(), []
    life.watch = told.append
    life.enter(token)
    life.enter(CancelToken())
    life.leave(token)
    assert told == [1, 2, 1]


def test_an_idle_server_drains_at_once_and_takes_no_more():
    life = Lifecycle()
    assert life.drain(30) is True
    with pytest.raises(Draining):
        life.enter(CancelToken())
    assert life.in_flight == 0


def test_a_drain_waits_for_the_last_answer():
    life, token = Lifecycle(), CancelToken()
    life.enter(token)
    result = []
    thread = threading.Thread(target=lambda: result.append(life.drain(30)))
    thread.start()
    assert result == []
    life.leave(token)
    thread.join(10)
    assert result == [True]
    assert not token.cancelled


def test_what_takes_too_long_is_cancelled():
    life, token = Lifecycle(), CancelToken()
    life.enter(token)
    assert life.drain(0) is False
    assert token.cancelled


def test_a_drain_without_time_does_not_wait():
    assert Lifecycle().drain(-1) is True


def test_who_waits_for_a_drain_is_told_when_it_begins():
    """Open connections that ask nothing are no work; they are told to go at once."""
    life, token, told = Lifecycle(), CancelToken(), []
    life.when_draining(lambda: told.append("one"))
    forget = life.when_draining(lambda: told.append("two"))
    forget()
    life.enter(token)
    thread = threading.Thread(target=life.drain, args=(30,))
    life.when_draining(lambda: life.leave(token))  # else the drain would wait for it
    thread.start()
    thread.join(10)
    assert told == ["one"] and not thread.is_alive() and not token.cancelled
    life.when_draining(lambda: told.append("late"))
    assert told == ["one", "late"]


@pytest.fixture
def client():
    app = Flask(__name__)
    errors.init_app(app)
    lifecycle.init_app(app)
    seen = {}

    @app.get("/whole")
    def whole():
        seen["during"] = lifecycle.lifecycle.in_flight
        seen["token"] = g.cancel
        return "ok"

    @app.get("/stream")
    def stream():
        return iter([b"a", b"b"])

    @app.get("/bug")
    def bug():
        raise ZeroDivisionError

    @app.get("/health")
    def health():
        return {"counted": lifecycle.lifecycle.in_flight, "token": "cancel" in g}

    client = app.test_client()
    client.seen = seen
    return client


def test_a_request_is_counted_until_its_last_byte(client):
    before = lifecycle.lifecycle.in_flight
    client.get("/whole").close()
    assert client.seen["during"] == before + 1
    assert lifecycle.lifecycle.in_flight == before
    answer = client.get("/stream", buffered=False)
    assert lifecycle.lifecycle.in_flight == before + 1, "its bytes are not out yet"
    answer.close()
    assert lifecycle.lifecycle.in_flight == before


@pytest.mark.parametrize("path", ["/bug", "/nowhere"])
def test_a_failed_request_is_not_counted_for_ever(client, path):
    before = lifecycle.lifecycle.in_flight
    client.get(path).close()
    assert lifecycle.lifecycle.in_flight == before


def test_each_request_has_its_own_token(client):
    client.get("/whole").close()
    first = client.seen["token"]
    client.get("/whole").close()
    assert client.seen["token"] is not first
    assert not first.cancelled, "an answered request is not a cancelled one"


def test_health_is_not_counted(client):
    assert client.get("/health").json == {"counted": lifecycle.lifecycle.in_flight, "token": False}


def test_an_instance_has_a_name_of_its_own():
    assert len(lifecycle.instance) == 16
