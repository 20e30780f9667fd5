"""A gateway whose gpt-oss stands at the fake server of raw completions, and what its answers say."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.utils.model_resolver import Target, resolve_model
from tests.answers import tool
from tests.client import LiveGateway, Reply
from tests.conftest import settings_for
from tests.upstream import FakeUpstream

BOTH = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
MODEL = "gpt-oss-20b"
TOOLS = [tool(name) for name in ("read", "get_weather", "edit", "x", "a", "b")]
ASK = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}


def provider(address: str, **options: Any) -> dict[str, Any]:
    """Write a provider of an opencode.json."""
    whole = {"engine": "harmony", "apiKey": "sk-upstream-0123456789", "harmonyDate": "2026-11-21", **options}
    return {"options": whole | {"baseURL": address}, "models": {MODEL: {}}}


def target(address: str) -> Target:
    """Resolve the model at an address."""
    return resolve_model(MODEL, settings_for({"up": provider(address)}))


def message_of(reply: Reply) -> tuple[str | None, str | None, list[tuple[str, Any]], list[str]]:
    """What the first choice says: (content, reasoning, [(name, arguments)], finish reasons)."""
    if reply.streamed:
        thoughts = "".join(delta.get("reasoning_content") or "" for delta in reply.deltas) or None
        content = reply.text or None
    else:
        said = reply.json["choices"][0]["message"]
        thoughts, content = said.get("reasoning_content"), said["content"] or None
    calls = [(one["function"]["name"], json.loads(one["function"]["arguments"])) for one in reply.tool_calls]
    return content, thoughts, calls, reply.finish


def at_fixture(serve: Callable[..., LiveGateway], upstream: FakeUpstream) -> Callable[..., LiveGateway]:
    """Start a gateway: `at(server, harmonyDialect="simple")`. In a test file: `at = pytest.fixture(at_fixture)`."""

    def start(server: Any, **options: Any) -> LiveGateway:
        upstream.reply_with(server)
        return serve({"up": provider(upstream.base_url, **options)})

    return start
