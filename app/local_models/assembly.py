"""Makes one model of its files: headers read, described, and every reason found why it cannot be used."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from app.local_models import file_name, metadata
from app.local_models.file_name import model_name
from app.local_models.header_cache import File, HeaderCache
from app.local_models.local_model import LocalModel
from app.local_models.metadata import LORA, PROJECTOR, TEXT, Metadata

# A model of that size whose name has "lora" in it (Alpaca-LoRA-7B) was merged: it is no adapter.
SMALLEST_MERGED = 1_000_000_000  # parameters
MOST_NAMED = 5  # problems of single files that are told


class Candidate(NamedTuple):
    """Files that may be a model. `missing` are the numbers of shards that are not there; `name` if not by the stem."""

    stem: str
    paths: tuple[Path, ...]
    source: str
    name: str | None = None
    aliases: tuple[str, ...] = ()
    shards: int = 1
    missing: tuple[int, ...] = ()
    lora: Path | None = None
    projector: Path | None = None
    problem: str | None = None


class Skipped(NamedTuple):
    """A file that is no model to talk to, or a folder that cannot be searched; `kind` is a kind of metadata or ""."""

    path: Path
    why: str
    kind: str = ""


def build(candidate: Candidate, cache: HeaderCache) -> LocalModel | Skipped:
    """Read what `candidate` consists of and describe it. Never raises."""
    files = [cache.read(path) for path in candidate.paths]
    headers = [file.header for file in files if file.header]
    described = metadata.describe(headers if files[0].header else [], candidate.stem, whole=not candidate.missing)
    kind = kind_of(described, candidate.stem, bool(headers))
    if kind != TEXT:
        return Skipped(candidate.paths[0], f"is no model to talk to ({kind})", kind)
    return LocalModel(
        **vars(described),
        name=candidate.name or model_name(candidate.stem),
        path=candidate.paths[0],
        paths=candidate.paths,
        size_bytes=sum(file.size for file in files),
        source=candidate.source,
        modified=max(file.modified for file in files),
        aliases=candidate.aliases,
        lora=candidate.lora,
        projector=candidate.projector,
        problem=candidate.problem or problem_of(candidate, files, described),
    )


def kind_of(described: Metadata, stem: str, readable: bool) -> str:
    """Say what a file holds by its header, and by its name where that speaks of something other than text."""
    if described.kind != TEXT:
        return described.kind
    if file_name.is_lora(stem) and not (readable and (described.parameters or 0) >= SMALLEST_MERGED):
        return LORA
    word = file_name.no_text_word(stem)
    if word == "mmproj":
        return PROJECTOR
    return f"named {word}" if word else TEXT


def problem_of(candidate: Candidate, files: Sequence[File], described: Metadata) -> str | None:
    """Say why these files cannot be loaded, or None."""
    problems = []
    for file in files:
        if problem := problem_of_file(file):
            problems.append(f"{file.path.name}: {problem}" if len(files) > 1 else problem)
    if len(problems) > MOST_NAMED:
        problems = [*problems[:MOST_NAMED], f"{len(problems) - MOST_NAMED} more"]
    if candidate.missing:
        numbers = ", ".join(map(str, candidate.missing[:MOST_NAMED]))
        more = ", …" if len(candidate.missing) > MOST_NAMED else ""
        problems.append(f"incomplete: of {candidate.shards} files these are missing: {numbers}{more}")
    elif files[0].header and described.split_count != candidate.shards:
        ending = f"-00001-of-{described.split_count:05d}{file_name.SUFFIX}"
        problems.append(f"is one of {described.split_count} files; the first must be named …{ending}")
    return "; ".join(problems) or None


def problem_of_file(file: File) -> str | None:
    """Say why one file cannot be loaded, or None."""
    if file.header is None:
        return file.problem
    if file.header.big_endian != (sys.byteorder == "big"):
        return "is written for machines of the other byte order"
    if file.header.missing:
        return f"truncated: {file.header.missing} bytes of its weights are missing"
    return None
