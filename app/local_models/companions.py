"""Pairs models with the files that belong to them: a LoRA adapter of the same name, a projector for images."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from app.local_models.assembly import Skipped
from app.local_models.file_name import base_of
from app.local_models.local_model import LocalModel
from app.local_models.metadata import LORA, PROJECTOR


def attach(models: Iterable[LocalModel], skipped: Sequence[Skipped]) -> list[LocalModel]:
    """Return the models with the adapter and the projector that lie beside them; what they have already stays."""
    loras = [found.path for found in skipped if found.kind == LORA]
    projectors = [found.path for found in skipped if found.kind == PROJECTOR]
    return [
        replace(
            model,
            lora=model.lora or first(path for path in loras if is_adapter_of(path, model)),
            projector=model.projector or first(path for path in projectors if is_projector_of(path, model)),
        )
        for model in models
    ]


def is_adapter_of(lora: Path, model: LocalModel) -> bool:
    """Tell whether an adapter is named as the model beside it is, but for "lora" and the quantisation."""
    return lora.parent == model.path.parent and base_of(lora.stem) == base_of(model.path.stem) != ""


def is_projector_of(projector: Path, model: LocalModel) -> bool:
    """Tell whether a projector belongs to the model beside it: it carries its name or, alone with it, none."""
    return projector.parent == model.path.parent and base_of(model.path.stem).startswith(base_of(projector.stem))


def first(paths: Iterable[Path]) -> Path | None:
    """Return the first path by name, or None."""
    return min(paths, default=None)
