import pytest

from app.quirks import gemini_parameters as rules
from app.quirks.rule import Facts
from tests.quirks.targets import apply, facts

FLASH, PRO, THREE, OLD = "gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-flash-preview", "gemini-2.0-flash"


def thinking(**config: object) -> dict:
    return {"extra_body": {"google": {"thinking_config": config}}}


CASES = (
    (rules.wrap_own, THREE, {"google": {"thinking_config": {"a": 1}}}, thinking(a=1)),
    (rules.wrap_own, THREE, {"thinkingConfig": {"a": 1}}, thinking(a=1)),
    (rules.wrap_own, THREE, {"google": {"x": 1}, **thinking(b=2)},
     {"extra_body": {"google": {"x": 1, "thinking_config": {"b": 2}}}}),
    (rules.wrap_own, THREE, thinking(a=1), None),
    (rules.unwrap_reasoning, THREE, {"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}),
    (rules.unwrap_reasoning, THREE, {"reasoning": {"max_tokens": 5}}, None),
    (rules.clamp_effort, THREE, {"reasoning_effort": "xhigh"}, {"reasoning_effort": "high"}),
    (rules.clamp_effort, THREE, {"reasoning_effort": "MAX"}, {"reasoning_effort": "high"}),
    (rules.clamp_effort, THREE, {"reasoning_effort": "none"}, {"reasoning_effort": "low"}),
    (rules.clamp_effort, PRO, {"reasoning_effort": "none"}, {"reasoning_effort": "low"}),
    (rules.clamp_effort, FLASH, {"reasoning_effort": "none"}, None),
    (rules.clamp_effort, THREE, {"reasoning_effort": "medium"}, None),
    (rules.clamp_effort, OLD, {"reasoning_effort": "high"}, {}),
    (rules.clamp_effort, THREE, {"reasoning_effort": {"odd": 1}}, {"reasoning_effort": "medium"}),
    (rules.one_thinking_setting, THREE,
     {"reasoning_effort": "low", **thinking(thinking_level="high", include_thoughts=True)},
     {"reasoning_effort": "low", **thinking(include_thoughts=True)}),
    (rules.one_thinking_setting, THREE, {"reasoning_effort": "low", **thinking(thinkingBudget=9)},
     {"reasoning_effort": "low"}),
    (rules.one_thinking_setting, THREE, thinking(thinking_budget=9), None),
    (rules.one_thinking_setting, OLD, thinking(include_thoughts=True), {}),
    (rules.plain_temperature, THREE, {"temperature": 0}, None),
    (rules.room_for_thinking, THREE, {"max_tokens": 50}, {"max_tokens": 50, "reasoning_effort": "low"}),
    (rules.room_for_thinking, FLASH, {"max_completion_tokens": 50},
     {"max_completion_tokens": 50, "reasoning_effort": "none"}),
    (rules.room_for_thinking, PRO, {"max_tokens": 50}, {"max_tokens": 50, "reasoning_effort": "low"}),
    (rules.room_for_thinking, THREE, {"max_tokens": 50, "reasoning_effort": "high"}, None),
    (rules.room_for_thinking, THREE, {"max_tokens": 1000}, None),
    (rules.room_for_thinking, OLD, {"max_tokens": 50}, None),
    (rules.allow_known, THREE, {"store": True, "n": 1, "top_p": 1, "metadata": {}}, {"top_p": 1}),
)  # fmt: skip


@pytest.mark.parametrize(("rule", "model", "body", "expected"), CASES)
def test_parameters(rule, model, body, expected):
    left, places = apply(rule, body, fresh(model))
    left.pop("messages")
    assert left == (body if expected is None else expected)
    assert bool(places) is (expected is not None)
    again, places = apply(rule, left, fresh(model))
    assert {name: value for name, value in again.items() if name != "messages"} == left and places == []


def fresh(model: str, **options: object) -> Facts:
    return facts(model, **options)._replace(dropped=[])


@pytest.mark.parametrize(
    ("rule", "options", "body", "expected"),
    (
        (
            rules.clamp_effort,
            {"reasoningEfforts": {"minimal": "low"}},
            {"reasoning_effort": "minimal"},
            {"reasoning_effort": "low"},
        ),
        (rules.plain_temperature, {"temperatureOn3": "drop"}, {"temperature": 0.2}, {}),
        (rules.plain_temperature, {"temperatureOn3": "drop"}, {"temperature": 1}, {"temperature": 1}),
        (rules.room_for_thinking, {"smallMaxTokens": 0}, {"max_tokens": 50}, {"max_tokens": 50}),
        (rules.room_for_thinking, {"maxTokensFloor": 2048}, {"max_tokens": 50}, {"max_tokens": 2048}),
        (rules.allow_known, {"parameters": ["seed"]}, {"seed": 1, "store": 1}, {"seed": 1}),
    ),
)
def test_settings(rule, options, body, expected):
    left, _ = apply(rule, body, fresh(THREE, **options))
    assert left == {"messages": [], **expected}


def test_only_the_gateways_own_temperature_is_withheld_on_gemini_3():
    known = fresh(THREE)._replace(defaulted=frozenset({"temperature"}))
    assert apply(rules.plain_temperature, {"temperature": 0.7}, known)[0] == {"messages": []}
    known = fresh(FLASH)._replace(defaulted=frozenset({"temperature"}))
    assert apply(rules.plain_temperature, {"temperature": 0.7}, known)[0]["temperature"] == 0.7


@pytest.mark.parametrize("rule", [rules.allow_known, rules.clamp_effort, rules.wrap_own, rules.room_for_thinking])
def test_a_native_translation_has_its_own_parameters(rule):
    body = {"thinking_config": {}, "store": 1, "reasoning_effort": "xhigh", "max_tokens": 9}
    assert apply(rule, body, fresh(THREE)._replace(openai_dialect=False)) == ({"messages": [], **body}, [])
