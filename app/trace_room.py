"""Room for the chunks of traces, in this process: each may be long, all together may not take the memory."""

import threading


class Room:
    """So many bytes, lent in pieces. Safe for many threads."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        return self._left

    def take(self, size: int) -> bool:
        """Take `size` bytes; tell whether there were as many."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give(self, size: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self._left += size
