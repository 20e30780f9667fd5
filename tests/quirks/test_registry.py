import pytest

from app.errors import ConfigError
from app.quirks import registry
from app.quirks.rule import STAGES


def test_every_rule_has_its_own_id_and_says_what_departs():
    rules = registry.all_rules()
    assert len({rule.id for rule in rules}) == len(rules)
    for rule in rules:
        assert rule.stage in STAGES, rule.id
        assert rule.id.count(".") == 1, rule.id
        assert len(rule.departure) > 20, rule.id


def test_a_family_gets_its_rules_and_those_for_all():
    plans = {family: {rule.id for rule, _ in registry.request_plan(family, {})} for family in ("gemini", "groq", "new")}
    assert "gemini.schema" in plans["gemini"] and "groq.history" in plans["groq"]
    assert plans["new"] < plans["gemini"] and not any(name.startswith(("gemini.", "groq.")) for name in plans["new"])


def test_a_rule_that_is_off_is_not_in_the_plan():
    planned = dict(registry.request_plan("gemini", {"gemini": "off", "gemini.schema": "warn"}))
    modes = {rule.id: mode for rule, mode in planned.items()}
    assert [name for name in modes if name.startswith("gemini.")] == ["gemini.schema"]
    assert modes["gemini.schema"] == "warn" and modes["message.arguments"] == "fix"


class WithRepairs:
    def __init__(self, repairs: object) -> None:
        self.repairs = repairs


@pytest.mark.parametrize(
    ("setting", "provider", "expected"),
    (
        ("", None, {}),
        (None, "tool.id=off", {"tool.id": "off"}),
        ("tool.id=warn; usage=on", {"tool.id": "off"}, {"tool.id": "off", "usage": "fix"}),
        ({"tool.id": "WARN"}, None, {"tool.id": "warn"}),
        (7, ["junk"], {}),
    ),
)
def test_modes_are_read_from_the_setting_and_the_provider(setting, provider, expected):
    options = {} if provider is None else {"repairs": provider}
    assert registry.read_modes(WithRepairs(setting), options) == expected


def test_an_unknown_mode_and_an_unknown_rule_are_told():
    with pytest.raises(ConfigError):
        registry.read_modes(WithRepairs("tool.id=maybe"), {})
    assert registry.unknown_ids(["gemini.schema", "gemini", "gemini.shema"]) == ["gemini.shema"]
