import pytest

from app.errors import ConfigError
from app.quirks.rule import Rule, check_modes, mode_of, parse_modes


def repair(body: dict) -> None:
    """Something departs,
    as was seen.

    Setting: none.
    """


def test_the_departure_is_the_first_paragraph():
    assert Rule("a.b", "request", (), repair).departure == "Something departs, as was seen."


def test_families():
    assert Rule("a.b", "request", (), repair).serves("anything")
    assert not Rule("a.b", "request", ("x",), repair).serves("anything")


@pytest.mark.parametrize(
    ("text", "expected"),
    (("", {}), ("a.b=off", {"a.b": "off"}), (" a.b = Warn ; c=on,", {"a.b": "warn", "c": "fix"})),
)
def test_modes_in_text(text, expected):
    assert parse_modes(text) == expected


@pytest.mark.parametrize("text", ["a.b", "a.b=", "a.b=maybe"])
def test_modes_that_do_not_exist(text):
    with pytest.raises(ConfigError, match="fix, warn, off"):
        parse_modes(text)


def test_the_mode_of_a_rule_of_its_group_and_its_own():
    rule = Rule("a.b", "request", (), repair, "warn")
    assert mode_of(rule, {}) == "warn"
    assert mode_of(rule, {"a": "off"}) == "off"
    assert mode_of(rule, check_modes({"a": "off", "a.b": "fix"})) == "fix"
