"""Modes of answer rules: fix, warn, off."""

import pytest

from app.quirks.ledger import Ledger, answer_rule
from app.quirks.report import Report


@pytest.mark.parametrize(
    ("modes", "repaired", "counts", "warnings"),
    [
        (None, True, {"a.b": 1}, {}),
        ({"a.b": "warn"}, False, {}, {"a.b": 1}),
        ({"a.b": "off"}, False, {}, {}),
        ({"a": "off"}, False, {}, {}),
        ({"a": "off", "a.b": "fix"}, True, {"a.b": 1}, {}),
        ({"c": "off"}, True, {"a.b": 1}, {}),
        ({"a": "off", "a.b": "on"}, True, {"a.b": 1}, {}),
    ],
)
def test_a_mode_decides(modes: dict | None, repaired: bool, counts: dict, warnings: dict) -> None:
    report = Report()
    assert Ledger(report, modes).allows("a.b", "here", 1, 2) is repaired
    assert (report.counts, report.warnings) == (counts, warnings)


def test_what_comes_in_each_chunk_is_noted_once_per_place() -> None:
    report = Report()
    ledger = Ledger(report)
    assert all([ledger.allows_once("a.b", "here", 1, 2) for _ in range(3)])
    assert ledger.allows_once("a.b", "there", 1, 2)
    assert report.counts == {"a.b": 2}


def test_a_rule_tells_its_departure() -> None:
    def departs() -> None:
        """Something departs.

        More."""

    rule = answer_rule("a.b", departs, "x")
    assert (rule.stage, rule.departure, rule.families) == ("answer", "Something departs.", ("x",))
