"""Single keywords of a JSON Schema as Gemini takes them: types, enums, bounds, formats, and the rest in words."""

import json
import math

TYPES = ("string", "integer", "number", "boolean", "object", "array")
ALIASES = {
    "str": "string",
    "text": "string",
    "int": "integer",
    "float": "number",
    "double": "number",
    "bool": "boolean",
    "dict": "object",
    "list": "array",
}
# Bounds of ±2^53 come from generators that mean "any integer" (OpenCode's tools); Gemini refuses them.
SAFE_INTEGER = 2**53 - 1
FORMATS = {
    "string": ("enum", "date-time"),
    "integer": ("int32", "int64"),
    "number": ("float", "double"),
}
NUMERIC = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format")
RELEVANT = {
    "string": ("pattern", "minLength", "maxLength", "format", "contentMediaType"),
    "integer": NUMERIC,
    "number": NUMERIC,
    "boolean": (),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"),
    "object": ("properties", "required", "additionalProperties", "patternProperties", "propertyNames"),
}
MAX_HINT = 120
MAX_ENUM_HINT = 1000


def read_types(schema: dict) -> list[str]:
    """Return the type names of a schema in lower case, `null` included; unknown names are left out."""
    given = schema.get("type")
    names = given if isinstance(given, list) else [given]
    known = [ALIASES.get(name.lower(), name.lower()) for name in names if isinstance(name, str)]
    return list(dict.fromkeys(name for name in known if name in TYPES or name == "null"))


def infer_type(schema: dict) -> tuple[str, bool]:
    """Return (type, nullable); a missing type is inferred ("must be specified …", LibreChat#6971)."""
    types = read_types(schema)
    named = [name for name in types if name != "null"]
    return (named[0] if named else inferred(schema)), "null" in types


def inferred(schema: dict) -> str:
    """Guess the type of a schema that names none."""
    if any(keyword in schema for keyword in ("properties", "additionalProperties", "required", "patternProperties")):
        return "object"
    if any(keyword in schema for keyword in ("items", "prefixItems", "minItems", "maxItems", "uniqueItems")):
        return "array"
    values = [value for value in schema.get("enum") or () if value is not None] if is_enum(schema) else []
    if values:
        return type_of(values)
    return "number" if any(keyword in schema for keyword in NUMERIC[:5]) else "string"


def is_enum(schema: dict) -> bool:
    return isinstance(schema.get("enum"), list)


def type_of(values: list) -> str:
    """Return the one type that all values have, else string."""
    for name, kind in (
        ("boolean", bool),
        ("integer", int),
        ("number", (int, float)),
        ("object", dict),
        ("array", list),
    ):
        if all(isinstance(value, kind) and (name == "boolean" or not isinstance(value, bool)) for value in values):
            return name
    return "string"


def relevant(schema: dict, kind: str) -> dict:
    """Return the part of a schema of several types that concerns one of them."""
    part = {keyword: schema[keyword] for keyword in RELEVANT.get(kind, ()) if keyword in schema}
    if is_enum(schema):
        values = [value for value in schema["enum"] if value is not None and type_of([value]) == kind]
        part |= {"enum": values} if values else {}
    return {"type": kind} | part


def plain_enum(schema: dict, kind: str) -> tuple[dict, list[str]]:
    """Return (enum keyword, hints): Gemini takes enums of non-empty strings only.

    `Invalid value at '…enum[0]' (TYPE_STRING)`; written as strings the model would answer "1" and the client's
    validator reject it, so other values go into the description (weave-os/router#65, opencode#2687, pydantic-ai).
    """
    values = [value for value in schema["enum"] if value is not None] if is_enum(schema) else []
    if not values:
        return {}, []
    texts = [value for value in values if isinstance(value, str) and value]
    if kind == "string" and texts:
        others = [value for value in values if not isinstance(value, str) or not value]
        return {"enum": list(dict.fromkeys(texts))}, [f"or: {in_words(others)}"] if others else []
    listed = ", ".join(in_words(value) for value in values[:200])
    return {}, [f"one of: {listed}"[:MAX_ENUM_HINT]]


def bounds(schema: dict, kind: str, hints: list[str]) -> dict:
    """Return `minimum` and `maximum`, exclusive bounds folded in; what that loses is appended to `hints`."""
    if kind not in ("integer", "number"):
        return {}
    low = lower_bound(schema, kind, hints)
    high = upper_bound(schema, kind, hints)
    return ({"minimum": low} if low is not None else {}) | ({"maximum": high} if high is not None else {})


def lower_bound(schema: dict, kind: str, hints: list[str]) -> float | None:
    minimum, exclusive = number(schema.get("minimum")), schema.get("exclusiveMinimum")
    strict = minimum if exclusive is True else number(exclusive)  # `true` is draft 4
    if strict is None:
        return minimum
    if kind == "integer":
        strict = math.floor(strict) + 1
    else:
        hints.append(f"more than {in_words(strict)}")
    return strict if minimum is None else max(minimum, strict)


def upper_bound(schema: dict, kind: str, hints: list[str]) -> float | None:
    maximum, exclusive = number(schema.get("maximum")), schema.get("exclusiveMaximum")
    strict = maximum if exclusive is True else number(exclusive)
    if strict is None:
        return maximum
    if kind == "integer":
        strict = math.ceil(strict) - 1
    else:
        hints.append(f"less than {in_words(strict)}")
    return strict if maximum is None else min(maximum, strict)


def number(value: object) -> int | float | None:
    """Return a number that can stand as a bound, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) < SAFE_INTEGER else None


def plain_format(schema: dict, kind: str, hints: list[str]) -> dict:
    """Return `format` where Gemini knows it: "only 'enum' and 'date-time' are supported for STRING type"."""
    value = schema.get("format")
    if isinstance(value, str) and value in FORMATS.get(kind, ()):
        return {"format": value}
    if isinstance(value, str) and value:
        hints.append(f"format: {value[:MAX_HINT]}")
    return {}


def describe(schema: dict, hints: list[str]) -> str:
    """Return the description with the hints behind it."""
    text = schema.get("description")
    text = text if isinstance(text, str) else ""
    if not hints:
        return text
    return f"{text} ({'; '.join(hints)})".lstrip()


def in_words(value: object) -> str:
    """Write a value as short JSON."""
    try:
        return json.dumps(value, ensure_ascii=False)[:MAX_HINT]
    except (TypeError, ValueError, RecursionError):
        return str(type(value).__name__)
