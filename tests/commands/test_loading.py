"""The commands with tiny real models on this machine: loaded with progress, generating, listed, probed, diagnosed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from app.cancel import CancelToken
from app.commands.loading import keeper_of, load
from app.errors import ClientGone
from app.local_models.errors import ModelLoadFailed, ModelLoading
from app.local_models.keeper_client import client_for
from app.local_models.keeper_protocol import connect, socket_path
from app.local_models.targets import find_target
from tests.conftest import settings_for
from tests.gateway import POLL, ROOT, clean_environ
from tests.local_models.models import model_folder  # noqa: F401 (a fixture)
from tests.tiny_gguf import make

GREETING = "Hello! I am a tiny test model, and this reply was scripted into my weights.\n"
END_LIMIT = 20.0  # seconds until a keeper that nobody needs is gone


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with home and data of these tests. At the end their keeper is waited for."""
    folder = tmp_path_factory.mktemp("cli")
    yield folder
    deadline = time.monotonic() + END_LIMIT
    while time.monotonic() < deadline:
        try:
            connect(socket_path(folder / "var"), 1).close()
        except OSError:
            return
        time.sleep(POLL)
    raise AssertionError("the keeper did not end")


@pytest.fixture
def environ(place, model_folder):  # noqa: F811
    return clean_environ(place, GATEWAY_MODEL_PATHS=str(model_folder))


@pytest.fixture
def run(environ):
    def run(*arguments, **more):
        return subprocess.run(
            [sys.executable, "-m", "app", *arguments], cwd=ROOT, env={**environ, **more}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    return run


@pytest.fixture
def held(place, model_folder):  # noqa: F811
    """The model tiny is loaded while the test lasts: a keeper that nobody needs ends after some seconds."""
    paths = {"GATEWAY_LOCAL_MODELS": "1", "GATEWAY_MODEL_PATHS": str(model_folder), "GATEWAY_DATA_DIR": str(place / "var")}
    wanted = find_target("tiny", settings_for({}, **paths)).options["local"]
    with keeper_of(wanted).lease(wanted, 120):
        yield
    keeper_of(wanted).close()


# --- generate -------------------------------------------------------------------------------------------------------


def test_a_local_model_answers_without_a_server(run):
    done = run("generate", "tiny", "--prompt", "Hi")
    assert (done.returncode, done.stdout) == (0, GREETING), done.stderr
    assert "\r" not in done.stderr and "\x1b" not in done.stderr


def test_json_tells_tokens(run):
    told = json.loads(run("generate", "TINY", "--prompt", "Hi", "--json").stdout)
    assert told["text"] + "\n" == GREETING and told["usage"]["completion_tokens"] == 19
    assert (told["upstream"], told["engine"]) == ("local/tiny", "gguf")


def test_without_a_name_the_first_model_answers(run, tmp_path):
    config = tmp_path / "opencode.json"
    config.write_text('{"provider": {}}', "utf-8")
    done = run("generate", "--prompt", "Hi", "--max-tokens", "3", "--verbose", OPENCODE_CONFIG=str(config))
    assert done.returncode == 0 and "-> local/" in done.stderr and "finish reason length" in done.stderr


def test_a_damaged_model_fails_with_1(run):
    done = run("generate", "bad", "--prompt", "Hi")
    assert (done.returncode, done.stdout) == (1, "") and "truncated" in done.stderr and "Traceback" not in done.stderr


def test_ctrl_c_stops_the_model_too(run, environ, tmp_path):
    make(tmp_path / "endless.gguf", script="one two three four ", loop=True, n_ctx=65536)
    options = ("--model-path", str(tmp_path), "--max-tokens", "60000")
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "generate", "endless", "--prompt", "Count.", *options], cwd=ROOT,
        env={**environ, "GATEWAY_LOCAL_CONTEXT": "65536", "GATEWAY_LOCAL_SLOTS": "1"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.read(8) == b"one two "
    process.send_signal(signal.SIGINT)
    rest, said = process.communicate(timeout=30)
    assert process.returncode == 130 and rest.endswith(b"\n") and said.endswith(b"Cancelled.\n")
    # It has one slot: another answer comes only when the first has stopped.
    again = run("generate", "endless", "--prompt", "Count.", *options[:2], "--max-tokens", "2")
    assert again.stdout == "one two\n", again.stderr


# --- list, probe, diag ----------------------------------------------------------------------------------------------


def test_list_tells_size_quantization_state_problem_and_place(run, model_folder):  # noqa: F811
    rows = {row["id"]: row for row in json.loads(run("list", "--json").stdout)}
    tiny, bad = rows["tiny"], rows["bad"]
    assert tiny["kind"] == "local" and tiny["quantization"] == "F32" and tiny["parameter_count"] == "0.5M"
    assert tiny["size_bytes"] == (model_folder / "tiny.gguf").stat().st_size and tiny["problem"] is None
    assert tiny["path"] == str(model_folder / "tiny.gguf") and tiny["source"] == "folder"
    assert bad["state"] == "failed" and "truncated" in bad["problem"]
    lines = run("list").stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("bad "))
    assert "failed" in lines[at] and "cannot be used: truncated" in lines[at + 1]
    assert "F32" in lines[at] and "KB" in lines[at] and str(model_folder / "bad.gguf") in lines[at]
    short = run("list", "--short").stdout.split()
    assert "tiny" in short and "mock" in short and "bad" not in short


def test_list_tells_what_is_loaded(run, held):
    (tiny,) = [row for row in json.loads(run("list", "--json").stdout) if row["id"] == "tiny"]
    assert tiny["state"] == "busy"


