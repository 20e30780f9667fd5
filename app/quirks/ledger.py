"""Whether a repair of an answer may be made, and its note; knows modes and counts, no departure."""

from collections.abc import Callable, Mapping
from typing import Protocol

from app.quirks.rule import FIX, OFF, Rule, check_modes


class Notes(Protocol):
    """What a ledger needs of a report."""

    def note(self, rule_id: str, where: str, before: object, after: object, *, mode: str = "fix") -> None: ...


class Ledger:
    """Asks the rule's mode at the place of a departure: `fix` notes and repairs, `warn` only notes, `off` does neither.

    Modes are read when a departure is found, so a rule costs nothing in an answer that is in good shape.
    """

    __slots__ = ("_modes", "_report", "_told")

    def __init__(self, report: Notes, modes: Mapping[str, str] | None = None) -> None:
        self._report = report
        self._modes = check_modes(modes) if modes else {}
        self._told: dict[tuple[str, str], bool] = {}

    def mode(self, rule_id: str, default: str = FIX) -> str:
        """Return the mode of a rule; a group's mode (`stream`) serves all rules whose id starts with `stream.`."""
        return self._modes.get(rule_id) or self._modes.get(rule_id.partition(".")[0]) or default

    def allows(self, rule_id: str, where: str, before: object, after: object) -> bool:
        """Note a departure and tell whether to repair it."""
        mode = self.mode(rule_id)
        if mode != OFF:
            self._report.note(rule_id, where, before, after, mode=mode)
        return mode == FIX

    def allows_once(self, rule_id: str, where: str, before: object, after: object) -> bool:
        """Like `allows`, for what an upstream does in each chunk: noted at its first place, then counted no more."""
        key = (rule_id, where)
        if key not in self._told:
            self._told[key] = self.allows(rule_id, where, before, after)
        return self._told[key]


def answer_rule(rule_id: str, apply: Callable[..., object], *families: str) -> Rule:
    """Make a rule of the answer side."""
    return Rule(rule_id, "answer", families, apply)
