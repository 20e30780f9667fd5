"""The arguments of a call against the parameters its tool declares: safe repairs, and what is wrong with the rest.

Nothing is invented: what is missing stays missing and is the call's `problem`. Names of arguments that are not declared
are kept, even where the schema forbids them: agents leave them out, and a repair turn costs more than they do.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from app.emulation import loose_json
from app.emulation.argument_types import Shape, convert, is_listed, is_type, read_shape
from app.utils.json_text import dump
from app.utils.schema import walk

WRAPPED, CONVERTED, RENAMED, DECODED = "bare value wrapped", "types converted", "names corrected", "arguments decoded"
EMPTIED, UNKNOWN = "null arguments left out", "unknown arguments kept"
MAX_PROBLEMS = 4
MAX_NESTING = 16

# Not checked: what agents are lenient about, what reads patterns of another dialect (and may take for ever), and
# `$schema` inside, which would bring the others back.
UNCHECKED = frozenset(
    "$schema additionalProperties unevaluatedProperties patternProperties propertyNames pattern format".split()
)
_SEPARATORS = re.compile(r"[_\-\s.]")


class Fitted(NamedTuple):
    """Arguments that fit as far as they can, why they do not, and what was repaired."""

    arguments: dict[str, Any]
    problem: str | None = None
    notes: tuple[str, ...] = ()


class Parameters:
    """One tool's schema, read once."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.shape = read_shape(dict(schema), schema)
        required = [name for name in self.shape.required if name in self.shape.properties]
        names = required if len(required) == 1 else list(self.shape.properties)
        self.single = names[0] if len(names) == 1 else None
        self._schema = schema
        self._validator: Any = None

    def problem_of(self, arguments: dict[str, Any]) -> str | None:
        """Say in one line why arguments do not fit; None when they do, or when the schema itself is broken."""
        problems = list(_problems(arguments, self.shape, ""))
        if problems or self.shape.plain:
            return "; ".join(problems[:MAX_PROBLEMS]) or None
        return self._validate(arguments)

    def _validate(self, arguments: dict[str, Any]) -> str | None:
        import jsonschema.exceptions
        import referencing.exceptions

        broken = (jsonschema.exceptions.SchemaError, jsonschema.exceptions.UnknownType, referencing.exceptions.Unresolvable)
        try:
            if self._validator is None:
                self._validator = _validator(self._schema)
            worst = jsonschema.exceptions.best_match(self._validator.iter_errors(arguments))
        except (*broken, RecursionError, TypeError, ValueError, AttributeError):
            return None  # the schema's fault, not the call's
        if worst is None:
            return None
        place = ".".join(map(str, worst.absolute_path)) or "the arguments"
        return f"{place} must satisfy {worst.validator}: {dump(worst.validator_value).decode()[:120]}"


def fit_arguments(value: object, schema: Mapping[str, Any] | None) -> Fitted:
    """Return a call's arguments as its tool declares them. `value` may be anything that a model wrote in their place.

    A text that holds JSON is decoded; a bare value becomes the single required parameter, or the only one; values take
    the declared types where that needs no guess ("5" -> 5, 1.0 -> 1, "x" -> ["x"]); `file_path` is `filePath` where
    only that is declared; a null for what may be left out is left out. Nothing raises.
    """
    notes: list[str] = []
    parameters = _parameters(_key(schema)) if schema else None
    arguments = _as_object(value, parameters, notes)
    if arguments is None:
        return Fitted({}, f"the arguments must be an object, not {_shown(value)}", tuple(notes))
    if parameters is None:
        return Fitted(arguments, None, tuple(notes))
    return _fit(arguments, parameters, notes)


def _fit(arguments: dict[str, Any], parameters: Parameters, notes: list[str]) -> Fitted:
    shape = parameters.shape
    if shape.properties or shape.extra:
        arguments = _rename(arguments, shape, notes)
        arguments = _without_nulls(arguments, shape, notes)
        converted = convert(arguments, shape)
        if isinstance(converted, dict) and not _same(converted, arguments):
            arguments = converted
            notes.append(CONVERTED)
        if shape.extra is None and not arguments.keys() <= shape.properties.keys():
            notes.append(UNKNOWN)
    return Fitted(arguments, parameters.problem_of(arguments), tuple(notes))


def _same(first: object, second: object) -> bool:
    """Compare JSON values and their types: 1 is not 1.0 and not True."""
    if type(first) is not type(second):
        return False
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_same, first, second))
    return first == second


def _key(schema: Mapping[str, Any]) -> bytes:
    try:
        return dump(schema)
    except (TypeError, RecursionError):
        return b""  # no JSON: there is nothing to check against


