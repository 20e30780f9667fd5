"""What the tests of the inspector page share: one browser, one Gemini-like upstream, one gateway emptied for each test."""

import json
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from app.database import statement
from app.engines import wire
from tests.client import LiveGateway, Reply
from tests.conftest import provider_at, settings_for
from tests.inspector.driving import LIMIT, POLL, Inspector, open_browser, wait_stored
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


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with open_browser() as found:
        yield found


@pytest.fixture(scope="package")
def shared_upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="package")
def shared_gateway(shared_upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    """A gateway that stores all: one for all tests, for each starts a process that writes."""
    environ = {"GATEWAY_DATA_DIR": str(tmp_path_factory.mktemp("var")), "GATEWAY_TRACE": "chunks"}
    with LiveGateway(settings_for(providers(shared_upstream), **environ)) as gateway:
        yield gateway


@pytest.fixture
def upstream(shared_upstream: FakeUpstream) -> FakeUpstream:
    """The upstream, with nothing in its memory; it answers as Gemini does until it is told to do otherwise."""
    shared_upstream.reset()
    shared_upstream.reply_with(GeminiMode(TURNS))
    return shared_upstream


@pytest.fixture
def start(serve: Callable[..., LiveGateway], upstream: FakeUpstream) -> Callable[..., LiveGateway]:
    """Start a gateway of the test's own, with two models: one of a Gemini-like upstream, and the mock."""
    return lambda **environ: serve(providers(upstream), **environ)


@pytest.fixture
def gateway(shared_gateway: LiveGateway, upstream: FakeUpstream) -> Iterator[LiveGateway]:
    """The gateway of all, with nothing stored."""
    empty(shared_gateway)
    yield shared_gateway
    upstream.reset()  # what waits there still is over
    wire.close_idle()


def providers(upstream: FakeUpstream) -> dict[str, Any]:
    mock = {"options": {"engine": "mock"}, "models": {"mock": {}}}
    return {"up": provider_at(upstream.base_url, "relay", {GEMINI: {}}), "m": mock}


def empty(gateway: LiveGateway) -> None:
    """Delete what is stored, once nothing runs any more."""
    traces, store = gateway.app.extensions["trace_store"], gateway.app.extensions["store"]
    deadline = time.monotonic() + LIMIT / 1000
    while not (traces.flush(LIMIT / 1000) and not traces._running):  # a page that was just closed may have asked last
        assert time.monotonic() < deadline, what_runs(traces)
        time.sleep(POLL)
    for table in ("trace_parts", "traces"):
        store.submit(lambda connection, table=table: connection.execute(statement(f"DELETE FROM {table}")))
    assert store.flush(LIMIT / 1000) and not store.problem


def what_runs(traces: Any) -> str:
    """Say which requests do not end, and where each thread is."""
    running = [trace.summary() for weak in list(traces._running.values()) if (trace := weak()) is not None]
    frames = sys._current_frames()
    stacks = [traceback.format_stack(frames[one.ident]) for one in threading.enumerate() if one.ident in frames]
    return "\n".join([*map(str, running), *map("".join, stacks)])


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
