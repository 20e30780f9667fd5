"""Finds model files below a folder: which folders are entered, which are not, and how deep; it opens no file."""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.local_models.file_name import SUFFIX

DEPTH = 4  # folders below the first; a model in Hugging Face's cache lies at 3 or 4
MOST_ENTRIES = 100_000  # of one search: a home folder full of source code must not hold the gateway up
HIDDEN_BUT_SEARCHED = (".cache", ".ollama", ".local", ".lmstudio")
NOT_SEARCHED = frozenset(
    (
        "target", "cmake", "incremental", "node_modules", "__pycache__", "$recycle.bin", "system volume information",
        "windows", "program files", "program files (x86)", "programdata",
    )
)  # fmt: skip
SYSTEM = frozenset(("/proc", "/sys", "/dev", "/run", "/boot", "/etc", "/bin", "/sbin", "/lib", "/lib64"))

log = logging.getLogger("gateway")


@dataclass
class Found:
    """Model files below one folder, sorted by path, and the folders that are a store of Ollama's."""

    files: list[Path] = field(default_factory=list)
    stores: list[Path] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)


def walk(folder: Path) -> Found:
    """Search `folder`. Links are followed, each real folder is entered once. A folder that is not there holds nothing."""
    found = Found()
    seen: set[str] = set()
    left = MOST_ENTRIES
    waiting = [(folder, 0)]
    while waiting:
        here, depth = waiting.pop()
        real = real_path(here)
        if real in seen:
            continue
        seen.add(real)
        entries = _list(here, found.unreadable if os.path.isdir(here) else [])
        left -= len(entries)
        if left < 0:
            log.warning("search for models in %s ended after %d files and folders", folder, MOST_ENTRIES)
            break
        if {"manifests", "blobs"} <= {entry.name for entry in entries}:
            found.stores.append(here)
        found.files += [Path(entry.path) for entry in entries if is_model_file(entry)]
        if depth < DEPTH:
            below = [Path(entry.path) for entry in entries if is_searched(entry)]
            waiting += [(path, depth + 1) for path in reversed(below)]
    found.files.sort()
    return found


def real_path(path: Path) -> str:
    """Return where a path leads; for a name that no system takes, the name."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return str(path)


def is_model_file(entry: os.DirEntry) -> bool:
    """Tell whether an entry is named like a model file; a link that leads nowhere counts, a folder does not."""
    return entry.name.lower().endswith(SUFFIX) and not entry.name.startswith(".") and not _says(entry.is_dir)


def is_searched(entry: os.DirEntry) -> bool:
    """Tell whether an entry is a folder to enter."""
    name = entry.name.lower()
    if name in NOT_SEARCHED or (name.startswith(".") and name not in HIDDEN_BUT_SEARCHED):
        return False
    return entry.path not in SYSTEM and _says(entry.is_dir)


def _says(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:
        return False


def _list(folder: Path, unreadable: list[tuple[Path, str]]) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return sorted(_first(entries, MOST_ENTRIES + 1), key=lambda entry: entry.name)
    except (OSError, ValueError) as error:
        unreadable.append((folder, f"cannot be searched ({getattr(error, 'strerror', None) or error})"))
        return []


def _first(entries: Iterator[os.DirEntry], count: int) -> Iterator[os.DirEntry]:
    yield from (entry for _, entry in zip(range(count), entries, strict=False))
