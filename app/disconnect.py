"""Watches the clients' sockets and cancels what nobody waits for any more. One thread per process, idle when nothing runs.

A server that streams sees a lost client only when it writes; before the first token and in whole answers it never does.
"""

import os
import select
import socket
import threading
from collections.abc import Callable

from app.cancel import CancelToken

PERIOD = 0.2  # seconds between two looks
CLOSED = select.POLLHUP | select.POLLERR | select.POLLNVAL | getattr(select, "POLLRDHUP", 0)


class Watcher:
    """Cancels a token when its client's socket is closed by the peer."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)  # the thread stays behind, and may have held the lock

    def _begin(self) -> None:
        self._watched: dict[int, tuple[socket.socket, CancelToken]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, client: socket.socket, token: CancelToken) -> Callable[[], None]:
        """Watch `client` until the returned function is called, which must be before the socket is closed."""
        number = client.fileno()
        if number < 0:
            return lambda: None
        entry = (client, token)
        with self._changed:
            self._watched[number] = entry
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="disconnect-watcher", daemon=True)
                self._thread.start()
            self._changed.notify()

        def stop() -> None:
            with self._changed:
                if self._watched.get(number) is entry:
                    del self._watched[number]

        return stop

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            with self._changed:
                while not self._watched:
                    self._changed.wait()
                watched = dict(self._watched)
            for number in _closed(watched):
                with self._changed:
                    gone = self._watched.get(number) is watched[number]
                    if gone:
                        del self._watched[number]
                if gone:
                    watched[number][1].cancel()
            pause.wait(PERIOD)


def _closed(watched: dict[int, tuple[socket.socket, CancelToken]]) -> list[int]:
    """Return the numbers of the sockets whose peer is gone; bytes that wait to be read are a next request, not an end."""
    poller = select.poll()
    for number in watched:
        poller.register(number, select.POLLIN | CLOSED)
    return [number for number, event in poller.poll(0) if event & CLOSED or _at_end(watched[number][0])]


def _at_end(client: socket.socket) -> bool:
    plain = getattr(client, "_sock", client)  # gevent's sockets would wait, and lock out the thread that writes
    try:
        return bool(plain.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"")
    except (BlockingIOError, ValueError):
        return False  # TLS sockets refuse to peek; they report the end as POLLRDHUP
    except OSError:
        return True
