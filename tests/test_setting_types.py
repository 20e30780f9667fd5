"""Each parser takes what it says it takes, and refuses the rest in words that help."""

import pytest

from app.errors import ConfigError
from app.setting_types import (
    Setting,
    database_address,
    flag,
    flag_or_auto,
    names,
    number,
    one_of,
    or_auto,
    or_none,
    pairs,
    size,
    text,
)

whole, real = number(1, 10), number(0, 1, float)
COLOUR, RULES = one_of("red", "green"), pairs("on", "off")


@pytest.mark.parametrize(
    ("parse", "given", "expected"),
    (
        (text, "", None),
        (text, "a", "a"),
        *((flag, word, True) for word in ("1", "true", "YES", "On")),
        *((flag, word, False) for word in ("0", "false", "No", "OFF")),
        (flag_or_auto, "Auto", None),
        (flag_or_auto, "no", False),
        (whole, "1", 1),
        (whole, "10", 10),
        (real, "0.25", 0.25),
        (or_none(whole), "None", None),
        (or_none(whole), "3", 3),
        (or_auto(whole), "AUTO", None),
        (or_auto(whole), "3", 3),
        (size, "512", 512),
        (size, "1KB", 1024),
        (size, "1.5 MiB", 1_572_864),
        (size, "2g", 2 * 1024**3),
        (size, "1TB", 1024**4),
        (COLOUR, "RED", "red"),
        (names, "", ()),
        (names, " a, b ,,c", ("a", "b", "c")),
        (pairs("on"), "", {}),
        (RULES, "a=on, b = OFF", {"a": "on", "b": "off"}),
        (database_address, "", None),
        (database_address, "sqlite:///x.db", "sqlite:///x.db"),
        (database_address, "postgres://host/db", "postgres://host/db"),
    ),
)
def test_what_is_allowed(parse, given, expected):
    assert parse(given) == expected


@pytest.mark.parametrize(
    ("parse", "given", "words"),
    (
        (flag, "maybe", "allowed are 1, true"),
        (flag, "auto", "allowed are"),
        (whole, "0", "a whole number from 1 to 10"),
        (whole, "11", "a whole number from 1 to 10"),
        (whole, "1.5", "a whole number from 1 to 10"),
        (real, "nan", "a number from 0 to 1"),
        (real, "x", "a number from 0 to 1"),
        (or_none(whole), "x", "or none"),
        (or_auto(whole), "x", "a whole number"),
        (size, "", "such as 8GB"),
        (size, "-1", "such as 8GB"),
        (size, "1 horse", "such as 8GB"),
        (COLOUR, "blue", "allowed are red, green"),
        (RULES, "a", "rule=on|off"),
        (RULES, "=on", "rule=on|off"),
        (RULES, "a=maybe", "rule=on|off"),
        (database_address, "mysql://host/db", "postgresql://"),
    ),
)
def test_what_is_refused(parse, given, words):
    with pytest.raises(ValueError, match=words.replace("|", r"\|")):
        parse(given)


def test_pairs_cannot_be_changed():
    with pytest.raises(TypeError):
        RULES("a=on")["a"] = "off"


def test_a_setting_takes_its_default_for_an_empty_text_and_names_itself_when_refused():
    setting = Setting("GATEWAY_X", "3", whole, "help")
    assert (setting.read("  "), setting.read(" 4 ")) == (3, 4)
    with pytest.raises(ConfigError, match="GATEWAY_X='99': must be"):
        setting.read("99")


def test_a_secret_setting_does_not_show_its_value():
    with pytest.raises(ConfigError, match="GATEWAY_X: must be") as caught:
        Setting("GATEWAY_X", "3", whole, "help", secret=True).read("canary")
    assert "canary" not in str(caught.value)
