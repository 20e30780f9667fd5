"""All models as rows: what opencode.json names, and what lies on this machine."""

import pytest

from app.local_models.listing import all_rows, keeper_of
from tests.conftest import settings_for
from tests.tiny_gguf import make

MODELS = {"tiny": {}, "mine": {"id": "tiny"}, "gone": {"id": "not-there"}}


@pytest.fixture
def rows(tmp_path):
    make(tmp_path / "tiny.gguf")

    def rows(providers):
        environ = {"GATEWAY_LOCAL_MODELS": "1", "GATEWAY_MODEL_PATHS": str(tmp_path), "GATEWAY_DATA_DIR": str(tmp_path / "var")}
        found = all_rows(settings_for(providers, **environ))
        return {row["id"]: row for row, _ in found if not row["local"] or row["path"] in (None, str(tmp_path / "tiny.gguf"))}

    return rows


def test_what_lies_here_is_listed_without_any_configuration(rows):
    tiny = rows({})["tiny"]
    assert tiny["local"] and tiny["state"] == "discovered" and tiny["quantization"] == "F32"


def test_a_name_that_is_taken_gets_a_prefix(rows):
    found = rows({"m": {"options": {"engine": "mock"}, "models": {"tiny": {}}}})
    assert not found["tiny"]["local"] and found["local/tiny"]["local"]


def test_opencode_json_may_name_a_model_of_this_machine(rows):
    found = rows({"g": {"options": {"engine": "gguf"}, "models": MODELS}})
    assert found["mine"]["path"] == found["tiny"]["path"] and found["mine"]["state"] == "discovered"
    assert found["gone"]["state"] == "failed" and "not on this machine" in found["gone"]["problem"]


def test_asking_for_states_starts_no_keeper(tmp_path):
    assert keeper_of(settings_for({}, GATEWAY_DATA_DIR=str(tmp_path / "var"))).statuses() == []
    assert not (tmp_path / "var").exists()
