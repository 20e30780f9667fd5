"""Usage: found wherever it is, made of whole numbers, with all of the thinking in it."""

import pytest

from app.quirks.ledger import Ledger
from app.quirks.report import Report
from app.quirks.usage import estimated, find_usage, repair_usage

GOOD = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}

TABLE = {
    "sound": (GOOD, GOOD, {}),
    "floats": ({"prompt_tokens": 10.0, "completion_tokens": 2.0, "total_tokens": 12.0}, GOOD, {"usage.numbers": 3}),
    "nulls": (
        {"prompt_tokens": 10, "completion_tokens": None, "total_tokens": None, "prompt_tokens_details": None},
        {"prompt_tokens": 10, "completion_tokens": 0, "total_tokens": 10},
        {"usage.numbers": 2},
    ),
    "other names": (
        {"input_tokens": 10, "output_tokens": 2},
        {**GOOD, "input_tokens": 10, "output_tokens": 2},
        {"usage.numbers": 3},
    ),
    "hidden thinking": (
        {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1320},
        {
            "prompt_tokens": 1000,
            "completion_tokens": 320,
            "total_tokens": 1320,
            "completion_tokens_details": {"reasoning_tokens": 300},
        },
        {"usage.hidden_thinking": 1},
    ),
    "cached beside": (
        {**GOOD, "cached_tokens": 4},
        {**GOOD, "cached_tokens": 4, "prompt_tokens_details": {"cached_tokens": 4}},
        {"usage.cached_tokens": 1},
    ),
    "details": (
        {**GOOD, "prompt_tokens_details": {"cached_tokens": 3, "audio": None}, "cost": 0.1},
        {**GOOD, "prompt_tokens_details": {"cached_tokens": 3}, "cost": 0.1},
        {},
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_usage_is_repaired_once(name: str) -> None:
    given, expected, counts = TABLE[name]
    report = Report()
    repaired = repair_usage(dict(given), Ledger(report))
    assert repaired == expected
    assert report.counts == counts
    again = Report()
    assert repair_usage(dict(repaired), Ledger(again)) == expected and not again.counts


def test_usage_is_found_where_upstreams_put_it() -> None:
    assert find_usage({"usage": GOOD}) is GOOD
    assert find_usage({"x_groq": {"id": "r", "usage": GOOD}}) is GOOD
    assert find_usage({"choices": [None, {"usage": GOOD}]}) is GOOD
    for nothing in ({"usage": None}, {"usage": {}}, {"x_groq": {"id": "r"}}, {"choices": None}, {"usage": "12"}):
        assert find_usage(nothing) is None


def test_an_estimate_is_noted_and_never_above_the_window() -> None:
    report = Report()
    body = {"messages": [{"role": "user", "content": "x" * 400}]}
    assert estimated(body, 41, 50, Ledger(report)) == {"prompt_tokens": 50, "completion_tokens": 11, "total_tokens": 61}
    assert estimated(body, 0, None, Ledger(report))["prompt_tokens"] == 100
    assert report.counts == {"usage.estimated": 2}


def test_rules_can_be_switched_off() -> None:
    given = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 20}
    assert repair_usage(dict(given), Ledger(Report(), {"usage": "off"})) == given
