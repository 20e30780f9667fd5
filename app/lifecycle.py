"""Counts what runs and ends it in order: a draining server finishes its answers and refuses new requests with a 503."""

import os
import threading
from collections.abc import Callable

from flask import Flask, Response, g, request

from app.cancel import CancelToken
from app.disconnect import Watcher
from app.errors import Draining

ALWAYS_ANSWERED = ("/health", "/ready", "/metrics")


class Lifecycle:
    """What is in flight in this process. `draining` only ever goes from False to True."""

    def __init__(self) -> None:
        self.draining = False
        self._idle = threading.Condition()
        self._tokens: set[CancelToken] = set()
        self._begun = CancelToken()  # cancelled when a drain begins
        self.watch: Callable[[int], None] = lambda number: None  # told how many are in flight, whenever that changes

    @property
    def in_flight(self) -> int:
        return len(self._tokens)

    def enter(self, token: CancelToken) -> None:
        """Count a request, which `token` cancels. Raises Draining when no more are taken."""
        with self._idle:
            if self.draining:
                raise Draining
            self._tokens.add(token)
            self.watch(len(self._tokens))

    def leave(self, token: CancelToken) -> None:
        with self._idle:
            self._tokens.discard(token)
            self.watch(len(self._tokens))
            self._idle.notify_all()

    def when_draining(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback`, which must not block, when a drain begins; return a function that forgets it again."""
        return self._begun.on_cancel(callback)

    def drain(self, seconds: float) -> bool:
        """Refuse new requests and wait until nothing is in flight; after `seconds` cancel the rest and return False."""
        with self._idle:
            self.draining = True
        self._begun.cancel()
        with self._idle:
            finished = self._idle.wait_for(lambda: not self._tokens, max(0.0, seconds))
            late = list(self._tokens)
        for token in late:
            token.cancel()
        return finished


lifecycle = Lifecycle()  # one per process, as signals are
watcher = Watcher()
instance = os.urandom(8).hex()  # one per server: workers are forked from the process that imported this


def init_app(app: Flask) -> None:
    """Count each request until its last byte is out, and cancel it when its client goes away: `g.cancel`."""

    @app.before_request
    def begin() -> None:
        if request.path in ALWAYS_ANSWERED:
            return
        token = CancelToken()
        lifecycle.enter(token)
        g.cancel = token
        environ = request.environ
        client = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
        g.unwatch = watcher.watch(client, token) if client is not None else None

    @app.after_request
    def end_with_response(response: Response) -> Response:
        if (token := g.get("cancel")) is not None:
            unwatch = g.get("unwatch")
            g.covered = True

            @response.call_on_close
            def end() -> None:
                if unwatch is not None:
                    unwatch()
                lifecycle.leave(token)

        return response

    @app.teardown_request
    def end_without_response(error: BaseException | None) -> None:
        if "covered" not in g and "cancel" in g:
            if g.get("unwatch") is not None:
                g.unwatch()
            lifecycle.leave(g.cancel)
