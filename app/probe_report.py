"""How the result of a probe is shown: a table for people, a dict for programs; knows no upstream."""

import json
from collections.abc import Callable
from typing import Any

from app.config import Settings
from app.errors import GatewayError
from app.log_writer import one_line
from app.probe import CannotProbe, Finding, Result, find_target, probe
from app.probe_calls import MAX_CALLS
from app.quirks.registry import all_rules
from app.secret_book import SecretBook
from app.utils.model_resolver import Target

MARKS = {"ok": "ok ", "odd": "ODD", "unknown": " ? "}
WIDTH = 29


def as_dict(result: Result) -> dict[str, Any]:
    """Return a result as JSON-like values."""
    findings = {f.name: {"value": f.value, "state": f.state} for f in result.findings}
    return {**head(result.target), "ok": True, "error": None, "calls": result.calls, "findings": findings,
            "rules": [{"id": rule, "departure": departure} for rule, departure in departures(result.rules).items()]}


def failure(model: str, error: CannotProbe) -> dict[str, Any]:
    """Return as JSON-like values why there is no result."""
    return {"model": model, "ok": False, "error": {"kind": error.kind, "message": str(error)}}


def head(target: Target) -> dict[str, Any]:
    """Say what was asked."""
    return {"model": target.requested, "upstream_model": target.model, "url": target.base_url, "key": target.key_source}


def as_lines(result: Result) -> list[str]:
    """Return a result as lines of text; what an upstream said cannot steer a terminal."""
    target = result.target
    lines = [f"{one_line(target.requested)} -> {one_line(target.model)} at {one_line(target.base_url)} "
             f"(key: {one_line(target.key_source)})", ""]
    lines += [f"  {MARKS[finding.state]}  {finding.name:{WIDTH}}{in_words(finding)}" for finding in result.findings]
    rules = departures(result.rules)
    lines += ["", f"Rules that will repair this upstream: {len(rules) or 'none'}"]
    lines += [f"  {rule:{WIDTH}}{departure}" for rule, departure in rules.items()]
    return [*lines, "", f"{result.calls} of at most {MAX_CALLS} calls were made. ok: as OpenAI does, ODD: not, ?: no telling"]


def in_words(finding: Finding) -> str:
    """Put a value into words."""
    value = finding.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return one_line(", ".join(map(str, value)) or "none", 1000)
    return one_line(value, 1000)


def departures(rules: dict[str, int]) -> dict[str, str]:
    """Return rule id -> what it repairs, in the order of the registry."""
    known = {rule.id: rule.departure for rule in all_rules() if rule.id in rules}
    return known | {rule: "" for rule in rules if rule not in known}


def refuse(
    model: str, error: CannotProbe | GatewayError, as_json: bool, settings: Settings, write: Callable[[str], None]
) -> int:
    """Write why `model` cannot be asked, keys masked; return the exit code."""
    hide = SecretBook(lambda: settings.secrets).masker(()).mask
    reason = error if isinstance(error, CannotProbe) else CannotProbe("model", str(error))
    shown = failure(model, reason)
    write(json.dumps(hide(shown), ensure_ascii=False, indent=2) if as_json else one_line(hide(str(reason)), 1000))
    return 1


def run(model: str, url: str | None, as_json: bool, settings: Settings, write: Callable[[str], None]) -> int:
    """Probe `model` and write what was learned, keys masked; return the exit code: 0, or 1 if it cannot be asked."""
    hide = SecretBook(lambda: settings.secrets).masker(()).mask
    try:
        result = probe(find_target(model, url, settings), settings)
    except (CannotProbe, GatewayError) as error:
        return refuse(model, error, as_json, settings, write)
    if as_json:
        write(json.dumps(hide(as_dict(result)), ensure_ascii=False, indent=2))
    else:
        write("\n".join(str(hide(line)) for line in as_lines(result)))
    return 0
