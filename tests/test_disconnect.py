"""Whoever goes away is noticed, whoever stays or sends more is not."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.cancel import CancelToken
from app.disconnect import PERIOD, Watcher

ROOT = Path(__file__).resolve().parent.parent
SOON = 5.0  # seconds; several periods, on a busy machine
A_WHILE = PERIOD * 3


@pytest.fixture
def pair():
    server, client = socket.socketpair()
    yield server, client
    server.close()
    client.close()


@pytest.fixture
def tcp():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    yield server, client
    server.close()
    client.close()


@pytest.mark.parametrize("leave", [
    lambda client: client.close(), lambda client: client.shutdown(socket.SHUT_WR),
    lambda client: (client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"), client.close()),
], ids=["closed", "half closed", "reset"])
def test_a_client_that_goes_away_cancels(tcp, leave):
    server, client = tcp
    token = CancelToken()
    Watcher().watch(server, token)
    assert not token.cancelled
    leave(client)
    assert token.wait(SOON)


def test_a_client_that_left_before_it_was_watched(pair):
    server, client = pair
    client.close()
    token = CancelToken()
    Watcher().watch(server, token)
    assert token.wait(SOON)


def test_a_client_that_stays_is_left_alone(pair):
    token = CancelToken()
    Watcher().watch(pair[0], token)
    assert not token.wait(A_WHILE)


def test_bytes_that_wait_are_a_next_request_and_are_not_taken(pair):
    server, client = pair
    token = CancelToken()
    Watcher().watch(server, token)
    client.sendall(b"GET / HTTP/1.1\r\n")
    assert not token.wait(A_WHILE)
    assert server.recv(100) == b"GET / HTTP/1.1\r\n"


def test_who_is_not_watched_any_more_cancels_nothing(pair):
    server, client = pair
    watcher, token = Watcher(), CancelToken()
    stop = watcher.watch(server, token)
    stop()
    stop()
    client.close()
    assert not token.wait(A_WHILE)


def test_one_of_many(pair):
    others = [socket.socketpair() for _ in range(20)]
    watcher, token, others_token = Watcher(), CancelToken(), CancelToken()
    stops = [watcher.watch(server, others_token) for server, _ in others]
    watcher.watch(pair[0], token)
    pair[1].close()
    assert token.wait(SOON)
    assert not others_token.cancelled
    for stop, (server, client) in zip(stops, others, strict=True):
        stop()
        server.close()
        client.close()


def test_an_old_stop_does_not_end_the_watch_of_a_new_socket_with_the_same_number(pair):
    watcher, old, new = Watcher(), CancelToken(), CancelToken()
    stop_old = watcher.watch(pair[0], old)
    watcher.watch(pair[0], new)  # what a server does when it takes the next request on a kept connection
    stop_old()
    pair[1].close()
    assert new.wait(SOON)
    assert not old.cancelled


def test_a_closed_socket_is_not_watched():
    server, client = socket.socketpair()
    server.close()
    client.close()
    token = CancelToken()
    Watcher().watch(server, token)()
    assert not token.cancelled


FORK = """
import os, socket, sys
from app.cancel import CancelToken
from app.disconnect import Watcher

watcher = Watcher()
stays, _other_end = socket.socketpair()
watcher.watch(stays, CancelToken())
for _ in range(20):
    pid = os.fork()
    if pid == 0:  # the parent's thread does not live here
        server, client = socket.socketpair()
        token = CancelToken()
        watcher.watch(server, token)
        client.close()
        os._exit(0 if token.wait(20) else 1)
    if os.waitpid(pid, 0)[1]:
        sys.exit("not noticed")
"""


def test_a_watcher_works_on_in_a_forked_process():
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], cwd=ROOT, check=True, timeout=60)
