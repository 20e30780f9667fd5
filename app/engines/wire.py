"""HTTP to an upstream: kept connections, three time limits, abort from another thread. It knows nothing of OpenAI.

urllib3's connections do TCP, TLS, proxies and HTTP/1.1; what stands here is what a gateway needs beyond them: to wait
for a byte without reading it (so that a silent upstream can be bridged by keep-alive comments), and to let go at once.
"""

import http.client
import re
import select
import socket
import ssl
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Any

from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

from app.call import UpstreamCall
from app.engines import network
from app.engines.http_body import BodyDecoder
from app.engines.http_head import Response
from app.errors import ClientGone, ConfigError, UpstreamError, UpstreamTimeout, UpstreamTruncated, UpstreamUnreachable
from app.measures import ENGINE, UPSTREAM

READ_SIZE = 65_536
WHOLE_LIMIT = 512 * 1024 * 1024
IDLE_SECONDS = 60.0  # a kept connection older than this is not used again; many servers drop theirs after 60-75 s
DRAIN_SECONDS = 0.05
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
FAILURES = (OSError, HTTPError, http.client.HTTPException)
TIMEOUTS = (TimeoutError, ReadTimeoutError, ConnectTimeoutError)

_idle: dict[network.Route, deque[tuple[float, HTTPConnection]]] = defaultdict(deque)
_lock = threading.Lock()


class Exchange:
    """One request and its answer on one connection. Use as a context manager, or call `close`.

    Raises UpstreamUnreachable, UpstreamTimeout, UpstreamTruncated, or ClientGone when `call.cancel` was the reason.
    """

    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: bytes, call: UpstreamCall) -> None:
        """Connect (or take a kept connection) and send the request; the answer is not waited for."""
        self.response: http.client.HTTPResponse | None = None
        self._call, self._method, self._lap = call, method, call.trace.measures.lap
        self._route, target = network.route(url)
        self._request = encode_request(method, target, self._route, headers, body)
        self._sent = time.monotonic()
        self._last = self._sent
        self._got_byte = False
        self._body: BodyDecoder | None = None
        self._early = b""  # bytes of the body that came with the head
        self._socket: socket.socket | None = None
        self._forget = call.cancel.on_cancel(self._abort)
        self._connection, self._reused = _take(self._route), True
        self._lap(ENGINE)
        try:
            if self._connection is None or not self._send():
                self._renew()
            self._lap(UPSTREAM)
        except BaseException as error:
            self.close()
            raise self._explain(error) from error

    def __enter__(self) -> "Exchange":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the answer ----------------------------------------------------------------------------------------------

    def open(self) -> http.client.HTTPResponse:
        """Wait for the answer's head and return it: `.status`, `.headers`."""
        if self.response is None:
            self._guard(self._open)
        assert self.response is not None
        return self.response

    def ticks(self, seconds: float) -> Iterator[None]:
        """Yield once per `seconds` of silence before the answer's head. Raises UpstreamTimeout at the first-byte limit."""
        while self.response is None and not self._wait(seconds):
            yield
        self.open()

    def read_all(self, limit: int = WHOLE_LIMIT) -> bytes:
        """Read the body to its end and return at most `limit` bytes of it."""
        pieces, size = [], 0
        for data in self.batches(0):
            if size < limit:
                pieces.append(data)
            size += len(data)
            if size > max(limit, 0) + WHOLE_LIMIT:
                raise UpstreamError("The upstream's answer is too large.")
        return b"".join(pieces)[:limit]

    def batches(self, tick: float) -> Iterator[bytes]:
        """Yield the body as it comes, one piece per read; b"" once per `tick` seconds of silence (0: never)."""
        self.open()
        assert self._body is not None
        while not self._body.complete:
            while not self._wait(tick):
                yield b""
            if data := self._guard(self._read):
                yield data

    def close(self) -> None:
        """Let go: keep the connection if the answer was read to its end, else cut it."""
        self._forget()
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._reusable():
            _give_back(self._route, connection, self._call.kept_connections)
        else:
            self._abort()
            if self.response is not None:
                self.response.close()
            connection.close()

    # --- inside --------------------------------------------------------------------------------------------------

    def _renew(self) -> None:
        self._connection, self._reused = network.connect(self._route, self._call.timeouts.connect), False
        self._send()

    def _send(self) -> bool:
        """Send the request; False when a kept connection turned out to be dead."""
        connection = self._connection
        assert connection is not None
        self._socket = connection.sock
        if self._call.cancel.cancelled:
            raise ClientGone("The client went away.")
        try:
            connection.sock.settimeout(self._call.timeouts.first_byte)
            connection.sock.sendall(self._request)
        except FAILURES:
            if not self._reused or self._call.cancel.cancelled:
                raise
            connection.close()
            return False
        return True

    def _open(self) -> None:
        assert self._connection is not None
        try:
            self._read_head(self._connection.sock)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # A server may close an idle connection just as the request goes out; nothing was processed then.
            if not self._reused or self._call.cancel.cancelled:
                raise
            self._connection.close()
            self._renew()
            self._read_head(self._connection.sock)

    def _read_head(self, sock: socket.socket) -> None:
        response = Response(sock, method=self._method)
        self._lap(ENGINE)
        try:
            response.begin()
            self._lap(UPSTREAM)
        except BaseException:
            response.close()
            raise
        self.response = response
        headers = {name.lower(): value for name, value in response.headers.items()}
        self._body = BodyDecoder(headers, response.status)
        if not self._body.complete:
            self._early = self._take_early(response, sock)
            sock.settimeout(self._call.timeouts.idle)

    def _take_early(self, response: http.client.HTTPResponse, sock: socket.socket) -> bytes:
        """Empty the reader's buffer; from then on only the socket tells whether there is more."""
        try:
            sock.settimeout(0)
            return response.fp.read1(READ_SIZE) if response.fp.peek(1) else b""
        except (BlockingIOError, ssl.SSLWantReadError):
            return b""

    def _wait(self, tick: float) -> bool:
        """Wait for a byte, at most `tick` seconds (0: as long as allowed); False when nothing came yet."""
        if self._early or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            return True
        limit = self._call.timeouts.idle if self._got_byte else self._call.timeouts.first_byte
        since = self._last if self._got_byte else self._sent
        left = since + limit - time.monotonic()
        self._lap(ENGINE)
        ready = self._poll(min(tick, left) if tick else left)
        self._lap(UPSTREAM)
        if self._call.cancel.cancelled:
            raise ClientGone("The client went away.")
        if not ready and time.monotonic() - since >= limit:
            what = f"sent nothing more for {limit:g} s" if self._got_byte else f"sent no byte within {limit:g} s"
            raise UpstreamTimeout(f"The upstream {self._route.authority} {what}.")
        return ready

    def _poll(self, seconds: float) -> bool:
        if self._socket is None or self._socket.fileno() < 0:
            return True  # reading says what is wrong
        poller = select.poll()
        poller.register(self._socket, select.POLLIN | select.POLLERR | select.POLLHUP)
        return bool(poller.poll(max(0.0, seconds) * 1000))

    def _read(self) -> bytes:
        assert self.response is not None and self._body is not None
        data, self._early = self._early, b""
        if not data:
            data = self.response.fp.read1(READ_SIZE)
        self._got_byte, self._last = True, time.monotonic()
        return self._body.feed(data)

    def _reusable(self) -> bool:
        """Tell whether the connection can serve again, after a short look for the end of a body that is at its end."""
        if self.response is None or self._body is None or self._call.cancel.cancelled:
            return False
        try:
            while not self._body.complete and (self._early or self._poll(DRAIN_SECONDS)):
                if len(self._read()) > READ_SIZE // 2:
                    return False
        except FAILURES:
            return False
        self.response.close()  # the reader over the socket; the socket itself stays open
        return self._body.complete and not self.response.will_close

    def _guard(self, step: Any) -> Any:
        try:
            return step()
        except FAILURES as error:
            raise self._explain(error) from error

    def _explain(self, error: BaseException) -> BaseException:
        """Turn what the network says into the gateway's words; a URL may hold a key, so only the host is named."""
        if self._call.cancel.cancelled:
            return ClientGone("The client went away.")
        if not isinstance(error, FAILURES):
            return error
        host = self._route.authority
        if isinstance(error, TIMEOUTS) and not isinstance(error, NewConnectionError):
            limits = self._call.timeouts
            step = (
                f"connect within {limits.connect:g}" if self._socket is None else f"answer within {limits.first_byte:g}"
            )
            return UpstreamTimeout(f"The upstream {host} did not {step} s.")
        if self._got_byte or self.response is not None:
            return UpstreamTruncated(f"The upstream {host} closed the connection before the answer was complete.")
        return UpstreamUnreachable(f"No answer from the upstream {host}: {network.describe(error)}.")

    def _abort(self) -> None:
        """Unblock whoever reads or writes the socket. `shutdown` works from any thread, `close` would not wake them."""
        if self._socket is not None:
            try:
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                pass  # already gone


