"""What is sent when the client says nothing: the model's own `options` first, then the gateway's defaults. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.config import Settings
    from app.utils.model_resolver import Target

LIMITS = ("max_tokens", "max_completion_tokens")


def with_defaults(body: Mapping[str, Any], target: "Target", settings: "Settings") -> tuple[dict[str, Any], set[str]]:
    """Return a new body for the upstream, and the names of the fields that the gateway's own defaults filled.

    `null` counts as "says nothing". A model's `limit.output` replaces MAX_TOKENS: 1000 tokens cut a coding answer and
    starve a thinking model. `temperature: false` in the model's entry means that the model takes none.
    """
    whole = {**target.body_options, **{name: value for name, value in body.items() if value is not None}}
    whole["model"] = target.model
    filled: dict[str, Any] = {}
    if "temperature" not in whole and target.entry.get("temperature") is not False:
        filled["temperature"] = settings.temperature
    if not any(name in whole for name in LIMITS):
        filled["max_tokens"] = None if settings.max_tokens is None else _most(target) or settings.max_tokens
    if whole.get("tools") and "tool_choice" not in whole:
        filled["tool_choice"] = settings.tool_choice
    filled = {name: value for name, value in filled.items() if value is not None}
    return whole | filled, set(filled)


def _most(target: "Target") -> int | None:
    most = target.limit.get("output")
    return most if isinstance(most, int) and most > 0 else None
