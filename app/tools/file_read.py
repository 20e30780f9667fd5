"""Reads text files below one folder: no way out by `..`, an absolute path or a link, nothing that is no plain file."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from app.tools.tool import ToolError

MOST_BYTES = 1_048_576
SETTING = "GATEWAY_TOOLS_ROOT"
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_ENTER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def make_file_read(root: Path | None, most_bytes: int = MOST_BYTES) -> Callable[[str], str]:
    """Return the tool for files below `root`; without a root it refuses and says which setting names one."""

    def file_read(path: Annotated[str, "Path to the file to read"]) -> str:
        """Read contents of a text file"""
        if root is None:
            raise ToolError(f"No folder may be read; set {SETTING} to the one that may")
        return read_text(root, path, most_bytes)

    return file_read


def read_text(root: Path, path: str, most_bytes: int = MOST_BYTES) -> str:
    """Return the text of a file below `root`. Raises ToolError, which does not tell what lies outside."""
    try:
        file = open_below(root, path)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise ToolError(f"{path} is no plain file")
            raw = _read(file, most_bytes + 1)
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        raise ToolError(f"{path} cannot be read ({getattr(error, 'strerror', None) or 'bad path'})") from None
    if len(raw) > most_bytes:
        raise ToolError(f"{path} is larger than {most_bytes} bytes")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ToolError(f"{path} is not a text file in UTF-8") from None


def open_below(root: Path, path: str) -> int:
    """Open a file below `root` and return its descriptor. Raises ToolError for what lies outside, OSError, ValueError.

    Links are resolved first and the result must lie below `root`; then it is opened step by step without following any
    link, so that one that is put in its place meanwhile leads nowhere.
    """
    top = os.path.realpath(root)
    real = os.path.realpath(os.path.join(top, path))
    inside = os.path.relpath(real, top) if os.path.splitdrive(real)[0] == os.path.splitdrive(top)[0] else os.pardir
    steps = inside.split(os.sep)
    if steps[0] == os.pardir:
        raise ToolError(f"{path} is outside the folder that may be read")
    if os.open not in os.supports_dir_fd:
        return os.open(real, _READ)
    here = os.open(top, _ENTER)
    try:
        for step in steps[:-1]:
            below = os.open(step, _ENTER, dir_fd=here)
            os.close(here)
            here = below
        return os.open(steps[-1], _READ, dir_fd=here)
    finally:
        os.close(here)


def _read(file: int, count: int) -> bytes:
    pieces = []
    while count > 0 and (piece := os.read(file, min(count, 1_048_576))):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)
