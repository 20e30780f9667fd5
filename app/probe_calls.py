"""The small calls of a probe, straight to the upstream: how many, what came back as it came, waiting out rate limits.

It judges nothing and repairs nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.call import Timeouts, UpstreamCall
from app.engines import engine_for
from app.errors import GatewayError, UpstreamError
from app.quirks.errors import map_upstream_error
from app.trace import Trace
from app.utils.model_resolver import Target

MAX_CALLS = 30
TIMEOUTS = Timeouts(connect=10, first_byte=120, idle=60)
WAIT_ONCE, WAIT_IN_ALL, WAIT_UNTOLD = 60.0, 150.0, 10.0  # seconds for rate limits


class OutOfCalls(Exception):
    """The probe has made all the calls it may make."""


@dataclass
class Reply:
    """What one call brought: `chunks` of a stream, or the one answer; or the refusal."""

    body: dict[str, Any]
    chunks: list[Any] = field(default_factory=list)
    error: GatewayError | None = None
    done: bool = True
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the upstream took the request."""
        return self.error is None

    @property
    def refused(self) -> bool:
        """Whether the upstream objected to the request itself, not to its time or to the caller."""
        return self.error is not None and getattr(self.error, "upstream_status", None) in (400, 404, 413, 415, 422)

    @property
    def words(self) -> str:
        """What the upstream said when it refused, as it said it; "" for an answer."""
        said = getattr(self.error, "upstream_body", None)
        return said.decode("utf-8", "replace") if said else str(self.error or "")


class Prober:
    """Makes the calls. `sleep` waits out rate limits; `calls` is how many were made."""

    def __init__(self, target: Target, sleep: Callable[[float], None] = time.sleep) -> None:
        self.target = target
        self.calls = 0
        self.cap: str | None = "max_tokens"  # how this upstream calls the limit of tokens
        self.replies: list[Reply] = []
        self._engine, self._sleep = engine_for("relay"), sleep
        self._waited = 0.0

    @property
    def left(self) -> int:
        """How many calls may still be made."""
        return MAX_CALLS - self.calls

    def ask(self, tokens: int, **body: Any) -> Reply:
        """Make one call with at most `tokens` of answer. Raises OutOfCalls."""
        whole = {"model": self.target.model, **body}
        if self.cap:
            whole.setdefault(self.cap, tokens)
        reply = self._call(whole)
        while (wait := self._wait_for(reply)) is not None:
            self._waited += wait
            self._sleep(wait)
            reply = self._call(whole)
        self.replies.append(reply)
        return reply

    def _call(self, body: dict[str, Any]) -> Reply:
        if self.left <= 0:
            raise OutOfCalls
        self.calls += 1
        call = new_call(self.target)
        reply, started = Reply(body), time.monotonic()
        try:
            if body.get("stream"):
                for batch in self._engine.stream(dict(body), self.target, call):
                    reply.chunks.extend(batch)
            else:
                reply.chunks.append(self._engine.complete(dict(body), self.target, call))
        except UpstreamError as error:
            reply.error = error
        reply.done, reply.seconds = call.saw_done, time.monotonic() - started
        return reply

    def _wait_for(self, reply: Reply) -> float | None:
        """Return the seconds to wait before the same call once more; None: take the reply as it is."""
        error = reply.error
        if not isinstance(error, UpstreamError) or error.upstream_status not in (429, 503):
            return None
        told = map_upstream_error(error.upstream_status, error.upstream_headers or {}, error.upstream_body)
        wait = min(float(told.headers.get("Retry-After") or WAIT_UNTOLD), WAIT_ONCE)
        if told.code == "insufficient_quota" or self._waited + wait > WAIT_IN_ALL or self.left <= 0:
            return None
        return wait


def new_call(target: Target) -> UpstreamCall:
    """Return a call that nobody watches."""
    return UpstreamCall(Trace("POST", target.base_url or ""), timeouts=TIMEOUTS, keep_alive=0)
