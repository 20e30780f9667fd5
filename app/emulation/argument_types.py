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
_KNOWN = ("integer", "number", "boolean", "string", "null", "array", "object")
_PYTHON = {"string": str, "array": list, "object": dict, "boolean": bool}

MISSING = object()


class Shape(NamedTuple):
    """A schema as far as types go. `types` is empty where any type will do.

    `extra` is what properties are that have no name of their own. `variants` are what `anyOf` or `oneOf` offer, where
    types alone do not say it; `properties` then has the names of all of them.
    """

    types: tuple[str, ...] = ()
    enum: tuple[Any, ...] = ()
    items: "Shape | None" = None
    properties: Mapping[str, "Shape"] = {}
    required: tuple[str, ...] = ()
    plain: bool = True
    extra: "Shape | None" = None
    variants: tuple["Shape", ...] = ()

    def takes(self, value: object) -> bool:
        """Tell whether a value has one of the types and, where these are listed, is one of the values."""
        if self.enum and not is_listed(value, self.enum):
            return False
        return not self.types or any(is_type(value, name) for name in self.types)


ANY = Shape()


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


def is_listed(value: object, values: tuple[Any, ...]) -> bool:
    """Tell whether a value is one of those listed; `true` is not 1, as it is for Python."""
    truth = isinstance(value, bool)
    return value in values and any(value == known and isinstance(known, bool) is truth for known in values)


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
        if isinstance(schema.get(keyword), list) and not schema.keys() & {"type", "properties", "items", "allOf"}:
            return _read_union([read_shape(sub, root, nesting + 1) for sub in schema[keyword]], schema)
    own = _read_own(schema, root, nesting)
    parts = schema.get("allOf")
    return _all_of([own, *(read_shape(sub, root, nesting + 1) for sub in parts)]) if isinstance(parts, list) else own


def _read_own(schema: dict, root: object, nesting: int) -> Shape:
    properties = schema.get("properties")
    shapes = {
        str(name): read_shape(sub, root, nesting + 1)
        for name, sub in (properties.items() if isinstance(properties, dict) else ())
    }
    items, extra = (
        read_shape(schema[name], root, nesting + 1) if isinstance(schema.get(name), dict) else None
        for name in ("items", "additionalProperties")
    )
    plain = PLAIN_KEYWORDS.issuperset(schema) and extra is None
    plain = plain and all(shape.plain for shape in shapes.values()) and (items is None or items.plain)
    listed = (schema["const"],) if "const" in schema else _listed(schema, "enum")
    return Shape(_types(schema, properties), listed, items, shapes, _names(schema), plain, extra)


def _all_of(parts: list[Shape]) -> Shape:
    """Join what must hold together: of each thing says the first part that says something of it."""
    single = [part for part in parts if not part.variants]
    return Shape(
        next((part.types for part in parts if part.types), ()),
        next((part.enum for part in parts if part.enum), ()),
        next((part.items for part in parts if part.items), None),
        _all_names(single),
        tuple(dict.fromkeys(name for part in parts for name in part.required)),
        False,
        next((part.extra for part in parts if part.extra), None),
    )


def _all_names(shapes: list[Shape]) -> dict[str, Shape]:
    return {name: inside for shape in reversed(shapes) for name, inside in shape.properties.items()}


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
    """Join variants: all their types, where each has one, and all their names."""
    typed = all(shape.types for shape in variants)
    types = tuple(dict.fromkeys(name for shape in variants for name in shape.types)) if typed else ()
    bare = all(shape == Shape(shape.types) for shape in variants)
    simple = PLAIN_KEYWORDS.issuperset(set(schema) - {"anyOf", "oneOf"}) and typed and bare
    return Shape(types, (), None, _all_names(variants), (), simple, None, () if bare else tuple(variants))


def fits(value: object, shape: Shape) -> bool:
    """Tell whether a value is what the shape says, all that is inside of it too."""
    if not shape.takes(value) or (shape.variants and not any(fits(value, one) for one in shape.variants)):
        return False
    if isinstance(value, list) and shape.items:
        return all(fits(item, shape.items) for item in value)
    if not isinstance(value, dict) or shape.variants:
        return True
    whole = all(name in value for name in shape.required)
    return whole and all(fits(value[name], inside) for name, inside in shape.properties.items() if name in value)


def convert(value: object, shape: Shape) -> object:
    """Return `value` in a type that the shape takes; as it is where that would be a guess."""
    if shape.variants:
        return _convert_to_one(value, shape.variants)
    if not shape.takes(value):
        for name in shape.types or _types_of(shape.enum):
            made = _as_type(value, name, shape)
            if made is not MISSING and (not shape.enum or is_listed(made, shape.enum)):
                value = made
                break
        else:
            value = _listed_value(value, shape.enum)
    if isinstance(value, float) and "integer" in shape.types and "number" not in shape.types and value.is_integer():
        return int(value)
    if isinstance(value, list) and shape.items:
        return [convert(item, shape.items) for item in value]
    if isinstance(value, dict) and (shape.properties or shape.extra):
        others = shape.extra or ANY
        return {key: convert(item, shape.properties.get(key, others)) for key, item in value.items()}
    return value


def _convert_to_one(value: object, variants: tuple[Shape, ...]) -> object:
    """Convert to the first variant that fits: without a change, else with one, else by its type alone."""
    for shape in variants:
        if fits(value, shape):
            return convert(value, shape)
    made = [(convert(value, shape), shape) for shape in variants]
    whole = [one for one, shape in made if fits(one, shape)]
    return (whole or [one for one, shape in made if shape.takes(one)] or [value])[0]


def _types_of(values: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(name for name in _KNOWN if any(is_type(value, name) for value in values))


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
