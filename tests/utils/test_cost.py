"""Cost: prices for a million tokens times tokens; what is cached is cheaper, what is no number counts nothing."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.utils.cost import cost_of

PRICES = {"input": 2, "output": 10, "cache_read": 0.5}


def tokens(prompt: Any = None, completion: Any = None, cached: Any = None) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "cached_tokens": cached}


@pytest.mark.parametrize(
    ("prices", "used", "expected"),
    (
        (PRICES, tokens(1_000_000, 0), 2),
        (PRICES, tokens(0, 1_000_000), 10),
        (PRICES, tokens(1_000_000, 100_000, 400_000), 0.6 * 2 + 0.4 * 0.5 + 1),
        ({"input": 2, "output": 10}, tokens(1_000_000, 0, 400_000), 2),  # no price of its own: as the rest
        ({"input": 2, "output": 10, "cache_read": 0}, tokens(1_000_000, 0, 1_000_000), 0),
        (PRICES, tokens(100, 0, 5_000), 100 * 0.5 / 1e6),  # an upstream that counts more cached than there were
        ({"output": 10}, tokens(5, 1_000_000), 10),
        (PRICES, tokens(None, 1_000_000), 10),
        ({"input": 0, "output": 0}, tokens(7, 7), 0),
        ({}, tokens(7, 7), None),
        ({"input": "2", "output": True}, tokens(7, 7), None),
        ({"input": -1}, tokens(7, 7), None),
        ({"input": math.inf}, tokens(7, 7), None),
        (PRICES, tokens(), None),
        (PRICES, tokens("many", -1), None),
        (PRICES, {}, None),
    ),
)
def test_what_it_costs(prices: dict[str, Any], used: dict[str, Any], expected: float | None) -> None:
    assert cost_of(prices, used) == (None if expected is None else pytest.approx(expected))


def test_a_long_prompt_has_its_own_prices() -> None:
    prices = PRICES | {"context_over_200k": {"input": 4, "output": 20}}
    assert cost_of(prices, tokens(200_000, 1_000)) == pytest.approx(0.4 + 0.01)
    assert cost_of(prices, tokens(200_001, 1_000)) == pytest.approx(200_001 * 4 / 1e6 + 0.02)
    assert cost_of(prices, tokens(200_001, 0, 200_001)) == pytest.approx(200_001 * 0.5 / 1e6)  # cache_read stays
    assert cost_of({"input": 1, "context_over_200k": "no table"}, tokens(300_000, 0)) == pytest.approx(0.3)


counts = st.none() | st.integers(0, 10**9) | st.text(max_size=3) | st.booleans() | st.floats()


@given(st.dictionaries(st.sampled_from(["input", "output", "cache_read", "context_over_200k"]), counts),
       st.fixed_dictionaries({}, optional=dict.fromkeys(tokens(), counts)))
def test_any_prices_give_a_cost_or_none(prices: dict[str, Any], used: dict[str, Any]) -> None:
    cost = cost_of(prices, used)
    assert cost is None or cost >= 0
