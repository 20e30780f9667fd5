"""What a request cost, from the prices of its model in opencode.json and the tokens that it used. Pure.

Prices are models.dev's, as OpenCode writes them into a model's `cost`: US dollars for a million tokens, `input`, `output`
and, where they differ, `cache_read` and `context_over_200k` (another table, for prompts of more than 200,000 tokens).
"""

from collections.abc import Mapping
from typing import Any

MILLION = 1_000_000
LONG_PROMPT = 200_000  # tokens
LONG_PRICES = "context_over_200k"


def cost_of(prices: Mapping[str, Any], tokens: Mapping[str, Any]) -> float | None:
    """Return US dollars, None where there is no price or no token count.

    `tokens` has `prompt_tokens`, `completion_tokens` and `cached_tokens` as OpenAI counts them: the cached ones are part
    of the prompt, reasoning is part of the completion.
    """
    if not prices:
        return None
    prompt, completion = _count(tokens, "prompt_tokens"), _count(tokens, "completion_tokens")
    if prompt is None and completion is None:
        return None
    prompt, completion = prompt or 0.0, completion or 0.0
    long = prices.get(LONG_PRICES)
    if prompt > LONG_PROMPT and isinstance(long, Mapping):
        prices = {**prices, **long}
    reading, writing = _count(prices, "input"), _count(prices, "output")
    if reading is None and writing is None:
        return None
    reading, writing = reading or 0.0, writing or 0.0
    cached = min(_count(tokens, "cached_tokens") or 0.0, prompt)
    again = _count(prices, "cache_read")
    whole = (prompt - cached) * reading + cached * (reading if again is None else again) + completion * writing
    return whole / MILLION


def _count(values: Mapping[str, Any], name: str) -> float | None:
    """Return a number that is not negative; None for anything else."""
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        return None
    return float(value)
