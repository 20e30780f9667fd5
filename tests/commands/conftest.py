"""What the tests of the commands share: running `python -m app` as a person does, with a clean environment."""

import contextlib
import io
import os
import subprocess
import sys
from unittest import mock

import pytest

from app.cli import main
from app.engines import wire
from tests.client import LiveGateway
from tests.commands.stored import Stored
from tests.conftest import provider_at, settings_for
from tests.gateway import ROOT, clean_environ
from tests.upstream import FakeUpstream


@pytest.fixture(scope="module")
def stored_by_all(request, tmp_path_factory):
    """A gateway that stores, before an upstream of its own; the test file may name its MODELS."""
    folder, models = tmp_path_factory.mktemp("stored"), getattr(request.module, "MODELS", None)
    with FakeUpstream() as upstream:
        providers = {"up": provider_at(upstream.base_url, "relay", models)}
        settings = settings_for(providers, GATEWAY_DATA_DIR=str(folder), GATEWAY_TRACE="chunks")
        with LiveGateway(settings) as gateway:
            yield Stored(gateway, upstream, folder)
        wire.close_idle()


@pytest.fixture
def stored(stored_by_all):
    """The same, with nothing stored yet."""
    stored_by_all.forget()
    return stored_by_all


@pytest.fixture
def data_folder(request):
    """Where the commands look: the folder of `stored` in tests that have it."""
    return {"GATEWAY_DATA_DIR": str(request.getfixturevalue("stored").folder)} if "stored" in request.fixturenames else {}


@pytest.fixture
def run(tmp_path, data_folder):
    """Run a command: `run("list", "--json", MODEL_NAME="x")`. The developer's own models are not to be found."""

    def run(*arguments, script=("-m", "app"), stdin=None, **environ):
        environ.setdefault("GATEWAY_LOCAL_MODELS", "0")
        return subprocess.run(
            [sys.executable, *script, *arguments],
            cwd=ROOT,
            env=clean_environ(tmp_path, **data_folder | environ),
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def run_here(tmp_path, data_folder):
    """The same in this process: half a second less, for what is about the words of a command and not about a process."""

    def run_here(*arguments, **environ):
        environ.setdefault("GATEWAY_LOCAL_MODELS", "0")
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="\n", write_through=True) for _ in range(2))
        with (
            mock.patch.dict(os.environ, clean_environ(tmp_path, **data_folder | environ), clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main(list(arguments), prog_name="python -m app")
        printed = [stream.buffer.getvalue().decode("utf-8") for stream in (out, err)]
        return subprocess.CompletedProcess(arguments, ended.value.code or 0, *printed)

    return run_here
