"""Models as rows: what is told of a model on this machine, of one elsewhere, and in Ollama's words."""

import json
import re
from pathlib import Path

import pytest

from app.local_models import rows
from app.local_models.keeper_client import Status
from app.local_models.local_model import LocalModel
from app.utils.model_resolver import ModelInfo

PATH = Path("models") / "tiny-8b.gguf"
MODEL = LocalModel(
    name="tiny-8b", path=PATH, paths=(PATH,), size_bytes=5_000, source="folder", modified=1_700_000_000.5,
    architecture="qwen2", title="Tiny", parameter_count="8B", parameters=8_000_000_000, quantization="Q4_K_M",
    context_length=4096, embedding_length=64, chat_template="{{ messages }}",
)  # fmt: skip
INFO = ModelInfo("far", "up", 1_700_000_000, "up", "Far Away", {"context": 1000}, {}, {})
KEYS = {"id", "name", "description", "size_bytes", "model_type", "parameter_count", "quantization", "context_length", "source",
        "path", "state", "problem", "local"}


def damaged():
    return LocalModel(**{**vars(MODEL), "problem": "truncated: 5 bytes of its weights are missing"})


def test_a_model_on_this_machine():
    row = rows.local_row("local/tiny-8b", MODEL, None)
    assert row == {
        "id": "local/tiny-8b", "name": "local/tiny-8b",
        "description": "Tiny: qwen2, 8B, Q4_K_M, 4096 tokens (folder)", "size_bytes": 5_000, "model_type": "qwen2",
        "parameter_count": "8B", "quantization": "Q4_K_M", "context_length": 4096, "source": "folder", "path": str(PATH),
        "state": "discovered", "problem": None, "local": True}


def test_a_model_elsewhere_has_the_same_fields():
    row = rows.remote_row(INFO)
    assert row.keys() == KEYS == rows.local_row("x", MODEL, None).keys()
    assert (row["id"], row["description"], row["context_length"], row["state"]) == ("far", "Far Away (up)", 1000, "ready")


@pytest.mark.parametrize(("model", "status", "expected"), [
    (MODEL, None, ("discovered", None)),
    (MODEL, Status("tiny-8b", "busy"), ("busy", None)),
    (MODEL, Status("tiny-8b", "failed", "no memory"), ("failed", "no memory")),
    (None, Status("gone", "ready"), ("ready", None)),
    (damaged(), None, ("failed", "truncated: 5 bytes of its weights are missing")),
    (damaged(), Status("tiny-8b", "ready"), ("failed", "truncated: 5 bytes of its weights are missing")),
])
def test_states(model, status, expected):
    assert rows.state_of(model, status) == expected


@pytest.mark.parametrize(("state", "loaded"), [
    ("discovered", False), ("loading", False), ("ready", True), ("busy", True), ("unloading", False), ("failed", False)])
def test_a_status(state, loaded):
    row = rows.status_row("tiny-8b", MODEL, Status("tiny-8b", state, None, 0.5, 1000, 2, 1.5, 1.0))
    assert row == {
        "model": "tiny-8b", "status": state, "state": state, "loaded": loaded, "local": True, "reason": None,
        "progress": 0.5, "memory_bytes": 1000, "active": 2, "last_used": 1.5, "loaded_at": 1.0}


def test_a_status_elsewhere():
    row = rows.remote_status_row("far")
    assert (row["status"], row["loaded"], row["local"], row["memory_bytes"]) == ("ready", True, False, None)


def test_a_tag_has_what_ollamas_clients_read():
    tag = rows.tag(rows.local_row("tiny-8b", MODEL, None), MODEL.modified)
    digest = tag.pop("digest")
    assert re.fullmatch("[0-9a-f]{64}", digest)
    assert tag == {
        "name": "tiny-8b", "model": "tiny-8b", "modified_at": "2023-11-14T22:13:20Z", "size": 5_000,
        "details": {"parent_model": "", "format": "gguf", "family": "qwen2", "families": ["qwen2"], "parameter_size": "8B",
                    "quantization_level": "Q4_K_M"}}
    assert rows.tag(rows.local_row("tiny-8b", MODEL, None), MODEL.modified + 1)["digest"] != digest


def test_a_tag_of_a_model_elsewhere_has_texts_too():
    tag = rows.tag(rows.remote_row(INFO), 0)
    assert (tag["size"], tag["modified_at"]) == (0, "1970-01-01T00:00:00Z")
    assert all(isinstance(value, str) for name, value in tag["details"].items() if name != "families")


def test_a_card():
    card = rows.card(rows.local_row("tiny-8b", MODEL, None), MODEL)
    assert card["model_info"] == {
        "general.architecture": "qwen2", "general.parameter_count": 8_000_000_000, "qwen2.context_length": 4096,
        "qwen2.embedding_length": 64}
    assert (card["template"], card["capabilities"]) == ("{{ messages }}", ["completion", "tools"])
    assert rows.card(rows.remote_row(INFO), None)["model_info"] == {}


def test_everything_is_json():
    for value in (rows.local_row("x", damaged(), None), rows.card(rows.local_row("x", MODEL, None), MODEL)):
        json.dumps(value)


@pytest.mark.parametrize(("size", "text"), [
    (0, "0B"), (1023, "1023B"), (1024, "1.0KB"), (int(47.2 * 2**20), "47.2MB"), (int(2.1 * 2**30), "2.1GB"),
    (3 * 2**40, "3.0TB")])
def test_sizes_for_people(size, text):
    assert rows.size_text(size) == text
