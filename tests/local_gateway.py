"""A gateway with nothing but tiny real models on its machine; their keeper ends with the tests of the file.

Without xllamacpp these tests are skipped, loudly.
"""

import pytest

from app.local_models.keeper_client import is_installed
from app.routes.local_models import keeper_of
from tests.tiny_gguf import make

LOOP = "one two three four five six seven eight nine ten "


@pytest.fixture(scope="session")
def local_folder(tmp_path_factory):
    """A folder with tiny.gguf (greets), loop.gguf (never ends) and bad.gguf (cut off)."""
    folder = tmp_path_factory.mktemp("local-models")
    make(folder / "tiny.gguf")
    make(folder / "loop.gguf", script=LOOP, loop=True)
    (folder / "bad.gguf").write_bytes((folder / "tiny.gguf").read_bytes()[:60_000])
    return folder


@pytest.fixture(scope="module")
def local_data(tmp_path_factory):
    """The data folder, whose keeper lives as long as the tests of a file."""
    folder = tmp_path_factory.mktemp("local-data")
    keepers = set()
    yield folder, keepers
    for keeper in keepers:
        keeper.close(wait=True)


@pytest.fixture
def local(serve, local_folder, local_data):
    """Start a gateway: `local(providers, GATEWAY_…="…")`."""
    if not is_installed():
        pytest.skip("xllamacpp is not installed: NO MODEL OF THIS MACHINE IS RUN")
    folder, keepers = local_data

    def start(providers=None, **environ):
        own = {"GATEWAY_LOCAL_MODELS": "1", "GATEWAY_MODEL_PATHS": str(local_folder), "GATEWAY_LOCAL_MEMORY": "1GB"}
        gateway = serve(providers or {}, GATEWAY_DATA_DIR=str(folder), **{**own, **environ})
        keepers.add(keeper_of(gateway.app.extensions["settings_store"].current))
        return gateway

    return start


