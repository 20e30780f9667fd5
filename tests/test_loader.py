"""LiteLLM is loaded behind the open port, and only where a model needs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.loader import Loader, needs_litellm, tell_local_models
from tests.conftest import provider_at, settings_for
from tests.gguf_files import gguf

ROOT = Path(__file__).resolve().parent.parent
ANY = "http://up.example/v1"


@pytest.mark.parametrize(("providers", "environ", "needed"), [
    ({"p": provider_at(ANY, "litellm")}, {}, True),
    ({"p": provider_at(ANY, "relay")}, {}, False),
    ({"p": {"options": {"baseURL": ANY}, "models": {"m": {}}}}, {}, True),
    ({"p": {"options": {"baseURL": ANY}, "models": {"m": {}}}}, {"GATEWAY_ENGINE": "relay"}, False),
    ({"p": {"options": {"engine": "mock"}, "models": {"mock": {}}}}, {}, False),
    ({"p": provider_at(ANY, "relay"), "q": provider_at(ANY, "litellm", {"n": {}})}, {}, True),
    ({"p": provider_at(ANY, "relay", {"m": {}, "n": {}}, gateway={"n": {"engine": "litellm"}})}, {}, True),
    ({}, {}, False),
])
def test_litellm_is_needed_where_a_model_goes_through_it(providers, environ, needed):
    settings = settings_for(providers, **environ)
    assert needs_litellm(settings) is needed
    assert Loader(settings).state == ("waiting" if needed else "not needed")


def test_what_is_not_needed_is_not_loaded():
    loader = Loader(settings_for({"p": provider_at(ANY, "relay")}))
    loader.begin()
    assert loader.state == "not needed"


LOAD = """
import sys, time, threading
from app.loader import Loader
from tests.conftest import provider_at, settings_for
from tests.gguf_files import gguf
loader = Loader(settings_for({"p": provider_at("http://up.example/v1", "litellm")}))
assert "litellm" not in sys.modules, "imported too early"
loader.begin()
loader.begin()
print(loader.state, [thread.name for thread in threading.enumerate()].count("litellm-loader"))
[thread.join() for thread in threading.enumerate() if thread.name == "litellm-loader"]
print(loader.state, "litellm" in sys.modules)
"""


def run(code):
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_loading_happens_in_a_thread_and_once():
    assert run(LOAD) == ["loading 1", "ready True"]


def test_a_machine_without_litellm_says_so():
    lines = run("import sys; sys.modules['litellm'] = None" + LOAD.replace('assert "litellm" not in sys.modules', "0 and 0"))
    assert lines[-1].startswith("failed")


def test_the_models_on_this_machine_are_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    folder = tmp_path / "somewhere"
    folder.mkdir()
    environ = {"GATEWAY_MODEL_PATHS": str(folder), "GATEWAY_LOCAL_MODELS": "1", "GATEWAY_DATA_DIR": str(tmp_path / "var")}
    gguf(folder / "first.gguf")
    gguf(folder / "m.gguf")
    (folder / "cut.gguf").write_bytes(b"GGUF")
    settings = settings_for({"p": provider_at(ANY, "relay", {"m": {}})}, **environ)
    tell_local_models(settings).join()
    told = capsys.readouterr().out
    assert told.startswith("  on this machine: first, local/m (1 cannot be used: `python -m app list` says why)")
    tell_local_models(settings_for({}, **environ | {"GATEWAY_LOCAL_MODELS": "0"})).join()
    assert capsys.readouterr().out == ""
