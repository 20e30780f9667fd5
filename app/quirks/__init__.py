"""Where upstreams and clients depart from OpenAI: `prepare` before a request leaves, `repair` after the answer came.

Pure: no I/O. Which rules there are stands in registry.py, what was repaired in the Report. The names below are loaded
when they are first used: who only asks for a model's family (`app.quirks.families`) loads no rule.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.quirks.answer import TurnUnusable, repair, repair_stream
    from app.quirks.parameters import learn, learned_name
    from app.quirks.preparation import facts_for, prepare
    from app.quirks.registry import read_modes
    from app.quirks.report import Report
    from app.quirks.responses_body import is_responses_body
    from app.quirks.rule import Facts, Rule
    from app.quirks.signatures import is_signature_error, with_dummy_signatures

__all__ = [
    "Facts",
    "Report",
    "Rule",
    "TurnUnusable",
    "facts_for",
    "is_responses_body",
    "is_signature_error",
    "learn",
    "learned_name",
    "prepare",
    "read_modes",
    "repair",
    "repair_stream",
    "with_dummy_signatures",
]

_HOMES = {
    "answer": ("TurnUnusable", "repair", "repair_stream"),
    "parameters": ("learn", "learned_name"),
    "preparation": ("facts_for", "prepare"),
    "registry": ("read_modes",),
    "report": ("Report",),
    "responses_body": ("is_responses_body",),
    "rule": ("Facts", "Rule"),
    "signatures": ("is_signature_error", "with_dummy_signatures"),
}


def __getattr__(name: str) -> Any:
    """Load one of the names above on first use (PEP 562)."""
    for module, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"app.quirks.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
