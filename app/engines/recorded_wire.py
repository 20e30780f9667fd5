"""Stands in for the network: gives the engines what an upstream once answered, at once or at its own pace."""

import time
from collections.abc import Iterator, Mapping, Sequence
from email.message import Message
from typing import NamedTuple

from app.call import UpstreamCall
from app.engines.wire import WHOLE_LIMIT
from app.errors import ClientGone
from app.measures import ENGINE, UPSTREAM
from app.recording import Said

SLICE = 15.0  # seconds of silence between two looks, where the call names none


class Head(NamedTuple):
    """What engines read of an answer's head; names of headers may be in any case."""

    status: int
    headers: Message


class RecordedExchange:
    """Plays one answer; has the methods of `wire.Exchange` that engines use. `speed` 0 is at once, 1 as it was."""

    def __init__(self, said: Said, call: UpstreamCall, speed: float) -> None:
        headers = Message()
        for name, value in said.headers.items():
            headers[name] = value
        self.response = Head(said.status, headers)
        self._said, self._call, self._speed = said, call, speed
        self._lap = call.trace.measures.lap
        self._began = time.monotonic()

    def __enter__(self) -> "RecordedExchange":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> Head:
        """Return the answer's head; raises what came in its place."""
        if not self._said.reads and self._said.failure is not None:
            for _ in self._wait(self._said.failed_after, 0):
                pass
            raise self._said.failure
        return self.response

    def ticks(self, seconds: float) -> Iterator[None]:
        """Yield once per `seconds` until the first bytes are there."""
        first = self._said.reads[0][0] if self._said.reads else self._said.failed_after
        yield from self._wait(first, seconds)
        self.open()

    def batches(self, tick: float) -> Iterator[bytes]:
        """Yield the body as it came; b"" once per `tick` seconds of silence. Raises what ended it."""
        self.open()
        for at, data in self._said.reads:
            for _ in self._wait(at, tick):
                yield b""
            if data:
                yield data
        if self._said.failure is not None:
            for _ in self._wait(self._said.failed_after, tick):
                yield b""
            raise self._said.failure

    def read_all(self, limit: int = WHOLE_LIMIT) -> bytes:
        """Return at most `limit` bytes of the body."""
        return b"".join(self.batches(0))[:limit]

    def close(self) -> None:
        """Nothing is held."""

    def _wait(self, at: float, tick: float) -> Iterator[None]:
        """Wait until `at` seconds after the question, yielding per `tick`. Raises ClientGone when cancelled."""
        until = self._began + at / self._speed if self._speed > 0 else 0.0
        while True:
            left = until - time.monotonic() if until else 0.0
            if left > 0:
                self._lap(ENGINE)
                self._call.cancel.wait(min(left, tick or SLICE))
                self._lap(UPSTREAM)
            if self._call.cancel.cancelled:
                raise ClientGone("The client went away.")
            if until - time.monotonic() <= 0:
                return
            yield


class RecordedWire:
    """Answers one question after the other; who asks more often than was asked then hears the last answer again."""

    def __init__(self, answers: Sequence[Said], speed: float = 0) -> None:
        self._answers, self._speed, self._asked = answers, speed, 0

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, call: UpstreamCall
    ) -> RecordedExchange:
        said = self._answers[min(self._asked, len(self._answers) - 1)]
        self._asked += 1
        return RecordedExchange(said, call, self._speed)