def test_a_name_that_opencode_json_takes_is_listed_as_it_is_reached(run, tmp_path):
    config = tmp_path / "opencode.json"
    config.write_text('{"provider": {"m": {"options": {"engine": "mock"}, "models": {"tiny": {}}}}}', "utf-8")
    named = {"OPENCODE_CONFIG": str(config)}
    assert {"tiny", "local/tiny"} <= set(run("list", "-s", **named).stdout.split())
    assert run("generate", "local/tiny", "--prompt", "Hi", **named).stdout == GREETING
    assert run("generate", "tiny", "--prompt", "Hi", **named).stdout == "Hi\n"


def test_probe_loads_a_model_and_says_so(run):
    done = run("probe", "tiny")
    assert done.returncode == 0 and done.stdout.startswith("ok: loaded tiny (") and "tools native" in done.stdout
    told = json.loads(run("probe", "tiny", "--json").stdout)
    assert told["ok"] is True and told["text"].startswith("Hello!") and told["memory_bytes"] > 2**20
    assert told["context"] == 4096 and told["error"] is None


def test_probe_of_what_cannot_be_loaded_ends_with_2(run, tmp_path):
    done = run("probe", "bad")
    assert (done.returncode, done.stdout) == (2, "") and "truncated" in done.stderr
    told = json.loads(run("probe", "bad", "--json").stdout)
    assert told["ok"] is False and told["error"]["kind"] == "load" and "truncated" in told["error"]["message"]
    make(tmp_path / "big.gguf")
    done = run("probe", "big", "--model-path", str(tmp_path), GATEWAY_LOCAL_MEMORY="1MB", GATEWAY_DATA_DIR=str(tmp_path))
    assert done.returncode == 2 and "all local models together may take" in done.stderr


def test_probe_without_a_name_tries_the_first_model_here(run):
    assert "ok: loaded loop" in run("probe").stdout


def test_probe_of_an_unknown_name_tells_near_ones(run):
    done = run("probe", "tinny")
    assert done.returncode == 1 and "does not exist" in done.stdout and "On this machine: tiny" in done.stdout
    told = json.loads(run("probe", "tinny", "--json").stdout)
    assert (told["ok"], told["error"]["kind"]) == (False, "model") and "tiny" in told["error"]["message"]


def test_diag_tells_folders_models_and_what_is_none(run, model_folder):  # noqa: F811
    done = run("diag", "--json")
    here = json.loads(done.stdout)["local_models"]
    folder = next(row for row in here["folders"] if row["path"] == str(model_folder))
    assert folder["exists"] and folder["models"] == len(list(model_folder.glob("*.gguf")))
    assert here["installed"] and here["runs"] and here["reason"] is None
    assert {"name": "tiny", "path": str(model_folder / "tiny.gguf"), "problem": None} in here["models"]
    text = run("diag").stdout
    assert "llama.cpp runs" in text and "warning: bad: truncated" in text and "keeper" in text


def test_diag_tells_what_the_keeper_holds(run, held):
    keeper = json.loads(run("diag", "--json").stdout)["local_models"]["keeper"]
    assert keeper["running"] and {"tiny"} <= {model["name"] for model in keeper["models"]}


# --- loading itself -------------------------------------------------------------------------------------------------


@pytest.fixture
def order(place, model_folder, tmp_path_factory):  # noqa: F811
    """The target of a model, with a keeper of its own that ends with the test."""
    folder = tmp_path_factory.mktemp("data")

    def target(name, **environ):
        paths = {"GATEWAY_LOCAL_MODELS": "1", "GATEWAY_MODEL_PATHS": str(model_folder), "GATEWAY_DATA_DIR": str(folder)}
        found = find_target(name, settings_for({}, **paths, **environ))
        used.append(found.options["local"])
        return found

    used = []
    yield target
    for each in used:
        client_for(each["folder"], each["memory"], each["idle"]).close(wait=True)


def test_progress_is_shown_until_it_is_loaded(order):
    shown = []
    target = order("tiny")
    assert load(target, CancelToken(), shown.append).base_url.startswith("http://127.0.0.1:")
    assert all(share is None or 0 <= share <= 1 for share in shown)
    before = len(shown)
    load(target, CancelToken(), shown.append)
    assert len(shown) == before, "nothing is shown of what is loaded already"
    # The keeper learns by itself that nobody holds it any more.
    assert keeper_of(target.options["local"]).status("tiny").state in ("ready", "busy")


def test_what_fails_is_said_once(order, model_folder):  # noqa: F811
    target = order("tiny")
    target.options["local"]["path"] = str(model_folder / "bad.gguf")  # damaged since it was found
    with pytest.raises(ModelLoadFailed, match="cannot be loaded"):
        load(target, CancelToken(), lambda share: None)


def test_a_load_can_be_cancelled(order):
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(ClientGone):
        load(order("loop"), cancel, lambda share: None)


def test_a_load_without_any_progress_is_given_up(order, tmp_path):
    os.mkfifo(tmp_path / "never.gguf")  # whoever opens it waits for a writer
    target, shown = order("tiny", GATEWAY_LOCAL_WAIT="1"), []
    target.options["local"] |= {"path": str(tmp_path / "never.gguf"), "size": 2**30}
    with pytest.raises(ModelLoading, match="is being loaded"):
        load(target, CancelToken(), shown.append)
    assert shown and all(share is None or 0 <= share < 1 for share in shown)
