"""One model of several files: sizes added up, and every reason why it cannot be used."""

from pathlib import Path

import pytest

from app.local_models.assembly import Candidate, Skipped, build, kind_of
from app.local_models.header_cache import HeaderCache
from app.local_models.local_model import LocalModel
from app.local_models.metadata import Metadata
from tests.gguf_files import gguf


def built(*paths, stem="m", **how):
    return build(Candidate(stem, tuple(paths), "folder", **how), HeaderCache())


def test_a_model_of_two_files(tmp_path):
    paths = [gguf(tmp_path / f"m-0000{number}-of-00002.gguf", {"split.count": 2}) for number in (1, 2)]
    model = built(*paths, shards=2)
    assert isinstance(model, LocalModel)
    assert (model.path, model.paths, model.problem) == (paths[0], tuple(paths), None)
    assert model.size_bytes == sum(path.stat().st_size for path in paths)


def test_a_problem_that_is_known_is_kept(tmp_path):
    assert built(gguf(tmp_path / "a.gguf"), problem="lost").problem == "lost"


def test_many_problems_are_told_in_short(tmp_path):
    paths = [tmp_path / f"{number}.gguf" for number in range(8)]
    problem = built(*paths, shards=9, missing=tuple(range(9, 30))).problem
    assert problem.count("is not there") == 5
    assert problem.endswith("3 more; incomplete: of 9 files these are missing: 9, 10, 11, 12, 13, …")


def test_what_is_no_text_model(tmp_path):
    path = gguf(tmp_path / "a.gguf", {"general.type": "mmproj"})
    assert built(path) == Skipped(path, "is no model to talk to (projector)", "projector")


@pytest.mark.parametrize(("described", "stem", "readable", "kind"), [
    (Metadata(), "a", True, "text model"),
    (Metadata(kind="projector"), "a", True, "projector"),
    (Metadata(), "a-lora", True, "LoRA adapter"),
    (Metadata(), "a-lora", False, "LoRA adapter"),
    (Metadata(parameters=7_000_000_000), "alpaca-lora-7b", True, "text model"),
    (Metadata(), "mmproj-a", False, "projector"),
    (Metadata(), "ggml-whisper", False, "named whisper"),
])
def test_kinds(described, stem, readable, kind):
    assert kind_of(described, stem, readable) == kind


def test_a_file_that_is_not_there_is_no_reason_to_fail():
    model = built(Path("/nowhere/llama-13b-q4_0.gguf"), stem="llama-13b-q4_0")
    assert (model.name, model.architecture, model.parameter_count) == ("llama-13b-q4-0", "llama", "13B")
    assert (model.problem, model.size_bytes) == ("is not there", 0)
