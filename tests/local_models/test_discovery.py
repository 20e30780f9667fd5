"""Discovery over real folders: what is found where, by what name, and what is said of what cannot be used."""

import json
import os
import shutil
from pathlib import Path

import pytest

from app.local_models.discovery import discover, scan
from app.local_models.header_cache import HeaderCache
from tests.gguf_files import F32, Q4_K, gguf
from tests.local_models.ollama_files import blob_of, manifest

GIGABYTE = 2**30


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def cwd(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def found(home, cwd):
    """Scan with these variables: `found(OLLAMA_MODELS="…")` -> {name: model}."""

    def scanned(**environ):
        models = discover(environ, home, cwd, HeaderCache())
        assert len({model.name for model in models}) == len(models)
        return {model.name: model for model in models}

    return scanned


def problems(models):
    return {name: model.problem for name, model in models.items()}


# --- where -------------------------------------------------------------------------------------------------------


def test_nothing_is_found_in_empty_folders(found):
    assert found() == {}


@pytest.mark.parametrize(("place", "source"), [
    ("models/a.gguf", "folder"),
    ("models/publisher/repository/a.gguf", "folder"),
    (".cache/huggingface/hub/models--org--repo/snapshots/0123/a.gguf", "huggingface"),
    (".cache/huggingface/hub/models--org--repo/snapshots/0123/UD-Q4_K_XL/a.gguf", "huggingface"),
    (".lmstudio/models/publisher/repository/a.gguf", "lmstudio"),
    (".cache/lm-studio/models/publisher/repository/a.gguf", "lmstudio"),
    (".local/share/shimmy/models/a.gguf", "folder"),
    (".cache/llama.cpp/a.gguf", "folder"),
])
def test_folders_of_the_user(home, found, place, source):
    gguf(home / place, {"general.size_label": "1B"})
    assert [(model.name, model.source, model.problem) for model in found().values()] == [("a", source, None)]


def test_folders_that_variables_name(home, cwd, tmp_path, found):
    gguf(tmp_path / "one/one.gguf")
    gguf(tmp_path / "two/two.gguf")
    gguf(tmp_path / "three/three.gguf")
    gguf(home / "four/four.gguf")
    gguf(cwd / "models/five.gguf")
    models = found(SHIMMY_MODEL_PATHS=f"{tmp_path}/one;{tmp_path}/two", GATEWAY_MODEL_PATHS="../three;~/four")
    assert list(models) == ["five", "three", "four", "one", "two"]


def test_the_base_model_comes_first_and_its_folder_is_searched(tmp_path, found):
    base = gguf(tmp_path / "base/Phi 3_Mini.gguf")
    gguf(tmp_path / "base/other.gguf")
    lora = gguf(tmp_path / "adapter.gguf", {"general.type": "adapter"})
    models = found(SHIMMY_BASE_GGUF=str(base), SHIMMY_LORA_GGUF=str(lora))
    assert [(model.name, model.source, model.lora) for model in models.values()] == [
        ("phi-3-mini", "base", lora), ("other", "folder", None)]


def test_a_base_model_that_is_not_there_is_listed_with_the_reason(found):
    assert problems(found(SHIMMY_BASE_GGUF="nowhere/base.gguf")) == {
        "base": "SHIMMY_BASE_GGUF names a file that is not there"}


def test_windows_folders(tmp_path, found):
    profile = tmp_path / "Users/Ann"
    for place in ("AppData/Roaming/LM Studio/models/p/r/one.gguf", "Downloads/two.gguf", ".ollama/models/three.gguf",
                  ".lmstudio/models/p/r/four.gguf"):
        gguf(profile / place)
    assert set(found(USERPROFILE=str(profile))) == {"one", "two", "ollama:three", "four"}


@pytest.mark.parametrize("place", [
    "models/.git/a.gguf", "models/.hidden/a.gguf", "models/target/a.gguf", "models/cmake/a.gguf",
    "models/node_modules/x/a.gguf", "models/._a.gguf", "models/1/2/3/4/5/a.gguf", "a.gguf", "models/a.safetensors",
    "models/a.gguf.part", "models/a.bin",
])
def test_what_is_not_searched(home, found, place):
    gguf(home / place)
    assert found() == {}


def test_no_family_is_left_out(home, found):
    """The earlier program listed a Hugging Face model only if its path held one of six words."""
    gguf(home / ".cache/huggingface/hub/models--LiquidAI--LFM2/snapshots/1/LFM2-1.2B-Q4_0.gguf")
    assert list(found()) == ["lfm2-1.2b-q4-0"]


# --- what is told ------------------------------------------------------------------------------------------------


def test_a_model_is_described(home, found):
    path = gguf(home / "models/Tiny_Model Q4.gguf", {
        "general.name": "Tiny", "general.size_label": "0.5M", "general.file_type": 15, "llama.context_length": 4096,
        "tokenizer.chat_template": "{% if tools %}x{% endif %}"})  # fmt: skip
    model = found()["tiny-model-q4"]
    assert (model.path, model.paths, model.size_bytes) == (path, (path,), path.stat().st_size)
    assert (model.architecture, model.model_type, model.parameter_count) == ("llama", "llama", "0.5M")
    assert (model.quantization, model.context_length, model.template_has_tools) == ("Q4_K_M", 4096, True)
    assert model.modified == path.stat().st_mtime
    assert model.description == "Tiny: llama, 0.5M, Q4_K_M, 4096 tokens (folder)"


def test_shards_are_one_model(home, found):
    for number in (1, 2, 3, 4):
        gguf(home / f"models/model-{number:05d}-of-00004.gguf", {"split.count": 4}, {"t": ((256, number), Q4_K)})
    (model,) = found().values()
    assert (model.name, model.problem, len(model.paths)) == ("model", None, 4)
    assert model.path.name == "model-00001-of-00004.gguf"
    assert model.size_bytes == sum(path.stat().st_size for path in model.paths)
    assert model.parameters == 256 * 10


def test_missing_shards_are_named(home, found):
    for number in (1, 4):
        gguf(home / f"models/big-13b-{number:05d}-of-00004.gguf", {"split.count": 4})
    (model,) = found().values()
    assert model.problem == "incomplete: of 4 files these are missing: 2, 3"
    assert model.parameter_count == "13B"


def test_a_shard_with_another_name(home, found):
    gguf(home / "models/lonely.gguf", {"split.count": 3})
    assert problems(found()) == {
        "lonely": "is one of 3 files; the first must be named …-00001-of-00003.gguf"}


def test_a_damaged_shard_is_named(home, found):
    first = gguf(home / "models/m-00001-of-00002.gguf", {"split.count": 2})
    first.with_name("m-00002-of-00002.gguf").write_bytes(b"nothing like it at all...")
    assert problems(found()) == {"m": "m-00002-of-00002.gguf: is not a GGUF file"}


def test_damaged_files_are_listed_with_a_reason_and_the_scan_goes_on(home, found):
    models = home / "models"
    whole = gguf(models / "d-sound.gguf")
    (models / "a-noise.gguf").write_bytes(os.urandom(64).replace(b"GGUF", b"XXXX"))
    (models / "b-short.gguf").write_bytes(whole.read_bytes()[:30])
    (models / "c-empty.gguf").touch()
    shutil.copy(whole, models / "e-cut.gguf")
    os.truncate(models / "e-cut.gguf", whole.stat().st_size - 512)
    gguf(models / "f-other-order.gguf", order=">")
    (models / "g-link.gguf").symlink_to(models / "nowhere")
    os.mkfifo(models / "h-pipe.gguf")
    said = problems(found())
    assert said.pop("d-sound") is None
    assert said == {
        "a-noise": "is not a GGUF file",
        "b-short": "truncated: the header goes on after the file's 30 bytes",
        "c-empty": "is empty",
        "e-cut": "truncated: 512 bytes of its weights are missing",
        "f-other-order": "is written for machines of the other byte order",
        "g-link": "is a link to a file that is not there",
        "h-pipe": "is not a regular file",
    }


def test_forty_gigabytes_are_listed_after_a_look_at_the_header(home, found):
    path = gguf(home / "models/huge.gguf", {"general.size_label": "70B"}, {"t": ((2**20, 9 * 2**10), F32)})
    zeros = home / "models/zeros.gguf"
    zeros.touch()
    try:
        os.truncate(zeros, 40 * GIGABYTE)
    except OSError as error:
        pytest.skip(f"NO SPARSE FILES HERE ({error}): files of 40 GB are not tested")
    if path.stat().st_blocks * 512 > GIGABYTE:
        pytest.skip("NO SPARSE FILES HERE: files of 40 GB are not tested")
    before = bytes_read()
    models = found()
    assert bytes_read() - before < 10 * 2**20
    assert models["huge"].size_bytes > 36 * GIGABYTE
    assert problems(models) == {"huge": None, "zeros": "is not a GGUF file (it begins with zeros)"}


def bytes_read():
    """Bytes that this process has read so far; 0 where the system does not count them."""
    counters = Path("/proc/self/io")
    return int(counters.read_text().split()[1]) if counters.exists() else 0


def test_files_that_hold_no_text_model_are_left_out_and_named(home, cwd):
    models = home / "models"
    gguf(models / "whisper-base.gguf")
    gguf(models / "nomic.gguf", {"general.architecture": "nomic-bert"})
    gguf(models / "vocab.gguf", tensors={})
    gguf(models / "lonely-lora.gguf")
    gguf(models / "eclipse-7b.gguf")
    gguf(models / "Robert-7b.gguf")
    result = scan({}, home, cwd, HeaderCache())
    assert [model.name for model in result.models] == ["robert-7b", "eclipse-7b"]
    assert {skip.path.name: skip.kind for skip in result.skipped} == {
        "whisper-base.gguf": "named whisper", "nomic.gguf": "embedding model", "vocab.gguf": "vocabulary",
        "lonely-lora.gguf": "LoRA adapter"}  # fmt: skip
    assert all(skip.why for skip in result.skipped)


def test_adapters_and_projectors_belong_to_the_model_beside_them(home, found):
    models = home / "models"
    gguf(models / "phi3-q4_0.gguf")
    lora = gguf(models / "phi3-lora-f16.gguf")
    projector = gguf(models / "mmproj-phi3-f16.gguf")
    gguf(models / "other/gemma.gguf")
    gguf(models / "other/vision.gguf", {"general.architecture": "clip"})
    said = found()
    assert list(said) == ["gemma", "phi3-q4-0"]
    assert (said["phi3-q4-0"].lora, said["phi3-q4-0"].projector) == (lora, projector)
    assert (said["gemma"].lora, said["gemma"].projector) == (None, None)


# --- names -------------------------------------------------------------------------------------------------------


def test_one_file_is_one_model_however_many_ways_lead_to_it(home, cwd, found):
    hub = home / ".cache/huggingface/hub/models--org--repo"
    blob = gguf(hub / "blobs/0123abc")
    for revision in ("1", "2"):
        link = hub / f"snapshots/{revision}/Model-7B.gguf"
        link.parent.mkdir(parents=True)
        link.symlink_to(blob)
    (cwd / "models").mkdir()
    (cwd / "models/default.gguf").symlink_to(blob)
    (home / "models").symlink_to(cwd / "models")
    (model,) = found(SHIMMY_MODEL_PATHS=str(hub)).values()
    assert (model.name, model.aliases) == ("default", ("model-7b",))
    assert model.path == cwd / "models/default.gguf"


def test_two_models_of_one_name_are_told_apart(home, cwd, found):
    gguf(cwd / "models/model.gguf")
    gguf(home / "models/tiny/model.gguf")
    gguf(home / "models/large/tiny/model.gguf")
    gguf(home / ".cache/huggingface/hub/models--Org--Repo_1/snapshots/0123/model.gguf")
    assert list(found()) == ["model", "model-org-repo-1", "model-tiny", "model-folder"]


def test_hostile_names_stay_one_harmless_line(home, found):
    gguf(home / "models" / "a\x1b[2J\nb.gguf", {"general.name": "x\x1b]0;y\x07\n"})
    (model,) = found().values()
    assert model.name == "a-[2j-b"
    assert model.description.isprintable()


# --- Ollama ------------------------------------------------------------------------------------------------------


def test_models_of_ollama(home, found):
    store = home / ".ollama/models"
    data = gguf(home / "made.gguf", {"general.size_label": "14.8B"})
    projector = gguf(home / "projector.gguf", {"general.architecture": "clip"})
    blob = blob_of(store, data)
    seen = blob_of(store, projector)
    manifest(store, "registry.ollama.ai/library/x/14b", model=blob, projector=seen)
    manifest(store, "registry.ollama.ai/library/x/latest", model=blob)
    manifest(store, "registry.ollama.ai/library/cloud/latest")
    manifest(store, "registry.ollama.ai/library/lost/7b", model=store / "blobs" / ("sha256-" + "f" * 64))
    models = found()
    assert list(models) == ["registry.ollama.ai/library/lost/7b", "registry.ollama.ai/library/x/14b"]
    model = models["registry.ollama.ai/library/x/14b"]
    assert (model.source, model.path, model.projector) == ("ollama", blob, seen)
    assert (model.parameter_count, model.problem) == ("14.8B", None)
    assert model.aliases == ("x:14b", "registry.ollama.ai/library/x/latest", "x:latest", "x")
    assert "is missing" in models["registry.ollama.ai/library/lost/7b"].problem


def test_manifests_of_the_same_weights_stay_apart_where_they_differ(home, tmp_path, found):
    store = home / ".ollama/models"
    weights = blob_of(store, gguf(tmp_path / "weights.gguf"))
    adapter = blob_of(store, gguf(tmp_path / "adapter.gguf", {"general.type": "adapter"}))
    broken = manifest(store, "registry.ollama.ai/library/a/broken", model=weights)
    broken.write_text(broken.read_text().replace(f'"size": {weights.stat().st_size}', '"size": 999999999'))
    manifest(store, "registry.ollama.ai/library/b/tuned", model=weights, adapter=adapter)
    for tag in ("c/latest", "d/copy"):
        manifest(store, f"registry.ollama.ai/library/{tag}", model=weights)
    told = {name.rpartition("library/")[2]: (model.lora, bool(model.problem)) for name, model in found().items()}
    assert told == {"a/broken": (None, True), "b/tuned": (adapter, False), "c/latest": (None, False)}
    assert "d:copy" in found()["registry.ollama.ai/library/c/latest"].aliases


def test_other_files_in_the_store_of_ollama(home, tmp_path, found):
    store = home / "elsewhere"
    named = blob_of(store, gguf(home / "a.gguf"))
    manifest(store, "registry.ollama.ai/library/x/14b", model=named)
    orphan = blob_of(store, gguf(home / "b.gguf", {"general.name": "orphan"}))
    gguf(store / "By Hand.gguf", {"general.name": "by hand"})
    (store / "blobs/sha256-abc-partial").write_bytes(b"GGUF")
    models = found(OLLAMA_MODELS=str(store))
    assert set(models) == {"registry.ollama.ai/library/x/14b", f"ollama:{orphan.name[:19]}", "ollama:by-hand"}
    assert {model.source for model in models.values()} == {"ollama"}


def test_a_manifest_that_is_no_json_is_listed(home, found):
    path = home / ".ollama/models/manifests/registry.ollama.ai/library/x/14b"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    (home / ".ollama/models/blobs").mkdir()
    assert problems(found()) == {"registry.ollama.ai/library/x/14b": "its manifest cannot be read (not JSON)"}


@pytest.mark.parametrize("value", ["x" * 5000, "/nowhere/a\0b", "\0", "\udcff", "~root/x", "::;;:", "/dev/null/x"])
def test_no_value_of_a_variable_is_too_odd(home, found, value):
    gguf(home / "models/a.gguf")
    names = ("SHIMMY_MODEL_PATHS", "OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE", "SHIMMY_BASE_GGUF", "SHIMMY_LORA_GGUF")
    models = found(**dict.fromkeys(names, value))
    assert models.pop("a").problem is None
    assert all("is not there" in model.problem for model in models.values())


# --- again -------------------------------------------------------------------------------------------------------


def test_a_second_scan_reads_only_what_changed(home, cwd):
    cache = HeaderCache()
    paths = [gguf(home / f"models/{name}.gguf", {"general.name": name}) for name in "abc"]
    first = discover({}, home, cwd, cache)
    assert cache.reads == 3
    assert discover({}, home, cwd, cache) == first
    assert cache.reads == 3
    gguf(paths[1], {"general.name": "another name"})
    paths[2].unlink()
    assert [model.title for model in discover({}, home, cwd, cache)] == ["a", "another name"]
    assert cache.reads == 4


def test_what_is_found_can_be_told_in_json(home, found):
    gguf(home / "models/a.gguf", {"general.size_label": "1B", "tokenizer.chat_template": "x"})
    (model,) = found().values()
    json.dumps({key: str(value) for key, value in vars(model).items()})


def test_a_folder_that_may_not_be_searched_is_named(home, cwd):
    if os.geteuid() == 0:
        pytest.skip("root may search everything")
    gguf(home / "models/closed/a.gguf")
    (home / "models/closed").chmod(0)
    try:
        result = scan({}, home, cwd, HeaderCache())
    finally:
        (home / "models/closed").chmod(0o700)
    assert [skip.path.name for skip in result.skipped] == ["closed"]
