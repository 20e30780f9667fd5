"""The list of all rules, in the order in which they run, and which of them serve a request; it repairs nothing
itself.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from app.quirks import (
    clients,
    gemini_messages,
    gemini_parameters,
    gemini_tools,
    groq,
    messages,
    parameters,
    responses_body,
    signatures,
    tool_names,
)
from app.quirks.rule import OFF, Rule, check_modes, mode_of, parse_modes

Modes = str | Mapping[str, str] | None

# The order of the rules on a request. Shapes first, then what a conversation must look like, then what refers to it.
REQUEST_RULES: tuple[Rule, ...] = (
    *responses_body.RULES,
    *clients.RULES,
    *parameters.RULES,
    *signatures.RULES,
    *gemini_messages.EARLY_RULES,
    *messages.RULES,
    *gemini_messages.RULES,
    *messages.LATE_RULES,
    *signatures.LATE_RULES,
    *gemini_messages.LATE_RULES,
    *groq.RULES,
    *tool_names.RULES,
    *gemini_tools.RULES,
    *gemini_parameters.RULES,
    *parameters.LATE_RULES,
)


@lru_cache(maxsize=1)
def all_rules() -> tuple[Rule, ...]:
    """Return every rule there is: for requests, answers and errors."""
    from app.quirks import answer, text_calls  # the answer side (errors included) is not needed to prepare a request

    return REQUEST_RULES + tuple(answer.RULES) + text_calls.RULES


def read_modes(settings: object, options: Mapping) -> dict[str, str]:
    """Return rule id -> mode: the setting `repairs` (text or mapping), overlaid by the provider's `options.repairs`.

    A name without a dot means every rule that starts with it. Raises ConfigError for a mode that does not exist.
    """
    return merge_modes(freeze(getattr(settings, "repairs", None)), freeze(options.get("repairs")))


def freeze(modes: Modes) -> str | tuple[tuple[str, str], ...]:
    """Return modes in a form that can be a key; what is neither text nor mapping is nothing."""
    if isinstance(modes, Mapping):
        return tuple(sorted((str(rule), str(mode)) for rule, mode in modes.items()))
    return modes if isinstance(modes, str) else ""


@lru_cache(maxsize=256)
def merge_modes(setting: str | tuple, provider: str | tuple) -> dict[str, str]:
    """Overlay the provider's modes on the setting. The result is shared: read it, do not write to it."""
    return thaw(setting) | thaw(provider)


def thaw(modes: str | tuple) -> dict[str, str]:
    return parse_modes(modes) if isinstance(modes, str) else check_modes(dict(modes))


def request_plan(family: str, modes: Mapping[str, str]) -> tuple[tuple[Rule, str], ...]:
    """Return (rule, mode) for the request rules that serve `family` and are not off, in their order."""
    return plan(family, tuple(modes.items()))


@lru_cache(maxsize=256)
def plan(family: str, modes: tuple[tuple[str, str], ...]) -> tuple[tuple[Rule, str], ...]:
    chosen = dict(modes)
    planned = ((rule, mode_of(rule, chosen)) for rule in REQUEST_RULES if rule.serves(family))
    return tuple((rule, mode) for rule, mode in planned if mode != OFF)


def unknown_ids(names: Iterable[str]) -> list[str]:
    """Return those names that are neither a rule's id nor the first part of one: for a check of the settings."""
    known = {rule.id for rule in all_rules()} | {rule.id.partition(".")[0] for rule in all_rules()}
    return sorted(name for name in names if name not in known)
