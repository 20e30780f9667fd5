"""GET /v1/repairs: every rule, what it repairs, how it is set, and how often it was needed."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, current_app, request

from app.quirks.families import family_of
from app.quirks.rule import FIX, WARN, Rule, mode_of
from app.repair_counts import Key
from app.routes.health import reply
from app.utils.model_resolver import resolve_model

bp = Blueprint("repairs", __name__)
NO_OPTIONS: Mapping[str, Any] = {}


@bp.get("/v1/repairs")
def repairs() -> Response:
    """List the rules; with `?model=NAME` those that serve this model, set as its provider sets them.

    `counts` are repairs made per model since this server started, `warnings` those only noted (rules set to warn),
    `total` those of all servers that share the database within 30 days. Raises ModelNotFound.
    """
    from app.quirks.registry import all_rules, read_modes  # all rules: nothing that a start should wait for

    settings = current_app.extensions["settings_store"].current
    counts = current_app.extensions["repair_counts"]
    rules, options = all_rules(), NO_OPTIONS
    if name := request.args.get("model"):
        target = resolve_model(name, settings)
        family, options = family_of(target.model, target.options, target.base_url), target.options
        rules = tuple(rule for rule in rules if rule.serves(family))
    modes, sums = read_modes(settings, options), counts.sums()
    once = {rule.id: rule for rule in rules}.values()
    rows = [as_row(rule, mode_of(rule, modes), sums.here, sums.everywhere) for rule in once]
    scope = "server" if sums.all_workers else "worker"
    return reply({"object": "list", "scope": scope, "since": round(counts.since, 3), "data": rows})


def as_row(rule: Rule, mode: str, here: Counter[Key], everywhere: Counter[Key]) -> dict[str, Any]:
    """Describe one rule."""
    made, noted = (
        {key.model: number for key, number in sorted(here.items()) if key.rule == rule.id and key.mode == kind}
        for kind in (FIX, WARN)
    )
    total = sum(number for key, number in everywhere.items() if key.rule == rule.id and key.mode == FIX)
    return {"id": rule.id, "stage": rule.stage, "departure": rule.departure, "families": list(rule.families),
            "mode": mode, "default": rule.default, "count": sum(made.values()), "counts": made, "warnings": noted,
            "total": total}
