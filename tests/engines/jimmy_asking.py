"""Ask a gateway whose only model is the ChatJimmy engine, alone, in front of the fake."""

import json

import pytest

from app.engines import wire
from app.utils.model_resolver import resolve_model
from tests.conftest import settings_for
from tests.upstream_jimmy import FakeJimmy

MODEL = "llama3.1-8B"
# The engine alone, without the emulation of tools around it.
ALONE = {"toolEmulation": False, "maxSystemCharacters": 0, "maxPromptTokens": 0}
BOTH = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def provider(base_url, **options):
    given = {"engine": "chatjimmy", "baseURL": base_url, **ALONE, **options}
    return {"options": {name: value for name, value in given.items() if value is not None}, "models": {MODEL: {}}}


def target(base_url="http://jimmy.example", **options):
    return resolve_model(MODEL, settings_for({"chatjimmy": provider(base_url, **options)}))


def jimmy_fixture():
    with FakeJimmy() as fake:
        yield fake
        wire.close_idle()


def ask_fixture(serve, jimmy):
    """Ask the gateway in front of the fake: `ask("hi", stream=True)`; with usage, as OpenCode does."""
    gateways = {}

    def send(text="hi", options=None, **fields):
        key = json.dumps(options or {})
        if key not in gateways:
            gateways[key] = serve({"chatjimmy": provider(jimmy.url, **(options or {}))})
        asked = {"model": MODEL, "messages": [{"role": "user", "content": text}], **fields}
        if asked.get("stream"):
            asked["stream_options"] = {"include_usage": True}
        return gateways[key].chat(**asked)

    return send


def usage(reply):
    return (reply.chunks[-1] if reply.streamed else reply.json)["usage"]
