"""How workers and the keeper talk: JSON lines over a Unix socket; who may connect, and where the socket is."""

import hashlib
import json
import os
import select
import socket
import tempfile
from pathlib import Path
from typing import Any

LONGEST_PATH = 100  # bytes; the kernel takes 104 (macOS) to 108
LONGEST_LINE = 1 << 20


def socket_path(folder: Path) -> Path:
    """Return where the keeper of a data folder listens; a path too long for a socket becomes one in the temp folder."""
    path = folder / "local-models.sock"
    if len(os.fsencode(path)) <= LONGEST_PATH:
        return path
    short = hashlib.blake2b(os.fsencode(folder.resolve()), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"gateway-{os.getuid()}-{short}.sock"


class Channel:
    """One connection. `receive` returns None at its end. Used by one thread at each side."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = connection.makefile("rb")

    def send(self, **message: Any) -> None:
        """Send one message. Raises OSError when the other side is gone."""
        self._connection.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any] | None:
        """Wait for one message. Raises OSError, and ValueError for what is no message."""
        line = self._reader.readline(LONGEST_LINE)
        if not line.endswith(b"\n"):
            return None
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError("a message must be an object")
        return message

    def receive_if_any(self) -> dict[str, Any] | None:
        """The same, with None also where the other side was lost. Raises ValueError."""
        try:
            return self.receive()
        except OSError:
            return None

    def limit(self, seconds: float) -> None:
        """Have `receive` raise OSError after so many seconds."""
        self._connection.settimeout(seconds)

    def wait_closed(self) -> None:
        """Return when the other side has gone."""
        try:
            while self._reader.readline(LONGEST_LINE):
                pass
        except OSError:
            pass  # gone, only less politely

    def is_open(self) -> bool:
        """Tell whether the other side is still there, without reading."""
        return not select.select([self._connection], [], [], 0)[0]

    def abort(self) -> None:
        """Wake whoever waits in `receive`; may be called from any thread."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed already

    def close(self) -> None:
        self._reader.close()
        self._connection.close()


def connect(path: Path, timeout: float) -> socket.socket:
    """Connect to the keeper. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(str(path))
        connection.settimeout(None)
    except BaseException:
        connection.close()
        raise
    return connection


def listen(path: Path) -> socket.socket:
    """Listen at `path`, for this user alone; what an earlier keeper left there goes. Raises OSError."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(512)
    return listener
