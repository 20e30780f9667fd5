"""Two gateways as real processes: one is tested, one stands for its upstream (its mock plays any script)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway import ROOT, Gateway
from tests.opencode_server import stop_opencode

UPSTREAM_MODELS = ("scripted", "gemini-2.5-flash", "gemini-2.5-pro")
LIMIT = {"context": 128_000, "output": 8_192}


def write_map(path: Path, providers: dict[str, object]) -> str:
    path.write_text(json.dumps({"provider": providers}), "utf-8")
    return str(path)


def provider(engine: str, base_url: str, model: str, upstream_id: str) -> dict[str, object]:
    entry = {"id": upstream_id, "tool_call": True, "limit": LIMIT}
    options = {"engine": engine, "baseURL": base_url, "apiKey": "sk-upstream-key-000"}
    return {"options": options, "models": {model: entry}}


@pytest.fixture(scope="session", autouse=True)
def opencode_ends() -> Iterator[None]:
    yield
    stop_opencode()


@pytest.fixture(scope="session")
def scripted_upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """An OpenAI-compatible upstream that plays the `mock-script` in a request."""
    folder = tmp_path_factory.mktemp("upstream")
    models = {name: {"limit": LIMIT} for name in UPSTREAM_MODELS}
    model_map = write_map(folder / "opencode.json", {"m": {"options": {"engine": "mock"}, "models": models}})
    with Gateway(folder, OPENCODE_CONFIG=model_map) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory, scripted_upstream: Gateway) -> Iterator[Gateway]:
    """A gateway with three roads to the same scripted model: its own mock, and both engines to the upstream."""
    folder = tmp_path_factory.mktemp("gateway")
    url = scripted_upstream.base_url
    providers = {
        "own": {"options": {"engine": "mock"}, "models": {"mock": {"limit": LIMIT}}},
        "first": provider("litellm", url, "through-litellm", "scripted"),
        "second": provider("relay", url, "through-relay", "scripted"),
    }
    with Gateway(folder, OPENCODE_CONFIG=write_map(folder / "opencode.json", providers)) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def shipped_gateway(tmp_path_factory: pytest.TempPathFactory, scripted_upstream: Gateway) -> Iterator[Gateway]:
    """A gateway with the opencode.json that ships, its relay being the scripted upstream."""
    folder = tmp_path_factory.mktemp("shipped")
    relay = {"GEMINI_API_BASE": scripted_upstream.base_url, "GEMINI_API_KEY": "test-key-of-the-relay",
             "GATEWAY_ENGINE": "litellm"}  # as without that setting  # fmt: skip
    with Gateway(folder, OPENCODE_CONFIG=str(ROOT / "opencode.json"), **relay) as gateway:
        yield gateway
