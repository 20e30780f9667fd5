"""Counts what runs and ends it in order: a draining server finishes its answers and refuses new requests with a 503."""

import os
import threading
import time
from collections.abc import Callable

from flask import Flask, g, request

from app.cancel import CancelToken
from app.disconnect import Watcher
from app.errors import Draining

ALWAYS_ANSWERED = ("/health", "/ready")


class Lifecycle:
    """What is in flight in this process. `draining` only ever goes from False to True."""

    def __init__(self) -> None:
        self.draining = False
        self.in_flight = 0
        self._idle = threading.Condition()

    def enter(self) -> None:
        with self._idle:
            if self.draining:
                raise Draining
            self.in_flight += 1

    def leave(self) -> None:
        with self._idle:
            self.in_flight -= 1
            self._idle.notify_all()

    def drain(self, seconds: float) -> bool:
        """Refuse new requests and wait until nothing is in flight, at most `seconds`; tell whether that was reached."""
        deadline = time.monotonic() + seconds
        with self._idle:
            self.draining = True
            return self._idle.wait_for(lambda: self.in_flight == 0, max(0.0, deadline - time.monotonic()))


lifecycle = Lifecycle()  # one per process, as signals are
watcher = Watcher()
instance = os.urandom(8).hex()  # one per server: workers are forked from the process that imported this


def init_app(app: Flask) -> None:
    """Count each request until its last byte is out, and cancel it when its client goes away: `g.cancel`."""

    @app.before_request
    def begin() -> None:
        if request.path in ALWAYS_ANSWERED:
            return
        lifecycle.enter()
        g.leave = once(lifecycle.leave)
        g.cancel = CancelToken()
        client = request.environ.get("gunicorn.socket") or request.environ.get("werkzeug.socket")
        g.unwatch = watcher.watch(client, g.cancel) if client is not None else None

    @app.after_request
    def end_with_response(response):  # type: ignore[no-untyped-def]
        if "leave" in g:
            leave, unwatch = g.leave, g.unwatch
            g.covered = True

            @response.call_on_close
            def end() -> None:
                if unwatch is not None:
                    unwatch()
                leave()

        return response

    @app.teardown_request
    def end_without_response(error: BaseException | None) -> None:
        if "leave" in g and "covered" not in g:
            if g.get("unwatch") is not None:
                g.unwatch()
            g.leave()


def once(function: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls `function` the first time only."""
    lock, called = threading.Lock(), []

    def call() -> None:
        with lock:
            if called:
                return
            called.append(True)
        function()

    return call
