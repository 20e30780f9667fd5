"""Ollama's store: names from paths, blobs from digests, and every kind of damage."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.local_models import ollama_store
from app.local_models.ollama_store import read_manifest, read_store, short_names
from tests.gguf_files import gguf
from tests.local_models.ollama_files import blob_of, manifest

EXAMPLE = Path(__file__).parent.parent / "fixtures/shimmy/ollama_manifest_example.json"
NAME = "registry.ollama.ai/library/x/14b"


def write(store, text, name=NAME):
    path = store / "manifests" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(("name", "aliases"), [
    ("registry.ollama.ai/library/x/14b", ("x:14b",)),
    ("registry.ollama.ai/library/x/latest", ("x:latest", "x")),
    ("registry.ollama.ai/someone/x/7b", ("someone/x:7b",)),
    ("hf.co/org/repo/Q4_K_M", ("hf.co/org/repo:Q4_K_M",)),
    ("localhost/library/x/latest", ("localhost/library/x:latest", "localhost/library/x")),
    ("registry.ollama.ai/latest", ("registry.ollama.ai:latest", "registry.ollama.ai")),
    ("x/14b", ("x:14b",)),
])
def test_what_ollama_calls_a_model(name, aliases):
    assert short_names(tuple(name.split("/"))) == aliases


def test_the_described_manifest(tmp_path):
    path = write(tmp_path, EXAMPLE.read_bytes())
    blob = tmp_path / "blobs/sha256-bb"
    blob.parent.mkdir()
    blob.write_bytes(bytes(123))
    assert read_manifest(tmp_path, path) == ollama_store.Entry(NAME, ("x:14b",), blob)
    os.truncate(blob, 100)
    assert read_manifest(tmp_path, path).problem == "truncated: its blob has 100 of 123 bytes"
    blob.unlink()
    assert "is missing" in read_manifest(tmp_path, path).problem


def test_blobs_of_older_versions(tmp_path):
    path = write(tmp_path, EXAMPLE.read_bytes())
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs/sha256:bb").write_bytes(bytes(123))
    assert read_manifest(tmp_path, path).path == tmp_path / "blobs/sha256:bb"


def test_a_store_is_read_in_order(tmp_path):
    blob = blob_of(tmp_path, gguf(tmp_path / "a.gguf"))
    for name in ("registry.ollama.ai/library/z/1b", "hf.co/o/r/q", NAME, "a/b"):
        manifest(tmp_path, name, model=blob, adapter=tmp_path / "blobs/sha256-cc")
    write(tmp_path, "junk", "registry.ollama.ai/library/x/.DS_Store")
    write(tmp_path, "junk", "README")
    entries = read_store(tmp_path)
    assert [entry.name for entry in entries] == ["a/b", "hf.co/o/r/q", NAME, "registry.ollama.ai/library/z/1b"]
    assert {entry.path for entry in entries} == {blob}
    assert {entry.lora for entry in entries} == {tmp_path / "blobs/sha256-cc"}


def test_a_model_in_the_cloud_has_no_weights_here(tmp_path):
    manifest(tmp_path, NAME)
    assert read_store(tmp_path) == []


def test_there_may_be_no_store(tmp_path):
    assert read_store(tmp_path) == []
    assert list(ollama_store.other_blobs(tmp_path, [])) == []


def layer(digest, kind="application/vnd.ollama.image.model", **more):
    return json.dumps({"layers": [{"mediaType": kind, "digest": digest, **more}]})


@pytest.mark.parametrize(("text", "problem"), [
    ("", "not JSON"),
    ("{", "not JSON"),
    (b"\xff\xfe", "not JSON"),
    ("[" * 100_000, "not JSON"),
    ("[]", "no list of layers"),
    ('{"layers": {}}', "no list of layers"),
    (" " * (ollama_store.MOST_MANIFEST + 1), "too large"),
    (layer("sha256:../../etc/passwd"), "no blob"),
    (layer("md5:abc"), "no blob"),
    (layer(7), "no blob"),
    (layer("sha256:" + "a" * 64), "is missing"),
    (layer("sha256:aa", size="big"), "is missing"),
])
def test_a_damaged_manifest_is_a_model_with_a_problem(tmp_path, text, problem):
    (entry,) = read_store(tmp_path) if write(tmp_path, text) else ()
    assert entry.name == NAME
    assert problem in entry.problem


def test_a_pipe_in_the_store_does_not_hold_the_scan(tmp_path):
    (tmp_path / "manifests/r/n/m").mkdir(parents=True)
    (tmp_path / "blobs").mkdir()
    os.mkfifo(tmp_path / "manifests/r/n/m/tag")
    os.mkfifo(tmp_path / "blobs/sha256-aa")
    (entry,) = read_store(tmp_path)
    assert "is no file" in entry.problem
    assert list(ollama_store.other_blobs(tmp_path, [])) == []


def test_blobs_that_no_manifest_names(tmp_path):
    named = blob_of(tmp_path, gguf(tmp_path / "a.gguf"))
    manifest(tmp_path, NAME, model=named)
    other = blob_of(tmp_path, gguf(tmp_path / "b.gguf", {"x": 1}))
    (tmp_path / "blobs/sha256-00").write_bytes(b"{}")
    assert list(ollama_store.named_blobs(tmp_path)) == [named]
    assert list(ollama_store.other_blobs(tmp_path, [named])) == [(other.name[:19], other)]


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(
    inner, max_size=3) | st.dictionaries(st.sampled_from(["layers", "mediaType", "digest", "size"]), inner), max_leaves=8)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps({"layers": [value]}).encode()))
def test_no_manifest_is_too_odd(tmp_path, text):
    write(tmp_path, text)
    for entry in read_store(tmp_path):
        assert entry.problem
    list(ollama_store.named_blobs(tmp_path))
