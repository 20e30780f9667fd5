"""The files of the inspector page: a fixed set from one folder, with types and tags. Serves nothing that is not listed."""

import hashlib
import threading
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "inspector" / "static"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}


class File(NamedTuple):
    data: bytes
    type: str
    tag: str


class Files:
    """The files of a folder by name; read again when one changed. Safe for many threads."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._held: dict[str, tuple[tuple[int, int], File]] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> File | None:
        """Return a file, None where the folder has none of that name or it is of no known type."""
        path = self._folder / name
        kind = TYPES.get(path.suffix)
        if kind is None or name.startswith(".") or path.parent != self._folder or "\\" in name or "\0" in name:
            return None
        try:
            found = path.lstat()
            if not path.is_file() or path.is_symlink():
                return None
            seen = (found.st_mtime_ns, found.st_size)
            with self._lock:
                held = self._held.get(name)
                if held is None or held[0] != seen:
                    data = path.read_bytes()
                    held = self._held[name] = (seen, File(data, kind, hashlib.sha256(data).hexdigest()[:20]))
                return held[1]
        except OSError:
            return None
