"""What a turn does about a refusal of the model's tool call (`tool_use_failed`): it is read on, or asked again with tools
allowed.

What such a refusal says is `quirks.groq_repair`'s business; what else is asked again, and how often, is the turn's.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app.call import UpstreamCall
from app.errors import UpstreamError
from app.quirks import groq_repair
from app.quirks.ledger import Ledger
from app.quirks.report import Report

if TYPE_CHECKING:
    from app.engines import Engine
    from app.utils.model_resolver import Target

TOOLS_ALLOWED = "tools allowed"


def ask(engine: "Engine", body: dict[str, Any], target: "Target", call: UpstreamCall) -> Any:
    """Return the engine's whole answer; a refusal that may hold what the model said is returned in its place.

    Raises what the engine raises else. In a stream the repairs see to it themselves.
    """
    try:
        return engine.complete(body, target, call)
    except UpstreamError as error:
        if not is_refused_call(error):
            raise
        return error


def is_refused_call(error: UpstreamError) -> bool:
    """Tell whether an upstream refused the model's call: nothing in such a text is about the request's fields."""
    return groq_repair.read_refusal(error.upstream_body) is not None


def reason_to_allow(
    error: UpstreamError, body: Mapping[str, Any], options: Mapping[str, Any], modes: Mapping[str, str]
) -> str | None:
    """Return TOOLS_ALLOWED when a refused call may be had by `tool_choice: auto`, None when it may not."""
    refusal = groq_repair.read_refusal(error.upstream_body)
    mode = Ledger(Report(), modes).mode(groq_repair.ALLOWED)
    allowing = refusal is not None and refusal.not_allowed and groq_repair.may_allow(body, options, mode)
    return TOOLS_ALLOWED if allowing else None


def with_tools_allowed(body: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return a prepared body with its tools allowed, and note it."""
    return groq_repair.allow_tools(body, report.note)
