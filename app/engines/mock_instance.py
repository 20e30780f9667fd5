"""The smallest JSON value that a JSON Schema allows; knows the keywords that tools and SDKs write, validates nothing.

`not`, `if`, `patternProperties` and `uniqueItems` are not looked at; for a `pattern` only a few usual texts are tried.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from app.utils.schema import resolve_ref

MAX_SCHEMAS = 5000  # a hostile schema may branch without end
MAX_NESTING = 60
TEXT = "text"

FORMATS = {
    "date-time": "2025-01-01T00:00:00Z",
    "date": "2025-01-01",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "user@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "uri-reference": "/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
PATTERN_TEXTS = (
    *(TEXT, "a", "A", "0", "1", "a1", "A1", "ab", "AB", "abc", "ABC", "00", "000", "0000", "00000", "0.0"),
    *("a-b", "a_b", "a.b", "a/b", "/", "#000000", "1.0.0", "+10000000000", *FORMATS.values(), ""),
)

# Which type a schema without `type` means, by a keyword that only this type has.
TYPE_HINTS = (
    ("object", ("properties", "required", "additionalProperties")),
    ("array", ("items", "prefixItems", "minItems")),
    ("string", ("minLength", "maxLength", "pattern", "format")),
    ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
)


class Impossible(Exception):
    """A schema has no finite value, or is too large to look for one."""


def instance_of(schema: object) -> Any:
    """Return a small value that `schema` allows: required properties only, arrays as short as may be.

    Returns None for a schema that contains itself without a way out, or is larger than 5000 schemas.
    """
    try:
        return Maker(schema).make(schema, (), 0)
    except Impossible:
        return None


class Maker:
    """One value in the making: the document that `$ref`s point into, and how many schemas may still be read."""

    def __init__(self, root: object) -> None:
        self.root = root
        self.left = MAX_SCHEMAS

    def make(self, schema: object, active: tuple[str, ...], nesting: int) -> Any:
        """Return a value for one schema; `active` are the references being followed. Raises Impossible."""
        self.left -= 1
        if schema is False or self.left <= 0 or nesting > MAX_NESTING:
            raise Impossible
        if not isinstance(schema, dict):
            return ""
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][0]
        if isinstance(schema.get("$ref"), str):
            return self.follow(schema, active, nesting)
        if isinstance(schema.get("allOf"), list):
            return self.make(self.merged(schema), active, nesting + 1)
        for keyword in ("anyOf", "oneOf"):
            if isinstance(schema.get(keyword), list) and schema[keyword]:
                return self.choose(schema, keyword, active, nesting)
        return self.make_typed(schema, active, nesting)

    def follow(self, schema: dict, active: tuple[str, ...], nesting: int) -> Any:
        ref = schema["$ref"]
        found = resolve_ref(self.root, ref)
        if ref in active or found is None:
            raise Impossible
        beside = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
        return self.make(merge(found, beside), (*active, ref), nesting + 1)

    def choose(self, schema: dict, keyword: str, active: tuple[str, ...], nesting: int) -> Any:
        """Return a value for the first alternative that has one."""
        beside = {name: value for name, value in schema.items() if name != keyword}
        for option in schema[keyword]:
            try:
                return self.make(merge(option, beside), active, nesting + 1)
            except Impossible:
                continue
        raise Impossible

    def merged(self, schema: dict) -> object:
        """Return a schema with its `allOf` in place; references are followed one step, as they must be merged too."""
        whole: object = {keyword: value for keyword, value in schema.items() if keyword != "allOf"}
        for part in schema["allOf"]:
            ref = part.get("$ref") if isinstance(part, dict) else None
            whole = merge(whole, resolve_ref(self.root, ref) if isinstance(ref, str) else part)
        return whole

    def make_typed(self, schema: dict, active: tuple[str, ...], nesting: int) -> Any:
        kind = type_of(schema)
        if kind == "object":
            return self.make_object(schema, active, nesting)
        if kind == "array":
            return self.make_array(schema, active, nesting)
        if kind in ("integer", "number"):
            return make_number(schema, whole=kind == "integer")
        return {"boolean": False, "null": None, "string": make_string(schema)}.get(kind, "")

    def make_object(self, schema: dict, active: tuple[str, ...], nesting: int) -> dict[str, Any]:
        properties, required = schema.get("properties"), schema.get("required")
        properties = properties if isinstance(properties, dict) else {}
        required = required if isinstance(required, list) else []
        others = [name for name in properties if name not in required]
        fewest = bound(schema, "minProperties", 0)
        names = [name for name in required if isinstance(name, str)]
        names += others[: max(0, fewest - len(names))]
        names += [f"key{number}" for number in range(1, fewest - len(names) + 1)]
        rest = schema.get("additionalProperties", True)
        return {name: self.make(properties.get(name, rest), active, nesting + 1) for name in names}

    def make_array(self, schema: dict, active: tuple[str, ...], nesting: int) -> list[Any]:
        first, rest = schema.get("prefixItems"), schema.get("items", True)
        if isinstance(rest, list):  # how drafts before 2020-12 write prefixItems
            first, rest = rest, schema.get("additionalItems", True)
        items = list(first) if isinstance(first, list) else []
        items += [rest] * min(bound(schema, "minItems", 0) - len(items), MAX_SCHEMAS)
        return [self.make(item, active, nesting + 1) for item in items]


def merge(one: object, other: object) -> object:
    """Return a schema that asks for both; where both say something that cannot be joined, `other` wins."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False if one is False or other is False else (one if isinstance(one, dict) else other)
    both = {**one, **other}
    if isinstance(one.get("properties"), dict) and isinstance(other.get("properties"), dict):
        both["properties"] = {**one["properties"], **other["properties"]}
    if isinstance(one.get("required"), list) and isinstance(other.get("required"), list):
        both["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    return both


def type_of(schema: Mapping[str, Any]) -> str:
    """Return the type that a schema asks for, in lower case (some SDKs shout); the first one of several."""
    named = schema.get("type")
    if isinstance(named, list):
        named = next((name for name in named if name != "null"), "null")
    if isinstance(named, str):
        return named.lower()
    return next((name for name, keywords in TYPE_HINTS if any(keyword in schema for keyword in keywords)), "")


def bound(schema: Mapping[str, Any], keyword: str, otherwise: int) -> int:
    value = schema.get(keyword)
    return int(value) if is_number(value) else otherwise


def make_string(schema: Mapping[str, Any]) -> str:
    """Return a text of the right format, pattern and length."""
    shape, pattern = schema.get("format"), schema.get("pattern")
    if isinstance(shape, str) and shape in FORMATS:
        return FORMATS[shape]
    shortest, longest = bound(schema, "minLength", 0), bound(schema, "maxLength", 10**6)
    if not isinstance(pattern, str):
        return TEXT.ljust(min(shortest, 10**6), "x")[: max(longest, 0)]
    try:
        fitting = (text for text in PATTERN_TEXTS if shortest <= len(text) <= longest and re.search(pattern, text))
        return next(fitting, TEXT)
    except re.error:
        return TEXT


def make_number(schema: Mapping[str, Any], *, whole: bool) -> int | float:
    """Return 0, or a number near the bounds that obeys them and `multipleOf`."""
    low, high = edges(schema, "minimum", "exclusiveMinimum"), edges(schema, "maximum", "exclusiveMaximum")
    near = [0.0, *low, *high, *(edge + 1 for edge in low), *(edge - 1 for edge in high), sum(low + high) / 2]
    step = schema.get("multipleOf")
    unit = step if is_number(step) and step > 0 else (1 if whole else 0)
    for number in near:
        for snapped in (math.ceil(number / unit) * unit, math.floor(number / unit) * unit) if unit else (number,):
            if fits(snapped, schema):
                return int(snapped) if float(snapped).is_integer() else snapped
    return 0


def edges(schema: Mapping[str, Any], keyword: str, excluded: str) -> list[float]:
    """Return the bound on one side, as a list of none or one."""
    values = [schema[name] for name in (excluded, keyword) if is_number(schema.get(name))]
    return values[:1]


def fits(value: float, schema: Mapping[str, Any]) -> bool:
    """Tell whether a number obeys the bounds; draft 4 wrote the exclusive ones as true and false."""
    for keyword, excluded, sign in (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1)):
        bound_at, strict = schema.get(keyword), schema.get(excluded)
        if is_number(bound_at) and (value - bound_at) * sign < (1e-9 if strict is True else 0):
            return False
        if is_number(strict) and (value - strict) * sign <= 0:
            return False
    return True


def is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
