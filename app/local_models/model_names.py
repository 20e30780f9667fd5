"""Gives every model a name of its own; a name that is taken gets what tells the two apart."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

from app.local_models.file_name import model_name
from app.local_models.local_model import LocalModel


def with_unique_names(models: Iterable[LocalModel]) -> list[LocalModel]:
    """Return the models with unique names, the first of a name unchanged; aliases that are a name are left out."""
    named: dict[str, LocalModel] = {}
    for model in models:
        name = next(name for name in choices(model) if name not in named)
        named[name] = replace(model, name=name)
    taken = set(named)
    unique = []
    for model in named.values():
        own = tuple(dict.fromkeys(alias for alias in model.aliases if alias not in taken))
        taken.update(own)
        unique.append(replace(model, aliases=own))
    return unique


def choices(model: LocalModel) -> Iterator[str]:
    """Yield names for a model, the best first: its own, with its folder, with its source, with a number."""
    yield model.name
    for suffix in (origin(model.path), model.source):
        if suffix and suffix != model.name:
            yield f"{model.name}-{suffix}"
    yield from (f"{model.name}-{number}" for number in count(2))


def origin(path: Path) -> str:
    """Name the place of a file: Hugging Face's repository ("org-repo"), else the folder it lies in."""
    repository = next((part for part in path.parts if part.startswith("models--")), None)
    folder = repository.removeprefix("models--").replace("--", "-") if repository else path.parent.name
    return model_name(folder)
