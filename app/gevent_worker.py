"""gunicorn's gevent worker with the same drain; only imported where GATEWAY_WORKER_CLASS=gevent."""

import contextlib
import socket
from typing import Any

import gevent
from gunicorn.workers.ggevent import GeventWorker

from app.server import drain


class DrainingGeventWorker(GeventWorker):
    """gunicorn's gevent worker, with a drain before its own end."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._clients: set[Any] = set()  # their sockets

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        self._clients.add(client)
        try:
            super().handle(listener, client, addr)
        finally:
            self._clients.discard(client)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drain in a greenlet: a signal handler must not wait."""
        end = super().handle_exit

        def then() -> None:
            self._let_go()
            end(sig, frame)

        gevent.spawn(drain, then)

    def _let_go(self) -> None:
        """Wait for no more requests on connections that clients keep: gunicorn would wait for their ends."""
        for client in list(self._clients):
            with contextlib.suppress(OSError):
                getattr(client, "_sock", client).shutdown(socket.SHUT_RD)  # gevent's own would raise in whoever reads