def send(method: str, url: str, headers: Mapping[str, str], body: bytes, call: UpstreamCall) -> Exchange:
    """Send one request and return its exchange: over the network, or with what `call.wire` puts in its place."""
    exchange: Exchange = (call.wire or Exchange)(method, url, headers, body, call)
    return exchange


def encode_request(method: str, target: str, where: network.Route, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a request as the bytes of one write. Raises ConfigError for a header that would break its line."""
    default = 443 if where.scheme == "https" else 80
    host = f"[{where.host}]" if ":" in where.host else where.host
    lines = [f"{method} {target} HTTP/1.1"]
    if not any(name.lower() == "host" for name in headers):
        lines.append(f"Host: {host}" if where.port == default else f"Host: {host}:{where.port}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if CONTROL.search("".join(lines)):
        raise ConfigError("An upstream address, key or header contains a line break or another control character.")
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1", "replace") + body


def _take(route: network.Route) -> HTTPConnection | None:
    """Return a kept connection that still looks alive."""
    with _lock:
        kept = _idle[route]
        while kept:
            since, connection = kept.pop()
            if time.monotonic() - since < IDLE_SECONDS and network.is_alive(connection):
                return connection
            connection.close()
    return None


def _give_back(route: network.Route, connection: HTTPConnection, keep: int) -> None:
    with _lock:
        kept = _idle[route]
        kept.append((time.monotonic(), connection))
        spare = kept.popleft()[1] if len(kept) > keep else None
    if spare is not None:
        spare.close()


def close_idle() -> None:
    """Close all kept connections."""
    with _lock:
        kept = [connection for queue in _idle.values() for _, connection in queue]
        _idle.clear()
    for connection in kept:
        connection.close()
