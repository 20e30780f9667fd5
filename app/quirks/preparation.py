"""The door for requests: `prepare` makes a private copy and runs the request rules on it; it knows no single rule."""

from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from typing import Any, Protocol
from urllib.parse import urlsplit

from app.quirks import registry
from app.quirks.clients import detect_client
from app.quirks.families import family_of, generation_of
from app.quirks.messages import private_copy
from app.quirks.report import Report
from app.quirks.rule import FIX, Facts, Rule, SignatureLookup


class PreparedTarget(Protocol):
    """What a preparation reads of a target."""

    @property
    def model(self) -> str: ...
    @property
    def base_url(self) -> str | None: ...
    @property
    def options(self) -> Mapping[str, Any]: ...
    @property
    def limit(self) -> Mapping[str, Any]: ...
    @property
    def openai_dialect(self) -> bool: ...


def prepare(
    body: dict,
    target: PreparedTarget,
    report: Report,
    *,
    settings: object = None,
    learned: Collection[str] = (),
    defaulted: Collection[str] = (),
    signatures: object = None,
    headers: Mapping[str, str] | None = None,
) -> dict:
    """Return a private copy of `body`, repaired for this upstream; the client's body is left as it came.

    `learned`: names from `learned_name` that this upstream refused before. `defaulted`: parameters that the gateway
    itself put into the body. `signatures`: stored thought signatures, a mapping from tool call id or an object with
    `get_many(ids) -> mapping`. `headers`: the client's, to know its kind. Dicts below `tools[].function` are shared
    with later requests: do not write to them. Preparing a prepared body changes nothing.
    Raises ConfigError when a repair is set to a mode that does not exist.
    """
    facts = facts_for(body, target, report, learned, defaulted, signatures, headers)
    modes = registry.read_modes(settings, facts.options)
    prepared = private_copy(body, report.note_for("message.shape"))
    prepared.setdefault("messages", [])
    for rule, mode in registry.request_plan(facts.family, modes):
        if mode == FIX:
            rule.apply(prepared, facts, report.note_for(rule.id))
        else:
            rehearse(rule, prepared, facts, report, mode)
    return prepared


def rehearse(rule: Rule, body: dict, facts: Facts, report: Report, mode: str) -> None:
    """Run a rule on a copy, so that the report says what it would have done."""
    rule.apply(deepcopy(body), facts._replace(renames={}, dropped=[]), report.note_for(rule.id, mode))


def facts_for(
    body: dict,
    target: PreparedTarget,
    report: Report,
    learned: Collection[str] = (),
    defaulted: Collection[str] = (),
    signatures: object = None,
    headers: Mapping[str, str] | None = None,
) -> Facts:
    """Gather what the rules may know about a request, its upstream and its client."""
    options = target.options or {}
    return Facts(
        family=family_of(target.model, options, target.base_url),
        model=target.model,
        generation=generation_of(target.model),
        host=host_of(target.base_url),
        options=options,
        limit=target.limit or {},
        stream=bool(body.get("stream")),
        openai_dialect=target.openai_dialect,
        learned=frozenset(learned),
        defaulted=frozenset(defaulted),
        signatures=read_many(signatures),
        client=detect_client(headers, body),
        renames=report.renames,
        dropped=report.dropped,
    )


def host_of(base_url: str | None) -> str:
    """Return the host of a URL in lower case, "" when there is none."""
    try:
        return (urlsplit(base_url or "").hostname or "").lower()
    except ValueError:
        return ""


def read_many(signatures: Any) -> SignatureLookup | None:
    """Return a lookup of many ids at once, from an object with `get_many` or from a mapping."""
    if signatures is None:
        return None
    if hasattr(signatures, "get_many"):
        return signatures.get_many
    get: Callable[[str], str | None] = signatures.get
    return lambda ids: {identifier: found for identifier in ids if (found := get(identifier))}
