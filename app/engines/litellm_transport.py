"""Carries LiteLLM's HTTP over the gateway's own wire, and keeps the wire's answer at hand. Imports httpx, never litellm.

For upstreams that speak OpenAI's dialect a `Tap` takes the answer off the wire beneath LiteLLM: its stream wrapper costs
25 times as much a chunk, invents `stop` for a cut stream, and loses usage and native finish reasons (LiteLLM 1.106.2).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from app.call import UpstreamCall
from app.engines import network
from app.engines.wire import Exchange

HOP_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})
NO_KEY = "no-key-is-known"  # LiteLLM insists on one; a header that holds it is not sent
NO_EVENTS = httpx.ByteStream(b"")


class Tap:
    """One LiteLLM call: its limits and its exchange. `streams` says that the engine reads the body itself.

    `url` is where the request goes if LiteLLM cannot be told: it would put a path behind a query.
    """

    def __init__(self, call: UpstreamCall, streams: bool = False) -> None:
        self.call, self.streams = call, streams
        self.url: str | None = None
        self.exchange: Exchange | None = None
        self.body: bytes | None = None

    def close(self) -> None:
        if self.exchange is not None:
            self.exchange.close()


class _Current(threading.local):
    """The tap of the call that this thread makes just now. Not a ContextVar: beside Flask's own, setting and resetting
    one for each call left contexts in which lookups failed (CPython 3.11.7, about once in 1,000 requests).
    """

    tap: Tap | None = None


_current = _Current()


@contextmanager
def using(tap: Tap) -> Iterator[None]:
    """Let what LiteLLM sends in this thread go over `tap`."""
    before, _current.tap = _current.tap, tap
    try:
        yield
    finally:
        _current.tap = before


def current_tap() -> Tap | None:
    """Return the tap of the call that this thread makes just now."""
    return _current.tap


class WireTransport(httpx.BaseTransport):
    """httpx's door to the wire. Without a current Tap nothing may be sent: LiteLLM phones nobody on its own."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        tap = current_tap()
        if tap is None:
            raise httpx.ConnectError("The gateway made no call.", request=request)
        url, headers = tap.url or str(request.url), _headers(request)
        headers |= network.proxy_headers(network.route(url)[0])
        tap.close()  # an earlier try of the same call
        tap.exchange = Exchange(request.method, url, headers, request.read(), tap.call)
        if tap.streams:
            # The engine reads status and body itself; LiteLLM gets an open stream at once, so that a slow head of the
            # answer can be bridged by keep-alive comments.
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=NO_EVENTS, request=request)
        response = tap.exchange.open()
        kept = [(name, value) for name, value in response.headers.items() if name.lower() not in HOP_HEADERS]
        return httpx.Response(response.status, headers=kept, stream=_Body(tap), request=request)


class _Body(httpx.SyncByteStream):
    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    def __iter__(self) -> Iterator[bytes]:
        assert self._tap.exchange is not None
        pieces = []
        for data in self._tap.exchange.batches(0):
            pieces.append(data)
            yield data
        self._tap.body = b"".join(pieces)

    def close(self) -> None:
        self._tap.close()


def _headers(request: httpx.Request) -> dict[str, str]:
    headers = {
        name: value
        for name, value in request.headers.multi_items()  # of two spellings of a name the later one counts: the map's
        if not name.startswith("x-stainless") and name not in ("connection", "content-length") and NO_KEY not in value
    }
    return headers | {"accept-encoding": "identity"}
