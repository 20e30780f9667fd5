"""Finds the models on this machine: what lies in the known folders, described and named. It asks no network, ever.

Every GGUF file becomes a model, or part of one, or is named in `skipped` with the reason; a file that is damaged is
listed with its `problem`, and the scan goes on.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from app.local_models import companions, file_name, ollama_store
from app.local_models.assembly import Candidate, Skipped, build
from app.local_models.header_cache import HeaderCache
from app.local_models.local_model import BASE, HUGGING_FACE, OLLAMA, LocalModel
from app.local_models.model_names import with_unique_names
from app.local_models.places import BASE_FILE, LORA_FILE, Place, named_file, places
from app.local_models.walk import real_path, walk

HEADERS = HeaderCache()


@dataclass(frozen=True)
class Discovery:
    """The result of one scan: models in search order, files that are none with the reason, and the folders."""

    models: tuple[LocalModel, ...]
    skipped: tuple[Skipped, ...]
    folders: tuple[Place, ...]


class _Known(NamedTuple):
    """What was found of one real file so far."""

    candidate: Candidate
    names: list[str]


def discover(environ: Mapping[str, str], home: Path, cwd: Path, cache: HeaderCache = HEADERS) -> list[LocalModel]:
    """List the models in the usual folders, each file once; damaged ones have a `problem`. See `scan` for the rest."""
    return list(scan(environ, home, cwd, cache).models)


def scan(environ: Mapping[str, str], home: Path, cwd: Path, cache: HeaderCache = HEADERS) -> Discovery:
    """Search the folders that `environ`, `home` and `cwd` name. Never raises for what it finds there."""
    skipped: list[Skipped] = []
    found: list[LocalModel] = []
    folders = places(environ, home, cwd)
    candidates = _base(environ, home, cwd) + [each for place in folders for each in _in_place(place, skipped)]
    for candidate in _each_file_once(candidates):
        built = build(candidate, cache)
        skipped.append(built) if isinstance(built, Skipped) else found.append(built)
    models = companions.attach(found, skipped)
    return Discovery(tuple(with_unique_names(models)), tuple(skipped), tuple(folders))


def _base(environ: Mapping[str, str], home: Path, cwd: Path) -> list[Candidate]:
    """Return the model that SHIMMY_BASE_GGUF names, with the adapter of SHIMMY_LORA_GGUF."""
    path = named_file(environ, BASE_FILE, home, cwd)
    if path is None:
        return []
    lora = named_file(environ, LORA_FILE, home, cwd)
    missing = f"{BASE_FILE} names a file that is not there" if not os.path.exists(path) else None
    if lora and not os.path.exists(lora):
        missing = missing or f"{LORA_FILE} names a file that is not there"
    return [Candidate(path.stem, (path,), BASE, lora=lora, problem=missing)]


def _in_place(place: Place, skipped: list[Skipped]) -> Iterator[Candidate]:
    found = walk(place.folder)
    skipped += [Skipped(path, why) for path, why in found.unreadable]
    for store in found.stores:
        yield from _in_store(store)
    for candidate in group_shards(found.files, place.source):
        path = candidate.paths[0]
        if place.source == OLLAMA or any(path.is_relative_to(store) for store in found.stores):
            yield candidate._replace(source=OLLAMA, name=f"ollama:{file_name.model_name(candidate.stem)}")
        elif any(part.startswith("models--") for part in path.parts):
            yield candidate._replace(source=HUGGING_FACE)
        else:
            yield candidate


def _in_store(store: Path) -> Iterator[Candidate]:
    for entry in ollama_store.read_store(store):
        stem = entry.aliases[0].replace(":", "-").replace("/", "-")
        yield Candidate(
            stem, (entry.path,), OLLAMA, entry.name, entry.aliases, lora=entry.lora, projector=entry.projector,
            problem=entry.problem,
        )  # fmt: skip
    for name, path in ollama_store.other_blobs(store, ollama_store.named_blobs(store)):
        yield Candidate(name, (path,), OLLAMA, f"ollama:{name}")


def group_shards(files: Iterable[Path], source: str) -> Iterator[Candidate]:
    """Yield one candidate per model: the files of a model that was split become one, in the order of their numbers."""
    groups: dict[tuple[Path, str, int], list[tuple[int, Path]]] = {}
    for path in files:
        shard = file_name.split_shard(path.stem)
        key = (path.parent, shard.stem, shard.total) if shard else (path.parent, path.stem, 0)
        groups.setdefault(key, []).append((shard.number if shard else 1, path))
    for (_, stem, total), members in groups.items():
        if total == 0:
            yield from (Candidate(stem, (path,), source) for _, path in members)
            continue
        members.sort()
        missing = sorted(set(range(1, min(total, 100) + 1)) - {number for number, _ in members})
        yield Candidate(stem, tuple(path for _, path in members), source, shards=total, missing=tuple(missing))


def _each_file_once(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Leave out what is a second way to a file that was found; its names become names of the first.

    Ollama's manifests may give the same weights another adapter, and one of them may be damaged: those stay apart.
    """
    known: dict[tuple[str, Path | None, str | None], _Known] = {}
    for candidate in candidates:
        own = (candidate.lora, candidate.problem) if candidate.name else (None, None)
        first = known.setdefault((real_path(candidate.paths[0]), *own), _Known(candidate, []))
        if first.candidate is not candidate:
            first.names.extend((candidate.name or file_name.model_name(candidate.stem), *candidate.aliases))
    return [each._replace(aliases=(*each.aliases, *names)) for each, names in known.values()]
