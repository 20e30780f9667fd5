"""What a schema says of a value's type, and how a value of another type becomes it without a guess.

It knows the keywords that nearly all tools use; `Shape.plain` tells whether a schema has no others.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from app.emulation import loose_json
from app.utils.schema import resolve_ref

PLAIN_KEYWORDS = frozenset(
    "type description title default examples example enum items properties required additionalProperties deprecated "
    "readOnly writeOnly format pattern patternProperties propertyNames unevaluatedProperties nullable "
    "$schema $id $comment $defs definitions".split()
)
MAX_NESTING = 8
EXACT = 2**53  # up to here a float is the integer that it looks like
_INTEGER = re.compile(r"[+-]?\d{1,300}")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
_PYTHON = {"string": str, "array": list, "object": dict, "boolean": bool}

MISSING = object()


class Shape(NamedTuple):
    """A schema as far as types go. `types` is empty where any type will do."""

    types: tuple[str, ...] = ()
    enum: tuple[Any, ...] = ()
    items: "Shape | None" = None
    properties: Mapping[str, "Shape"] = {}
    required: tuple[str, ...] = ()
    plain: bool = True

    def takes(self, value: object) -> bool:
        """Tell whether a value has one of the types and, where these are listed, is one of the values."""
        if self.enum and value not in self.enum:
            return False
        return not self.types or any(is_type(value, name) for name in self.types)


def is_type(value: object, name: str) -> bool:
    """Tell whether a JSON value is of this type; a type that JSON Schema does not know takes all."""
    if name in _PYTHON:
        return isinstance(value, _PYTHON[name])
    if name == "null":
        return value is None
    if name not in ("integer", "number"):
        return True
    if isinstance(value, float):
        return name == "number" or value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def read_shape(schema: object, root: object, nesting: int = 0) -> Shape:
    """Read the types out of a schema. `root` is the document that a `$ref` means."""
    if not isinstance(schema, dict):
        return Shape()
    if nesting > MAX_NESTING:
        return Shape(plain=False)
    if "$ref" in schema:
        found = resolve_ref(root, schema["$ref"])
        return read_shape(found, root, nesting + 1)._replace(plain=False)
    for keyword in ("anyOf", "oneOf"):
        if isinstance(schema.get(keyword), list) and not schema.keys() & {"type", "properties", "items"}:
            return _read_union([read_shape(sub, root, nesting + 1) for sub in schema[keyword]], schema)
    properties = schema.get("properties")
    shapes = {
        str(name): read_shape(sub, root, nesting + 1)
        for name, sub in (properties.items() if isinstance(properties, dict) else ())
    }
    items = read_shape(schema["items"], root, nesting + 1) if isinstance(schema.get("items"), dict) else None
    plain = PLAIN_KEYWORDS.issuperset(schema) and not isinstance(schema.get("additionalProperties"), dict)
    plain = plain and all(shape.plain for shape in shapes.values()) and (items is None or items.plain)
    return Shape(_types(schema, properties), _listed(schema, "enum"), items, shapes, _names(schema), plain)


def _types(schema: dict, properties: object) -> tuple[str, ...]:
    given = schema.get("type")
    names = given if isinstance(given, list) else [given] if isinstance(given, str) else []
    types = tuple(name.lower() for name in names if isinstance(name, str))
    if not types and isinstance(properties, dict):
        types = ("object",)
    return (*types, "null") if schema.get("nullable") is True and types else types


def _listed(schema: dict, keyword: str) -> tuple[Any, ...]:
    return tuple(schema[keyword]) if isinstance(schema.get(keyword), list) else ()


def _names(schema: dict) -> tuple[str, ...]:
    return tuple(name for name in _listed(schema, "required") if isinstance(name, str))


def _read_union(variants: list[Shape], schema: dict) -> Shape:
    """Join variants: all their types, where each has one; what is inside of the first that has an inside."""
    typed = all(shape.types for shape in variants)
    types = tuple(dict.fromkeys(name for shape in variants for name in shape.types)) if typed else ()
    items = next((shape.items for shape in variants if shape.items), None)
    inside = next((shape.properties for shape in variants if shape.properties), {})
    simple = PLAIN_KEYWORDS.issuperset(set(schema) - {"anyOf", "oneOf"}) and all(
        shape.plain and shape.types and shape == Shape(shape.types) for shape in variants
    )
    return Shape(types, (), items, inside, (), simple)


def convert(value: object, shape: Shape) -> object:
    """Return `value` in a type that the shape takes; as it is where that would be a guess."""
    if not shape.takes(value):
        for name in shape.types:
            made = _as_type(value, name, shape)
            if made is not MISSING and (not shape.enum or made in shape.enum):
                value = made
                break
        else:
            value = _listed_value(value, shape.enum)
    if isinstance(value, float) and "integer" in shape.types and "number" not in shape.types and value.is_integer():
        return int(value)
    if isinstance(value, list) and shape.items:
        return [convert(item, shape.items) for item in value]
    if isinstance(value, dict) and shape.properties:
        return {key: convert(item, shape.properties[key]) if key in shape.properties else item for key, item in value.items()}
    return value


def _listed_value(value: object, enum: tuple[Any, ...]) -> object:
    """Find the one listed word that differs in case and blanks alone."""
    if not isinstance(value, str):
        return value
    alike = [known for known in enum if isinstance(known, str) and known.lower() == value.strip().lower()]
    return alike[0] if len(alike) == 1 else value


def _as_type(value: object, name: str, shape: Shape) -> object:
    if name in ("integer", "number"):
        return _as_number(value, name)
    if name == "boolean":
        return {"true": True, "false": False}.get(value.strip().lower(), MISSING) if isinstance(value, str) else MISSING
    if name == "string":
        return _as_string(value)
    if name == "object":
        return _decoded(value, dict)
    if name == "array":
        found = _decoded(value, list)
        return found if found is not MISSING else MISSING if value is None else [value]
    if name == "null":
        return None if isinstance(value, str) and value.strip().lower() in ("null", "none") else MISSING
    return MISSING


def _as_number(value: object, name: str) -> object:
    if isinstance(value, str):
        text = value.strip()
        if _INTEGER.fullmatch(text):
            return int(text)
        if not _NUMBER.fullmatch(text):
            return MISSING
        value = float(text)
    if not isinstance(value, float) or not math.isfinite(value):
        return MISSING
    return value if name == "number" else int(value) if value.is_integer() and abs(value) <= EXACT else MISSING


def _as_string(value: object) -> object:
    """A number or word as it is written; an object as a file of JSON would hold it; a list of one text is that text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, indent=2)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return value[0]
    return MISSING


def _decoded(value: object, kind: type) -> object:
    """Read a text that holds JSON of this kind."""
    if not isinstance(value, str) or value.lstrip()[:1] != ("{" if kind is dict else "["):
        return MISSING
    try:
        found = loose_json.read(value)
    except ValueError:
        return MISSING
    return found.value if isinstance(found.value, kind) and not found.cut else MISSING
