"""Adapters and projectors find the model they belong to, and no other."""

from pathlib import Path

import pytest

from app.local_models.assembly import Skipped
from app.local_models.companions import attach
from app.local_models.local_model import LocalModel
from app.local_models.metadata import LORA, PROJECTOR


def model(name, **how):
    path = Path("/m") / name
    return LocalModel(name=path.stem, path=path, paths=(path,), size_bytes=1, source="folder", **how)


@pytest.mark.parametrize(("adapter", "belongs"), [
    ("phi3-lora.gguf", True), ("phi3.lora-f16.gguf", True), ("lora_phi3.gguf", True), ("phi-lora.gguf", False),
    ("lora.gguf", False), ("other/phi3-lora.gguf", False),
])
def test_an_adapter_has_its_models_name(adapter, belongs):
    path = Path("/m") / adapter
    (found,) = attach([model("phi3-q4_0.gguf")], [Skipped(path, "", LORA)])
    assert found.lora == (path if belongs else None)


@pytest.mark.parametrize(("projector", "belongs"), [
    ("mmproj-F16.gguf", True), ("mmproj-model-f16.gguf", True), ("mmproj-gemma-3-4b-it-f16.gguf", True),
    ("mmproj-gemma-3-12b-it-f16.gguf", False), ("other/mmproj-F16.gguf", False),
])
def test_a_projector_has_its_models_name_or_none(projector, belongs):
    path = Path("/m") / projector
    (found,) = attach([model("gemma-3-4b-it-Q4_K_M.gguf")], [Skipped(path, "", PROJECTOR)])
    assert found.projector == (path if belongs else None)


def test_the_first_by_name_is_taken_and_what_is_there_stays():
    files = [Skipped(Path("/m") / name, "", PROJECTOR) for name in ("mmproj-f32.gguf", "mmproj-f16.gguf")]
    own = Path("/own.gguf")
    found = attach([model("a.gguf"), model("b.gguf", projector=own, lora=own)], files)
    assert [each.projector for each in found] == [Path("/m/mmproj-f16.gguf"), own]
    assert found[1].lora == own


def test_other_files_are_no_companions():
    (found,) = attach([model("a.gguf")], [Skipped(Path("/m/a-lora.gguf"), "", "named whisper")])
    assert (found.lora, found.projector) == (None, None)
