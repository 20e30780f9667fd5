"""Engines carry a complete OpenAI request somewhere and bring OpenAI dicts back. They repair nothing.

An engine is a module with two functions, imported when it is first needed.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Protocol, cast

from app.call import UpstreamCall
from app.errors import ConfigError
from app.utils.model_resolver import Target

MODULES = {"litellm": "litellm_sdk"} | {name: name for name in ("relay", "mock", "chatjimmy", "harmony", "gguf", "replay")}


class Engine(Protocol):
    """`complete` returns a chat.completion as a dict; `stream` yields lists of chunks, one list per upstream read.

    A module has them as functions, what stands around an engine (app/emulated.py) as methods. Where it says
    NOTES_REQUEST, it notes in the trace what it sends; else that is the body it gets. WHOLE_CALLS: none grows.
    """

    def complete(self, body: dict[str, Any], target: Target, call: UpstreamCall) -> dict[str, Any]: ...
    def stream(self, body: dict[str, Any], target: Target, call: UpstreamCall) -> Iterator[list[Any]]: ...


def engine_for(name: str) -> Engine:
    """Return the engine's module. Raises ConfigError for a name that is none."""
    if name not in MODULES:
        raise ConfigError(f"There is no engine `{name}`; use one of {', '.join(MODULES)}.")
    return cast(Engine, import_module(f"app.engines.{MODULES[name]}"))
