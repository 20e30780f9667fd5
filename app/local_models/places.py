"""Where model files are looked for, and in what order; it opens no file and asks no operating system."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from app.local_models.local_model import FOLDER, HUGGING_FACE, LM_STUDIO, OLLAMA

BASE_FILE, LORA_FILE = "SHIMMY_BASE_GGUF", "SHIMMY_LORA_GGUF"
FOLDER_VARIABLES = ("GATEWAY_MODEL_PATHS", "SHIMMY_MODEL_PATHS")

# Below the user's folder, in the order they are searched.
HOME_FOLDERS = (
    (".cache/huggingface/hub", HUGGING_FACE),
    (".ollama/models", OLLAMA),
    (".lmstudio/models", LM_STUDIO),
    (".cache/lm-studio/models", LM_STUDIO),
    ("models", FOLDER),
    (".local/share/shimmy/models", FOLDER),
    (".cache/llama.cpp", FOLDER),
)
WINDOWS_FOLDERS = (("AppData/Roaming/LM Studio/models", LM_STUDIO), ("Downloads", FOLDER))
_DRIVE = re.compile(r"^[A-Za-z]:[\\/]")


class Place(NamedTuple):
    """A folder to search; it may not exist."""

    folder: Path
    source: str


def places(environ: Mapping[str, str], home: Path, cwd: Path) -> list[Place]:
    """List the folders to search, each once, in order. USERPROFILE in `environ` adds those of Windows."""
    found: dict[Path, Place] = {}
    for place in _all(environ, home, cwd):
        found.setdefault(Path(os.path.normpath(place.folder)), place)
    return [Place(folder, place.source) for folder, place in found.items()]


def named_file(environ: Mapping[str, str], variable: str, home: Path, cwd: Path) -> Path | None:
    """Return the file that a variable names, or None."""
    value = environ.get(variable, "").strip()
    return absolute(value, home, cwd) if value else None


def split_paths(value: str, home: Path, cwd: Path, posix: bool = os.name == "posix") -> list[Path]:
    """Split a list of folders at `;`, on POSIX systems also at `:`, but neither in a folder that exists nor in `C:\\`."""
    found: list[Path] = []
    for part in value.split(";"):
        whole = absolute(part.strip(), home, cwd)
        if not part.strip():
            continue
        if not posix or ":" not in part or _DRIVE.match(part.strip()) or os.path.isdir(whole):
            found.append(whole)
        else:
            found += [absolute(piece.strip(), home, cwd) for piece in part.split(":") if piece.strip()]
    return found


def absolute(text: str, home: Path, cwd: Path) -> Path:
    """Return the path of a setting: `~` is `home`, the rest is seen from `cwd`."""
    if text == "~" or text.startswith(("~/", "~\\")):
        return home / text[2:]
    return cwd / text


def _all(environ: Mapping[str, str], home: Path, cwd: Path) -> Iterator[Place]:
    yield Place(cwd / "models", FOLDER)
    if base := named_file(environ, BASE_FILE, home, cwd):
        yield Place(base.parent, FOLDER)
    for variable in FOLDER_VARIABLES:
        for folder in split_paths(environ.get(variable, ""), home, cwd):
            yield Place(folder, FOLDER)
    for folder in split_paths(environ.get("OLLAMA_MODELS", ""), home, cwd):
        yield Place(folder, OLLAMA)
    for variable, below in (("HF_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if environ.get(variable, "").strip():
            yield Place(absolute(environ[variable].strip(), home, cwd) / below, HUGGING_FACE)
    profile = environ.get("USERPROFILE", "").strip()
    for user in dict.fromkeys((home, *((Path(profile),) if profile else ()))):
        yield from (Place(user / folder, source) for folder, source in HOME_FOLDERS)
    if profile:
        yield from (Place(Path(profile) / folder, source) for folder, source in WINDOWS_FOLDERS)
