"""Cancellation: a token that one thread cancels and another waits on; it knows neither sockets nor HTTP."""

import threading
from collections.abc import Callable


class CancelToken:
    """Says that nobody needs the answer any more. Callbacks run once, in the cancelling thread, and must not block."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when cancelled, at once if that has happened; return a function that forgets it again."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return lambda: self._forget(callback)
        callback()
        return lambda: None

    def wait(self, seconds: float | None = None) -> bool:
        """Sleep up to `seconds`; return True as soon as the token is cancelled."""
        return self._event.wait(seconds)

    def cancel(self) -> None:
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def _forget(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)
