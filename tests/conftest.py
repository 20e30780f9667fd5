"""What all tests share: a fake upstream, a gateway in front of it, and both engines to run one test over."""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from app.config import Settings
from app.engines import wire
from tests.client import LiveGateway
from tests.upstream import FakeUpstream, upstream_fixture

ENGINES = ("relay", "litellm")
# The developer's own models are not to be found; a process that stores traces, for each gateway, would take half a second.
QUIET = {"GATEWAY_VERBOSE": "0", "GATEWAY_KEEP_ALIVE": "0", "GATEWAY_LOCAL_MODELS": "0", "GATEWAY_TRACE": "off"}
NOT_INHERITED = ("_PROXY", "_API_KEY", "_API_BASE", "_BASE_URL")

upstream = pytest.fixture(upstream_fixture)


def pytest_configure(config: pytest.Config) -> None:
    """LiteLLM imports more on its first calls; what its libraries warn of then is not ours to fail on."""
    config.addinivalue_line("filterwarnings", r"ignore:::(pydantic|litellm)\b.*")


@pytest.fixture(scope="session", autouse=True)
def no_developer_environment() -> Iterator[None]:
    """Keys, addresses and proxies of whoever runs the tests must not take part in them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper().endswith(NOT_INHERITED) or name.startswith(("GATEWAY_", "LITELLM_")):
                patch.delenv(name)
        yield
    wire.close_idle()


@pytest.fixture(scope="session")
def litellm_loaded() -> None:
    """Import LiteLLM once; the warnings of its own import are not ours to fail on."""
    from app.engines import litellm_sdk

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        litellm_sdk.load()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Run the test once over each engine that calls an OpenAI-compatible upstream."""
    if request.param == "litellm":
        request.getfixturevalue("litellm_loaded")
    return str(request.param)


def settings_for(providers: Mapping[str, Any], **environ: str) -> Settings:
    """Make settings of nothing but a model map and these variables."""
    return Settings.load({**QUIET, **environ}, dotenv=False, opencode={"provider": providers})


def provider_at(base_url: str, engine: str, models: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """Write a provider of an opencode.json."""
    whole = {"baseURL": base_url, "apiKey": "sk-upstream-0123456789", "engine": engine, **options}
    return {"options": whole, "models": models or {"some-model": {}}}


@pytest.fixture
def trace_depth() -> str:
    """How much gateways store; test files that read what is stored have a fixture of this name that says `chunks`."""
    return "off"


@pytest.fixture
def serve(tmp_path: Any, trace_depth: str) -> Iterator[Callable[..., LiveGateway]]:
    """Start gateways: `serve({"provider id": {…}}, GATEWAY_IDLE_TIMEOUT="1")`; they end with the test."""
    with ExitStack() as stack:

        def start(providers: Mapping[str, Any], **environ: str) -> LiveGateway:
            environ.setdefault("GATEWAY_DATA_DIR", str(tmp_path / "var"))
            environ.setdefault("GATEWAY_TRACE", trace_depth)
            return stack.enter_context(LiveGateway(settings_for(providers, **environ)))

        yield start
    wire.close_idle()


@pytest.fixture
def client_for(serve: Callable[..., LiveGateway], upstream: FakeUpstream) -> Callable[..., LiveGateway]:
    """Start a gateway whose `some-model` is at the fake upstream: `client_for("relay", models={…}, PORT="1")`."""

    def start(engine: str, models: Mapping[str, Any] | None = None, **environ: str) -> LiveGateway:
        return serve({"up": provider_at(upstream.base_url, engine, models)}, **environ)

    return start


@pytest.fixture
def gateway(client_for: Callable[..., LiveGateway], engine: str) -> LiveGateway:
    """A gateway with the defaults, over each engine."""
    return client_for(engine)


@pytest.fixture(autouse=True)
def nothing_in_flight() -> None:
    """Streams that earlier tests of this process left open are no requests of this test."""
    from app.lifecycle import lifecycle

    lifecycle._tokens.clear()
