"""One WebSocket on a server's own socket: handshake, whole messages in, texts out, an orderly end. It knows no models.

wsproto has the protocol (RFC 6455), this has the socket. A thread reads, so that a client that leaves is noticed while
its answer is still being made. Nothing is compressed: a frame is a few bytes, and what unpacks cannot grow.
"""

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable

import h11
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Event, Message, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from app.errors import InvalidRequest
from app.secret_book import Lookup

NORMAL, GOING_AWAY, POLICY, TOO_BIG, FAILED = 1000, 1001, 1008, 1009, 1011
READ_BYTES = 65_536
STALLED = 60.0  # seconds in which a client must take what is sent to it
GOODBYE = 2.0  # seconds for the client's own close
AHEAD = 16  # messages that may wait; what comes behind them stays in the network


class SocketClosed(Exception):
    """The connection has ended, by either side."""


class WebSocket:
    """A connection that was accepted. `receive`, `send` and `close` belong to one thread, `wake` to any."""

    def __init__(
        self,
        client: socket.socket,
        headers: Lookup,
        most: int,
        on_gone: Callable[[], None],
        answer_headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Accept the handshake of a request with these headers. Raises InvalidRequest, OSError.

        Messages may have `most` bytes. `on_gone` is called once, in another thread, when nothing more can come.
        """
        self._client, self._most, self._on_gone = client, most, on_gone
        self._protocol = _begin(headers)
        self._writing = threading.Lock()  # guards the protocol's state too
        self._changed = threading.Condition()
        self._messages: deque[str | bytes] = deque()
        self._parts: list[str | bytes] = []
        self._size = 0
        self._open, self._woken = True, False
        extra = [(name.encode(), value.encode()) for name, value in answer_headers]
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a token must not wait for the next
        client.settimeout(STALLED)
        client.sendall(self._protocol.send(AcceptConnection(extra_headers=extra)))
        self._reader = threading.Thread(target=self._read, name="websocket", daemon=True)
        self._reader.start()

    def receive(self, seconds: float) -> str | bytes | None:
        """Return the next message; None after `seconds`, or when woken. Raises SocketClosed."""
        with self._changed:
            self._changed.wait_for(lambda: self._messages or self._woken or not self._open, seconds)
            self._woken = False
            if not self._open:
                raise SocketClosed  # also when messages wait: nobody would read the answers
            if not self._messages:
                return None
            self._changed.notify_all()
            return self._messages.popleft()

    def wake(self) -> None:
        """Have `receive` return."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def send(self, texts: Iterable[str]) -> None:
        """Send each text as a message, all in one write. Raises SocketClosed."""
        self._write(*(TextMessage(text) for text in texts))

    def ping(self) -> None:
        """Send a sign of life, so that nothing between here and the client gives up. Raises SocketClosed."""
        self._write(Ping())

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """End the connection: say so, wait a moment for the client to say so too, and shut it down."""
        try:
            self._write(CloseConnection(code, reason or None))
        except SocketClosed:
            pass  # the client was first
        self._reader.join(GOODBYE)
        try:
            self._client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is down already
        self._end()
        self._reader.join(GOODBYE)

    def _write(self, *events: Message | Ping | CloseConnection) -> None:
        try:
            with self._writing:
                self._client.sendall(b"".join([self._protocol.send(event) for event in events]))
        except (LocalProtocolError, OSError):  # it has been closed; it is broken, or the client takes nothing
            self._end()
            raise SocketClosed from None

    def _read(self) -> None:
        """Read until the connection ends, by a close or without one."""
        try:
            while self._open_for_more() and self._take(self._client_says()):
                pass
        except (OSError, LocalProtocolError):
            pass  # lost without a word
        finally:
            self._end()
            self._on_gone()
        self._pass_over_the_rest()

    def _client_says(self) -> bytes:
        """Return what came next; b"" at the end."""
        while True:
            try:
                return self._client.recv(READ_BYTES)
            except TimeoutError:
                if self._protocol.state is not ConnectionState.OPEN:
                    return b""

    def _pass_over_the_rest(self) -> None:
        """Read on when the end was our word: bytes that nobody read would have it thrown away on its way."""
        try:
            while self._protocol.state is ConnectionState.LOCAL_CLOSING and self._client_says():
                pass
        except OSError:
            pass  # `close` has shut it down

    def _open_for_more(self) -> bool:
        """Wait while too much is unread."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._open or (len(self._messages) < AHEAD and sum(map(len, self._messages)) <= self._most)
            )
            return self._protocol.state is not ConnectionState.CLOSED

    def _take(self, data: bytes) -> bool:
        """Read what came, and answer what the protocol answers; False: that was the end."""
        if not data:
            return False
        goes_on = True
        answers: list[Event] = []
        with self._writing:
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                if isinstance(event, Ping):
                    answers.append(event.response())
                elif isinstance(event, CloseConnection):
                    goes_on = False
                    if self._protocol.state is not ConnectionState.CLOSED:
                        answers.append(event.response())
                elif isinstance(event, TextMessage | BytesMessage) and not self._add(event):
                    goes_on = False
                    answers.append(CloseConnection(TOO_BIG, f"more than {self._most} bytes"))
                if not goes_on:
                    break
            self._client.sendall(b"".join([self._protocol.send(answer) for answer in answers]))
        return goes_on

    def _add(self, event: Message) -> bool:
        """Keep a part of a message, and give it out when it is whole; False: it is too long."""
        self._size += len(event.data)
        if self._size > self._most:
            return False
        if event.data:  # fragments without a byte could go on for ever
            self._parts.append(event.data if isinstance(event.data, str) else bytes(event.data))
        if event.message_finished:
            empty: str | bytes = "" if isinstance(event, TextMessage) else b""
            whole = empty.join(self._parts)  # type: ignore[arg-type]
            self._parts, self._size = [], 0
            with self._changed:
                self._messages.append(whole)
                self._changed.notify_all()
        return True

    def _end(self) -> None:
        with self._changed:
            self._open = False
            self._changed.notify_all()


def _begin(headers: Lookup) -> WSConnection:
    """Return the protocol behind the client's half of the handshake. Raises InvalidRequest."""
    protocol = WSConnection(ConnectionType.SERVER)
    wanted = ("Connection", "Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version")
    sent = [(name.encode(), value.encode("latin-1")) for name in wanted if (value := headers.get(name, ""))]
    try:
        protocol.initiate_upgrade_connection([(b"Host", b"gateway"), *sent], "/")
    except (RemoteProtocolError, LocalProtocolError, h11.LocalProtocolError) as error:
        raise InvalidRequest(f"This is no WebSocket handshake: {error}.", code="invalid_http") from None
    list(protocol.events())  # the request that was just put in
    return protocol
