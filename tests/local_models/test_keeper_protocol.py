"""JSON lines over a Unix socket: what goes in comes out, who is gone is noticed, nobody else may connect."""

import os
import socket
import stat
from pathlib import Path

import pytest

from app.local_models.keeper_protocol import LONGEST_PATH, Channel, connect, listen, socket_path


@pytest.fixture
def both(tmp_path):
    listener = listen(path := socket_path(tmp_path))
    near = Channel(connect(path, 5))
    far = Channel(listener.accept()[0])
    yield near, far
    near.close()
    far.close()
    listener.close()


def test_messages_arrive_one_by_one(both):
    near, far = both
    near.send(op="a", text="line\nbreak 한국어")
    near.send(op="b")
    assert far.receive() == {"op": "a", "text": "line\nbreak 한국어"}
    assert far.receive() == {"op": "b"}


def test_the_end_is_noticed(both):
    near, far = both
    assert near.is_open()
    far.close()
    assert not near.is_open()
    assert near.receive() is None


def test_a_waiting_thread_is_woken(both):
    near, _ = both
    near.abort()
    assert near.receive() is None


def test_what_is_no_message_is_an_error():
    left, right = socket.socketpair()
    channel = Channel(left)
    right.sendall(b"nonsense\n[1]\n")
    for _ in range(2):
        with pytest.raises(ValueError):
            channel.receive()
    channel.close()
    right.close()


def test_only_this_user_may_connect(tmp_path):
    listener = listen(path := socket_path(tmp_path))
    assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0
    listener.close()


def test_a_long_folder_has_a_short_socket(tmp_path):
    deep = tmp_path / ("x" * LONGEST_PATH)
    found = socket_path(deep)
    assert len(os.fsencode(found)) <= LONGEST_PATH
    assert found == socket_path(deep) != socket_path(tmp_path / ("y" * LONGEST_PATH))


def test_nobody_there_is_an_error(tmp_path):
    with pytest.raises(OSError):
        connect(Path(tmp_path / "none.sock"), 1)
