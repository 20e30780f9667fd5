"""Headers that were read, by path, size and date: a second scan of files that did not change reads none of them."""

import os
from pathlib import Path
from typing import NamedTuple

from app.local_models.gguf_header import GgufError, Header, read_header

MOST_FILES = 4_096


class File(NamedTuple):
    """One file: `header` is None where `problem` says why it cannot be read."""

    path: Path
    size: int
    modified: float
    header: Header | None
    problem: str | None


class HeaderCache:
    """`path -> File`; safe for many threads, which may at worst read one file twice."""

    def __init__(self) -> None:
        self.reads = 0
        self._files: dict[str, tuple[tuple[int, int], File]] = {}

    def read(self, path: Path) -> File:
        """Return what the file at `path` is now. Never raises."""
        try:
            found = os.stat(path)
        except (OSError, ValueError) as error:
            gone = "is a link to a file that is not there" if os.path.islink(path) else "is not there"
            strange = f"cannot be read ({getattr(error, 'strerror', None) or error})"
            return File(path, 0, 0.0, None, gone if isinstance(error, FileNotFoundError) else strange)
        key = (found.st_size, found.st_mtime_ns)
        known = self._files.get(str(path))
        if known and known[0] == key:
            return known[1]
        file = self._read(path, found)
        if len(self._files) >= MOST_FILES:
            self._files.clear()
        self._files[str(path)] = (key, file)
        return file

    def _read(self, path: Path, found: os.stat_result) -> File:
        self.reads += 1
        try:
            return File(path, found.st_size, found.st_mtime, read_header(path), None)
        except GgufError as error:
            return File(path, found.st_size, found.st_mtime, None, str(error))