@lru_cache(maxsize=256)
def _parameters(key: bytes) -> Parameters | None:
    schema = orjson.loads(key) if key else None
    return Parameters(schema) if isinstance(schema, dict) else None


def _validator(schema: Mapping[str, Any]) -> Any:
    """Make a validator that fetches nothing: a `$ref` to another document is an error.

    `oneOf` is read as `anyOf`: what tells its schemas apart is often among the keywords that are not checked.
    """
    import jsonschema
    import referencing

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)

    def checked(sub: dict) -> dict:
        names = {"oneOf": "anyOf"} if "anyOf" not in sub else {}
        return {names.get(keyword, keyword): value for keyword, value in sub.items() if keyword not in UNCHECKED}

    plain: Any = walk(dict(schema), checked)
    kind.check_schema(plain)
    return kind(plain, registry=referencing.Registry())


def _as_object(value: object, parameters: Parameters | None, notes: list[str]) -> dict[str, Any] | None:
    if isinstance(value, dict):
        return value
    if value is None or (isinstance(value, str) and not value.strip()):
        return {}
    single = parameters.single if parameters else None
    properties = parameters.shape.properties if parameters else {}
    if isinstance(value, str) and (decoded := _decode(value)) is not None:
        if single is None or not decoded or any(_plain_name(key) in map(_plain_name, properties) for key in decoded):
            return decoded
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        if single is None or "array" not in properties[single].types:
            return value[0]
    if single is None:
        return None
    notes.append(WRAPPED)
    return {single: value}


def _decode(text: str) -> dict[str, Any] | None:
    """Read a text that holds an object; it may have been encoded twice."""
    for _ in range(2):
        if text.lstrip()[:1] not in ("{", '"'):
            return None
        try:
            found = loose_json.read(text)
        except ValueError:
            return None
        if isinstance(found.value, dict):
            return None if found.cut else found.value
        if not isinstance(found.value, str):
            return None
        text = found.value
    return None


def _plain_name(name: str) -> str:
    return _SEPARATORS.sub("", name).lower()


def _rename(arguments: dict[str, Any], shape: Shape, notes: list[str]) -> dict[str, Any]:
    """Give arguments their declared names where case and separators alone differ."""
    unknown = [name for name in arguments if name not in shape.properties]
    if not unknown:
        return arguments
    free: dict[str, list[str]] = {}
    for name in shape.properties:
        if name not in arguments:
            free.setdefault(_plain_name(name), []).append(name)
    names: dict[str, str] = {}
    for name in unknown:
        alike = free.get(_plain_name(name), ())
        if len(alike) == 1 and alike[0] not in names.values():
            names[name] = alike[0]
    if names:
        notes.append(RENAMED)
    return {names.get(name, name): value for name, value in arguments.items()}


def _without_nulls(arguments: dict[str, Any], shape: Shape, notes: list[str]) -> dict[str, Any]:
    """Leave out nulls that stand for what may be missing: small models fill in each parameter."""
    empty = [
        name
        for name, value in arguments.items()
        if value is None and name in shape.properties and name not in shape.required
        and not shape.properties[name].takes(None)
    ]  # fmt: skip
    if not empty:
        return arguments
    notes.append(EMPTIED)
    return {name: value for name, value in arguments.items() if name not in empty}


def _problems(value: object, shape: Shape, path: str, nesting: int = 0) -> Any:
    """Yield what a reader of the plain keywords finds wrong."""
    if shape.types and not any(is_type(value, name) for name in shape.types):
        yield f"{path or 'the arguments'} must be {' or '.join(shape.types)}, not {_shown(value)}"
        return
    if shape.enum and not is_listed(value, shape.enum):
        yield f"{path or 'the arguments'} must be one of {', '.join(map(_shown, shape.enum[:12]))}, not {_shown(value)}"
    if nesting > MAX_NESTING:
        return
    if shape.variants:
        yield from min(([*_problems(value, one, path, nesting + 1)] for one in shape.variants), key=len)
    elif isinstance(value, dict):
        prefix = f"{path}." if path else ""
        missing = [prefix + name for name in shape.required if name not in value]
        if missing:
            yield f"missing: {', '.join(missing)}"
        for name, inside in shape.properties.items():
            if name in value:
                yield from _problems(value[name], inside, prefix + name, nesting + 1)
    elif isinstance(value, list) and shape.items:
        for position, item in enumerate(value):
            yield from _problems(item, shape.items, f"{path}[{position}]", nesting + 1)


def _shown(value: object) -> str:
    text = dump(value[:60] if isinstance(value, str) else value).decode()
    return text if len(text) <= 60 else text[:57] + "..."
