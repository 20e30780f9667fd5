"""A fake upstream on a real socket of 127.0.0.1: it remembers each request and answers byte for byte what a test wants.

    upstream.reply_json({...})                       one JSON answer, repeated until another is set
    upstream.reply_sse([chunk, chunk], pieces=1)     a stream, cut after every byte
    upstream.reply_sse(chunks).cut_after(2)          ... that dies after two events (also hang_after, gate_after)
    upstream.reply(json_answer(a), json_answer(b))   several, one after the other; the last one repeats
    upstream.requests[0].body                        what the gateway sent

It knows HTTP/1.1 and nothing of chat completions. Nothing here sleeps: waiting is select() on the peer and on gates.
"""

import contextlib
import fcntl
import json
import select
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from tests.upstream_answers import (
    CUT,
    HANG,
    RESET,
    Action,
    Answer,
    Event,
    Gate,
    bytes_answer,
    json_answer,
    raw_answer,
    sse_answer,
)

__all__ = ["Answer", "FakeUpstream", "Gate", "Recorded", "bytes_answer", "json_answer", "raw_answer", "sse_answer"]

RESET_LIMIT = 5.0  # seconds until a connection is reset whose other side does not take what was sent


@dataclass(frozen=True)
class Recorded:
    """One request as it arrived. `headers` have lower-case names; `body` is parsed where it is JSON, else bytes."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    at: float
    connection: int
    body: object = field(default=None)


Script = Answer | Callable[[Recorded], Answer]


class PeerGone(Exception):
    """The client closed the connection while it was being answered."""


class FakeUpstream:
    """The server. `connections` counts what it accepted, `closed_by_client` those closed under an answer."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.connections = 0
        self.closed_by_client = 0
        self.models = [{"id": "fake-model", "object": "model", "created": 0, "owned_by": "fake"}]
        self._changed = threading.Condition()
        self._script: list[Script] = [json_answer({})]
        self._open: dict[int, _Connection] = {}
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.base_url = f"{self.url}/v1"
        threading.Thread(target=self._accept, name="fake-upstream", daemon=True).start()

    def __enter__(self) -> "FakeUpstream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # what to answer ------------------------------------------------------------------------------------------------
    def reply(self, *script: Script) -> None:
        """Answer with these, one request each; the last one repeats."""
        with self._changed:
            self._script = list(script)

    def then(self, *script: Script) -> None:
        """Add answers after those already set."""
        with self._changed:
            self._script.extend(script)

    def reply_with(self, answer: Callable[[Recorded], Answer]) -> None:
        """Ask this function for the answer to each request."""
        self.reply(answer)

    def reply_json(self, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
        """Answer with a JSON document."""
        return self._set(json_answer(value, status, headers))

    def reply_bytes(self, raw: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
        """Answer with these body bytes."""
        return self._set(bytes_answer(raw, status, headers))

    def reply_sse(
        self,
        events: Iterable[Event],
        *,
        pieces: int | Iterable[int] | None = None,
        done: bool = True,
        newline: str = "\n",
        headers: Mapping[str, str] | None = None,
        framing: str = "chunked",
    ) -> Answer:
        """Answer with a stream; see `sse_answer`."""
        answer = sse_answer(events, pieces=pieces, done=done, newline=newline, headers=headers, framing=framing)
        return self._set(answer)

    def reply_raw(self, raw: bytes) -> Answer:
        """Answer with a whole HTTP response verbatim, then close."""
        return self._set(raw_answer(raw))

    def refuse(self, status: int, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Answer with an error: a str or bytes body goes out as it is, anything else as JSON."""
        if isinstance(body, str | bytes):
            raw = body.encode() if isinstance(body, str) else body
            return self._set(bytes_answer(raw, status, {"Content-Type": "text/plain", **(headers or {})}))
        return self._set(json_answer({"error": {"message": "refused"}} if body is None else body, status, headers))

    def hang_before_headers(self) -> Answer:
        """Read each request and say nothing at all."""
        return self._set(Answer(before_headers=HANG))

    def cut_before_headers(self, reset: bool = False) -> Answer:
        """Read each request, then close without a word."""
        return self._set(Answer(before_headers=RESET if reset else CUT))

    def _set(self, answer: Answer) -> Answer:
        self.reply(answer)
        return answer

    # what happened -------------------------------------------------------------------------------------------------
    @property
    def bodies(self) -> list[dict]:
        """The JSON bodies of all POSTs so far."""
        return [r.body for r in self.requests if isinstance(r.body, dict)]

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    def wait_for_requests(self, count: int, timeout: float = 5.0) -> list[Recorded]:
        """Wait until `count` requests have arrived; raises TimeoutError."""
        self._wait(lambda: len(self.requests) >= count, timeout, f"{count} requests")
        return list(self.requests)

    def wait_closed(self, timeout: float = 5.0, count: int = 1) -> bool:
        """Tell whether the client closed `count` connections while they were still being answered, within `timeout`."""
        with self._changed:
            return self._changed.wait_for(lambda: self.closed_by_client >= count, timeout)

    def wait_idle(self, timeout: float = 5.0) -> None:
        """Wait until no connection is open; raises TimeoutError."""
        self._wait(lambda: not self._open, timeout, "all connections closed")

    def reset(self) -> None:
        """Drop all connections and memories: a fresh upstream on the same port."""
        self._drop_connections()
        with self._changed:
            self.requests, self.connections, self.closed_by_client = [], 0, 0
            self._script = [json_answer({})]

    def close(self) -> None:
        """Stop listening and drop every connection."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._drop_connections()

    def _drop_connections(self) -> None:
        with self._changed:
            connections = list(self._open.values())
        for connection in connections:
            connection.abandon()
        self._wait(lambda: not any(c.number in self._open for c in connections), 5.0, "connections to end")

    def _wait(self, reached: Callable[[], bool], timeout: float, what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(reached, timeout):
                raise TimeoutError(f"waited {timeout} s for {what}; requests so far: {len(self.requests)}")

    # the server ----------------------------------------------------------------------------------------------------
    def _accept(self) -> None:
        while not self._closing:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self.connections += 1
                connection = _Connection(peer, self.connections)
                self._open[connection.number] = connection
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: "_Connection") -> None:
        gone = False
        try:
            for request in connection.requests():
                if not connection.play(self._record(request), head_only=request.method == "HEAD"):
                    break
        except PeerGone:
            gone = True
        finally:
            connection.close()
            with self._changed:
                self.closed_by_client += gone
                self._open.pop(connection.number, None)
                self._changed.notify_all()

    def _record(self, request: Recorded) -> Answer:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            if request.method in ("GET", "HEAD"):
                listing = request.path.split("?")[0].endswith("/models")
                return json_answer({"object": "list", "data": self.models}) if listing else json_answer({})
            script = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        return script if isinstance(script, Answer) else script(request)


class _Connection:
    """One accepted socket: reads requests, plays answers, notices when the peer goes away."""

    def __init__(self, peer: socket.socket, number: int) -> None:
        self.number = number
        self._peer = peer
        self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = peer.makefile("rb")
        self._wake_receive, self._wake_send = socket.socketpair()
        self._abandoned = False

    def requests(self) -> Iterator[Recorded]:
        while True:
            try:
                request = self._read_request()
            except OSError:
                return
            if request is None:
                return
            yield request

    def _read_request(self) -> Recorded | None:
        words = self._reader.readline().decode("latin-1").split()
        if len(words) < 2:
            return None
        headers = {}
        while line := self._reader.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        raw = self._read_body(headers)
        try:
            body: object = json.loads(raw) if raw else None
        except ValueError:
            body = raw
        return Recorded(words[0], words[1], headers, raw, time.monotonic(), self.number, body)

    def _read_body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self._reader.read(int(headers.get("content-length", 0)))
        parts = []
        while size := int(self._reader.readline().split(b";")[0], 16):
            parts.append(self._reader.read(size))
            self._reader.readline()
        self._reader.readline()
        return b"".join(parts)

    def play(self, answer: Answer, *, head_only: bool = False) -> bool:
        """Send one answer; say whether the connection can serve another request. Raises PeerGone."""
        if answer.before_headers is not None and not self._act(answer.before_headers):
            return False
        if answer.framing != "raw":
            self._send(_head(answer))
        if head_only:
            return True
        for step in answer.steps():
            if not isinstance(step, bytes):
                if not self._act(step):
                    return False
            elif answer.framing == "chunked":
                self._send(b"%x\r\n%s\r\n" % (len(step), step))
            else:
                self._send(step)
        if answer.framing == "chunked":
            self._send(b"0\r\n\r\n")
        return answer.keep_alive and answer.framing in ("length", "chunked")

    def _act(self, action: Action) -> bool:
        """Do one action between pieces; say whether the answer goes on."""
        if isinstance(action, Gate):
            action.arrive(self._wake)
            self._wait_until(lambda: action.is_open)
            return not self._abandoned
        if action == HANG:
            self._wait_until(lambda: False)
        if action == RESET:
            self._wait_received()
            self._peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def _wait_received(self) -> None:
        """Wait until the other side has all that was sent: a reset throws away what is still on its way."""
        deadline = time.monotonic() + RESET_LIMIT
        while time.monotonic() < deadline and struct.unpack("i", fcntl.ioctl(self._peer, termios.TIOCOUTQ, b"\0" * 4))[0]:
            time.sleep(0.001)

    def _wait_until(self, reached: Callable[[], bool]) -> None:
        watched = select.poll()
        wake, peer = self._wake_receive.fileno(), self._peer.fileno()
        watched.register(wake, select.POLLIN)
        watched.register(peer, select.POLLIN)
        while not (reached() or self._abandoned):
            ready = {number for number, _ in watched.poll()}
            if wake in ready:
                self._wake_receive.recv(4096)
            if peer in ready and not self._peer_is_alive():
                raise PeerGone
            if peer in ready:
                watched.unregister(peer)  # a pipelined request: it waits its turn

    def _peer_is_alive(self) -> bool:
        try:
            return bool(self._peer.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _send(self, data: bytes) -> None:
        if self._abandoned:
            return
        try:
            self._peer.sendall(data)
        except OSError as error:
            if not self._abandoned:
                raise PeerGone from error

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_send.send(b"x")

    def abandon(self) -> None:
        """End this connection from another thread."""
        self._abandoned = True
        with contextlib.suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)
        self._wake()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._reader.close()
        for end in (self._peer, self._wake_receive, self._wake_send):
            end.close()


def _head(answer: Answer) -> bytes:
    """Write the status line and headers; what the answer says itself wins."""
    phrase = HTTPStatus(answer.status).phrase if answer.status in HTTPStatus._value2member_map_ else "Odd"
    headers = {"Content-Type": "text/plain", **answer.headers}
    if answer.framing == "length":
        headers.setdefault("Content-Length", str(len(answer.body)))
    elif answer.framing == "chunked":
        headers["Transfer-Encoding"] = "chunked"
    if answer.framing == "close" or not answer.keep_alive:
        headers["Connection"] = "close"
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def upstream_fixture() -> Iterator[FakeUpstream]:
    """Give a fresh upstream to one test. conftest: `upstream = pytest.fixture(upstream_fixture)`."""
    with FakeUpstream() as upstream:
        yield upstream
