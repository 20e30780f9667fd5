"""The list of models that a process keeps: names in any case, one scan for many questions, new files on demand."""

import pytest

from app.config import Settings
from app.local_models import catalog as module
from app.local_models.catalog import Catalog, catalog
from tests.gguf_files import gguf


@pytest.fixture
def folder(tmp_path):
    models = tmp_path / "cwd" / "models"
    models.mkdir(parents=True)
    gguf(models / "My_Model.gguf")
    return models


@pytest.fixture
def known(folder, tmp_path):
    return Catalog({}, tmp_path / "home", tmp_path / "cwd")


@pytest.mark.parametrize("name", ["my-model", "MY-Model", "My_Model", "my model", "My_Model.gguf"])
def test_names_are_found_in_any_case_and_as_the_file_is_called(known, name):
    found = known.find(name)
    assert found is not None and found.name == "my-model"
    assert known.find("other") is None


def test_one_scan_serves_many_questions(known, monkeypatch):
    scans = []
    real = module.scan
    monkeypatch.setattr(module, "scan", lambda *places: scans.append(1) or real(*places))
    for _ in range(5):
        known.models()
        known.find("my-model")
    assert len(scans) == 1


def test_a_new_file_is_found_by_looking_again(known, folder):
    assert len(known.models()) == 1
    gguf(folder / "second.gguf")
    assert {model.name for model in known.rescan().models} == {"my-model", "second"}
    assert known.find("second") is not None


def test_what_one_worker_is_asked_to_look_for_the_others_find(folder, tmp_path):
    one, other = (Catalog({}, tmp_path / "home", tmp_path / "cwd", tmp_path / "var" / "word") for _ in range(2))
    assert other.find("second") is None and one.find("second") is None
    gguf(folder / "second.gguf")
    assert len(one.rescan().models) == 2
    assert other.find("second") is not None and len(other.models()) == 2


def test_a_data_folder_that_cannot_be_written_harms_nobody(folder, tmp_path):
    (tmp_path / "file").write_text("")
    known = Catalog({}, tmp_path / "home", tmp_path / "cwd", tmp_path / "file" / "word")
    assert len(known.rescan().models) == len(known.models()) == 1


def test_each_environment_has_its_own(folder, tmp_path):
    one = Settings.load({"GATEWAY_MODEL_PATHS": str(folder)}, dotenv=False, opencode={})
    other = Settings.load({"GATEWAY_MODEL_PATHS": str(tmp_path)}, dotenv=False, opencode={})
    assert catalog(one) is catalog(one) is not catalog(other)
    assert catalog(one).find("my-model") is not None
