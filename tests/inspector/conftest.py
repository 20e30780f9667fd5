"""What the tests of the inspector page share: one browser a module, and a gateway before a Gemini-like upstream."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.client import LiveGateway, Reply
from tests.conftest import provider_at
from tests.inspector.driving import Inspector, open_browser, wait_stored
from tests.upstream import FakeUpstream
from tests.upstream_gemini import GeminiMode, Turn

GEMINI = "gemini-2.5-pro"
SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "path": {"type": "string"},
        "content": {"type": ["string", "null"]},
        "mode": {"type": "integer", "exclusiveMinimum": 0},
    },
    "required": ["path"],
}
WRITE = {"type": "function", "function": {"name": "write", "description": "Write a file.", "parameters": SCHEMA}}
TURNS = [
    Turn("I shall write both.", calls=[("write", {"path": "a.txt", "content": "Hi\n"}), ("write", {"path": "b.txt"})]),
    Turn("Both files are written."),
]


@pytest.fixture
def trace_depth() -> str:
    return "chunks"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as found:
        yield found


@pytest.fixture
def start(serve: Callable[..., LiveGateway], upstream: FakeUpstream) -> Callable[..., LiveGateway]:
    """Start a gateway with two models: one of a Gemini-like upstream, and the mock."""
    upstream.reply_with(GeminiMode(TURNS))

    def begin(**environ: str) -> LiveGateway:
        mock = {"options": {"engine": "mock"}, "models": {"mock": {}}}
        return serve({"up": provider_at(upstream.base_url, "relay", {GEMINI: {}}), "m": mock}, **environ)

    return begin


@pytest.fixture
def gateway(start: Callable[..., LiveGateway]) -> LiveGateway:
    return start()


@pytest.fixture
def look(browser: Browser, gateway: LiveGateway) -> Iterator[Callable[..., Inspector]]:
    """Open windows on the gateway's inspector: `look(locale="ko-KR")`."""
    with ExitStack() as stack:
        yield lambda **window: stack.enter_context(Inspector(browser, gateway.url, **window))


def ask(gateway: LiveGateway, text: str = "Write two files.", session: str = "ses_1", **fields: Any) -> str:
    """Send a streamed request with a tool to the Gemini-like model and return its id, once it is stored."""
    body = {
        "model": GEMINI,
        "stream": True,
        "tools": [WRITE],
        "messages": [{"role": "user", "content": text}],
        **fields,
    }
    headers = {"X-Session-Id": session, "User-Agent": "opencode/1.18 ai-sdk/5"}
    return stored(gateway, gateway.post("/v1/chat/completions", body, headers))


def ask_mock(gateway: LiveGateway, text: str, script: dict[str, Any] | None = None, **fields: Any) -> str:
    """Ask the mock model, which answers as `script` says, and return the id of the request."""
    messages = [{"role": "user", "content": text}]
    body = {"model": "mock", "messages": messages, **({"mock": script} if script else {}), **fields}
    return stored(gateway, gateway.post("/v1/chat/completions", json.dumps(body).encode(), {"User-Agent": "curl/8"}))


def stored(gateway: LiveGateway, reply: Reply) -> str:
    """Return the id of the request behind an answer; it is in the database by now."""
    request = str(reply.headers["x-request-id"])
    wait_stored(gateway, request)
    return request
