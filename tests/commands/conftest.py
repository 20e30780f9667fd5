"""What the tests of the commands share: running `python -m app` as a person does, with a clean environment."""

import subprocess
import sys

import pytest

from tests.gateway import ROOT, clean_environ


@pytest.fixture
def run(tmp_path):
    """Run a command: `run("list", "--json", MODEL_NAME="x")`. The developer's own models are not to be found."""

    def run(*arguments, script=("-m", "app"), stdin=None, **environ):
        environ.setdefault("GATEWAY_LOCAL_MODELS", "0")
        return subprocess.run(
            [sys.executable, *script, *arguments],
            cwd=ROOT,
            env=clean_environ(tmp_path, **environ),
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run
