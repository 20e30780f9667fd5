"""The table of settings, in general: one row of it, and parsers of values. Knows no setting and reads nothing."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from app.errors import ConfigError

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True)
class Setting:
    """One row of the table of settings: variable, default as text, parser, one line of help."""

    name: str
    default: str
    parse: Callable[[str], Any]
    help: str
    secret: bool = False

    def read(self, text: str) -> Any:
        """Parse a value; empty text means the default. Raises ConfigError that names the variable, not a secret."""
        try:
            return self.parse(text.strip() or self.default)
        except ValueError as error:
            shown = "" if self.secret else f"={text!r}"
            raise ConfigError(f"{self.name}{shown}: {error}") from None


# --- parsers: text -> value, ValueError says what is allowed -----------------------------------------------------


def text(value: str) -> str | None:
    return value or None


def flag(value: str) -> bool:
    if value.lower() in TRUE + FALSE:
        return value.lower() in TRUE
    raise ValueError("allowed are " + ", ".join(TRUE + FALSE))


def flag_or_auto(value: str) -> bool | None:
    return None if value.lower() == "auto" else flag(value)


def number(low: float, high: float, kind: type[int] | type[float] = int) -> Callable[[str], Any]:
    word = "a whole number" if kind is int else "a number"

    def parse(value: str) -> Any:
        try:
            parsed = kind(value)
        except ValueError:
            raise ValueError(f"must be {word} from {low} to {high}") from None
        if not low <= parsed <= high:
            raise ValueError(f"must be {word} from {low} to {high}")
        return parsed

    return parse


def or_none(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse_or_none(value: str) -> Any:
        if value.lower() == "none":
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise ValueError(f"{error}, or none (send nothing)") from None

    return parse_or_none


def or_auto(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda value: None if value.lower() == "auto" else parse(value)


def size(value: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", value.strip(), re.IGNORECASE)
    if not found:
        raise ValueError("must be a size such as 8GB or 512MB")
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


def one_of(*allowed: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.lower() not in allowed:
            raise ValueError("allowed are " + ", ".join(allowed))
        return value.lower()

    return parse


def names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def database_address(value: str) -> str | None:
    if value and not value.startswith(("postgresql://", "postgres://", "sqlite:///")):
        raise ValueError("must begin with postgresql:// or sqlite:///")
    return value or None


def pairs(*allowed: str) -> Callable[[str], Mapping[str, str]]:
    def parse(value: str) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for part in names(value):
            rule, equals, state = (piece.strip() for piece in part.partition("="))
            if not rule or not equals or state.lower() not in allowed:
                raise ValueError(f"must be rule={'|'.join(allowed)}, separated by commas")
            found[rule] = state.lower()
        return MappingProxyType(found)

    return parse
