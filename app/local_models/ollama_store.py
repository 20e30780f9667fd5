"""Ollama's store of models: manifests name blobs by their hash; it knows the layout, not what a blob holds.

manifests/<registry>/<namespace>/<model>/<tag> is JSON whose layers name blobs/sha256-<hash>. Source: ollama's
server/manifest.go and types/model/name.go; older versions wrote `sha256:<hash>` as the name of the file.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

LAYER = "application/vnd.ollama.image."
MOST_MANIFEST = 2**20  # bytes
MOST_MANIFESTS = 10_000
DEFAULT_REGISTRY, DEFAULT_NAMESPACE, DEFAULT_TAG = "registry.ollama.ai", "library", "latest"
_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{1,128})")


class Entry(NamedTuple):
    """One tag of a model. `name` is the manifest's path, `aliases` what Ollama's own commands call it."""

    name: str
    aliases: tuple[str, ...]
    path: Path
    projector: Path | None = None
    lora: Path | None = None
    problem: str | None = None


def read_store(folder: Path) -> list[Entry]:
    """List the models of a store, sorted by name; a manifest that cannot be read is a model with a problem."""
    return [entry for path in manifest_files(folder) if (entry := read_manifest(folder, path))]


def manifest_files(folder: Path) -> list[Path]:
    """List the manifests of a store: four levels down, as Ollama writes them, and anything from two to six."""
    found: list[Path] = []
    for here, folders, files in os.walk(folder / "manifests"):
        depth = len(Path(here).relative_to(folder / "manifests").parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and depth < 5)
        found += [Path(here, name) for name in files if not name.startswith(".") and depth >= 1]
        if len(found) > MOST_MANIFESTS:
            break
    return sorted(found[:MOST_MANIFESTS])


def read_manifest(folder: Path, path: Path) -> Entry | None:
    """Read one manifest; None for a model without weights of its own (one that runs in Ollama's cloud)."""
    parts = path.relative_to(folder / "manifests").parts
    name, aliases = "/".join(parts), short_names(parts)
    try:
        layers = _layers(path)
    except (OSError, ValueError, RecursionError) as error:
        return Entry(name, aliases, path, problem=f"its manifest cannot be read ({_why(error)})")
    blobs = {kind: _blob(folder, layer) for kind, layer in layers.items()}
    model = layers.get("model")
    if model is None:
        return None
    blob = blobs["model"]
    if blob is None:
        return Entry(name, aliases, path, problem="its manifest names no blob by a sha256 digest")
    problem = _problem_of(blob, model)
    return Entry(name, aliases, blob, blobs.get("projector"), blobs.get("adapter"), problem)


def short_names(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return what Ollama's commands call the model: registry.ollama.ai/library/x/14b is `x:14b`."""
    *path, tag = parts
    if path[:1] == [DEFAULT_REGISTRY] and len(path) > 1:
        path = path[1:]
        if path[0] == DEFAULT_NAMESPACE and len(path) > 1:
            path = path[1:]
    short = "/".join(path)
    return (f"{short}:{tag}", short) if tag == DEFAULT_TAG else (f"{short}:{tag}",)


def other_blobs(folder: Path, known: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Yield (name, path) of GGUF blobs that no manifest names; the name is the hash's first 12 digits."""
    named = {path.name for path in known}
    for blob in sorted((folder / "blobs").glob("sha256*")):
        found = _DIGEST.fullmatch(blob.name)
        if found and blob.name not in named and _begins_like_gguf(blob):
            yield f"sha256-{found[1][:12]}", blob


def named_blobs(folder: Path) -> Iterator[Path]:
    """Yield every blob that a manifest names, whatever it holds."""
    for path in manifest_files(folder):
        try:
            layers = _layers(path)
        except (OSError, ValueError, RecursionError):
            continue
        yield from (blob for layer in layers.values() if (blob := _blob(folder, layer)))


def _layers(path: Path) -> dict[str, dict[str, Any]]:
    """Return the first layer of each kind ("model", "projector", "adapter", "template", …)."""
    if not os.path.isfile(path):
        raise ValueError("it is no file")
    with open(path, "rb") as file:
        raw = file.read(MOST_MANIFEST + 1)
    if len(raw) > MOST_MANIFEST:
        raise ValueError("it is too large")
    data = json.loads(raw)
    layers = data.get("layers") if isinstance(data, dict) else None
    if not isinstance(layers, list):
        raise ValueError("it has no list of layers")
    found: dict[str, dict[str, Any]] = {}
    for layer in layers:
        kind = layer.get("mediaType") if isinstance(layer, dict) else None
        if isinstance(kind, str) and kind.startswith(LAYER):
            found.setdefault(kind.removeprefix(LAYER), layer)
    return found


def _blob(folder: Path, layer: dict[str, Any]) -> Path | None:
    digest = layer.get("digest")
    found = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if not found:
        return None  # anything else could lead out of the store
    older = folder / "blobs" / f"sha256:{found[1]}"
    newer = folder / "blobs" / f"sha256-{found[1]}"
    return older if not os.path.exists(newer) and os.path.exists(older) else newer


def _problem_of(blob: Path, layer: dict[str, Any]) -> str | None:
    try:
        size = blob.stat().st_size
    except OSError:
        return f"its blob {blob.name[:19]}… is missing: pull the model again"
    stated = layer.get("size")
    if isinstance(stated, int) and size < stated:
        return f"truncated: its blob has {size} of {stated} bytes"
    return None


def _begins_like_gguf(path: Path) -> bool:
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return file.read(4) == b"GGUF"
    except OSError:
        return False


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError | RecursionError):
        return "not JSON"
    return getattr(error, "strerror", None) or str(error)
