"""A WebSocket client for tests: sees every frame, pings and close codes too, and can leave without a word.

    with SocketClient(gateway.port) as client:
        client.ask(model="mock", prompt="Hello") == [{"token": "Hello"}, {"done": True, …}]
"""

import json
import socket
from collections.abc import Mapping
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

LIMIT = 20.0


class Refused(Exception):
    """The handshake was answered with something else: `status`, `body`."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status} {body!r}")
        self.status, self.body = status, body

    @property
    def error(self) -> dict[str, Any]:
        """The error object of the one shape."""
        told = json.loads(self.body)
        assert set(told) == {"error"} and set(told["error"]) == {"code", "message", "details"}, told
        return dict(told["error"])


class SocketClient:
    """One connection. `close_code` is set when the server ends it; `pings` counts its signs of life."""

    def __init__(self, port: int, path: str = "/ws/generate", headers: Mapping[str, str] | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        self.protocol = WSConnection(ConnectionType.CLIENT)
        self.close_code: int | None = None
        self.pings = 0
        self.headers: dict[str, str] = {}
        self._frames: list[Any] = []
        self._text = ""
        extra = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        self.socket.sendall(self.protocol.send(Request(host=f"127.0.0.1:{port}", target=path, extra_headers=extra)))
        try:
            self._shake_hands()
        except BaseException:
            self.socket.close()
            raise

    def _shake_hands(self) -> None:
        refusal: list[Any] = []
        while True:
            data = self.socket.recv(65536)
            self.protocol.receive_data(data or None)
            for event in self.protocol.events():
                if isinstance(event, AcceptConnection):
                    self.headers = {name.decode().lower(): value.decode() for name, value in event.extra_headers}
                    return
                if isinstance(event, RejectConnection | RejectData):
                    refusal.append(event)
                if isinstance(event, RejectData) and event.body_finished:
                    body = b"".join(part.data for part in refusal[1:])
                    raise Refused(refusal[0].status_code, body)
            assert data, "the connection ended within the handshake"

    def __enter__(self) -> "SocketClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, body: Any) -> None:
        """Send a frame: bytes and texts as they are, else as JSON."""
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        event = BytesMessage(data) if isinstance(data, bytes) else TextMessage(data)
        self.socket.sendall(self.protocol.send(event))

    def close(self, code: int = 1000) -> None:
        """Begin the end in order."""
        self.socket.sendall(self.protocol.send(CloseConnection(code)))

    def next(self) -> Any:
        """The next frame, read as JSON; None when the server has ended the connection."""
        while not self._frames:
            if self.close_code is not None:
                return None
            data = self.socket.recv(65536)
            if not data:
                self.close_code = 1006
                return None
            self.protocol.receive_data(data)
            for event in self.protocol.events():
                self._take(event)
        return self._frames.pop(0)

    def _take(self, event: Any) -> None:
        if isinstance(event, TextMessage):
            self._text += event.data
            if event.message_finished:
                self._frames.append(json.loads(self._text))
                self._text = ""
        elif isinstance(event, Ping):
            self.pings += 1
            self.socket.sendall(self.protocol.send(event.response()))
        elif isinstance(event, CloseConnection):
            self.close_code = event.code
            if self.protocol.state.name == "REMOTE_CLOSING":
                self.socket.sendall(self.protocol.send(event.response()))

    def answer(self) -> list[Any]:
        """All frames until `done`, an error, or the end."""
        frames = []
        while (frame := self.next()) is not None:
            frames.append(frame)
            if "token" not in frame:
                break
        return frames

    def ask(self, **body: Any) -> list[Any]:
        """Send a request and return its frames."""
        self.send(body)
        return self.answer()

    def end(self) -> int | None:
        """Wait for the server's end and return its code."""
        assert self.next() is None
        return self.close_code
