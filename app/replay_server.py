"""Gives a captured answer to clients once more: the same bytes, at once or at the recorded pace; asks no model."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from app.recording import EVENTS, JSON, Recording

HOST = "127.0.0.1"
LONGEST_REQUEST = 1 << 30


def paced(recording: Recording, speed: float, wait: Callable[[float], object] = time.sleep) -> Iterator[bytes]:
    """Yield what the client got, write by write: `speed` 0 is at once, 1 as it was, 2 in half the time."""
    began = time.monotonic()
    for at, data in recording.writes:
        if speed > 0 and (left := began + at / speed - time.monotonic()) > 0:
            wait(left)
        yield data


def content_type(recording: Recording) -> str:
    """Return the Content-Type that the answer had."""
    return f"{EVENTS}; charset=utf-8" if any(recording.capture.emitted()) else JSON


class ReplayServer(ThreadingHTTPServer):
    """Answers every POST on 127.0.0.1 with one capture; a stream leaves write by write, as it did."""

    daemon_threads = True

    def __init__(self, recording: Recording, port: int = 0, speed: float = 0) -> None:
        """Listen. Raises OSError where the port is taken."""
        self.recording, self.speed = recording, speed
        self.stopping = threading.Event()
        super().__init__((HOST, port), Handler)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}"

    def shutdown(self) -> None:
        self.stopping.set()
        super().shutdown()


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    server: ReplayServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read the request, whatever it is, and play the answer."""
        if not self._read_request():
            return
        recording = self.server.recording
        self.send_response(recording.status)
        self.send_header("Content-Type", content_type(recording))
        self.send_header("Cache-Control", "no-cache, no-transform")
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in recording.headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for data in paced(recording, self.server.speed, self.server.stopping.wait):
                if self.server.stopping.is_set():
                    self.close_connection = True
                    return
                if data:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has enough

    def _read_request(self) -> bool:
        """Read the body to its end, so that the connection can serve another request."""
        try:
            size = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            size = -1
        if self.headers.get("Transfer-Encoding") or not 0 <= size <= LONGEST_REQUEST:
            self.send_error(411, "A request needs its Content-Length")
            self.close_connection = True
            return False
        while size:
            data = self.rfile.read(min(size, 1 << 16))
            if not data:
                self.close_connection = True
                return False
            size -= len(data)
        return True

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: what is served stands in the capture."""
