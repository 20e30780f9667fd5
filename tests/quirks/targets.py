"""Targets as the resolver makes them, for tests of the request side."""

from dataclasses import dataclass, field
from typing import Any

from app.quirks.preparation import facts_for
from app.quirks.report import Report
from app.quirks.rule import Facts


@dataclass
class FakeTarget:
    """Only what a preparation reads."""

    model: str = "gemini-3-flash-preview"
    base_url: str | None = "http://relay.example/v1"
    options: dict[str, Any] = field(default_factory=dict)
    limit: dict[str, Any] = field(default_factory=dict)
    openai_dialect: bool = True


def facts(model: str = "gemini-3-flash-preview", **options: Any) -> Facts:
    """Return the facts of a request to `model`."""
    return facts_for({}, FakeTarget(model=model, options=options), Report())


class Notes:
    """Collects what a rule noted."""

    def __init__(self) -> None:
        self.places: list[str] = []

    def __call__(self, where: str, before: object, after: object) -> None:
        self.places.append(where)


def apply(rule: Any, body: dict, known: Facts | None = None) -> tuple[dict, list[str]]:
    """Run one rule on a private copy of `body`; return (body, places noted)."""
    from app.quirks.messages import private_copy

    notes = Notes()
    copy = private_copy({"messages": [], **body}, notes)
    rule(copy, known or facts(), notes)
    return copy, notes.places
