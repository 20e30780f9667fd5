"""JSON Schema by position: walks and inlines, so that a *property* called `title` is never taken for a title.

It knows where schemas stand inside a schema; it does not know what any upstream accepts.
"""

from collections.abc import Callable, Iterator
from urllib.parse import unquote

MAPS = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
SINGLES = (
    "items",
    "additionalProperties",
    "additionalItems",
    "unevaluatedProperties",
    "unevaluatedItems",
    "propertyNames",
    "contains",
    "contentSchema",
    "not",
    "if",
    "then",
    "else",
)
DEFINITIONS = ("$defs", "definitions")

# Levels of objects and arrays that survive; a hostile body may nest a thousand.
MAX_DEPTH = 16
# Recursion through keywords that add no level (anyOf in anyOf …).
MAX_NESTING = 64
MAX_NODES = 3000

Visit = Callable[[dict], dict]


def walk(schema: object, visit: Visit, nesting: int = 0) -> object:
    """Return a copy of `schema` with `visit` applied to every schema in it, innermost first.

    `visit` gets a fresh dict and returns a dict. What is nested deeper than 64 schemas is returned as it is.
    """
    if not isinstance(schema, dict) or nesting > MAX_NESTING:
        return schema  # `true` and `false` are schemas too
    return visit(map_subschemas(schema, lambda sub, _: walk(sub, visit, nesting + 1)))


def map_subschemas(schema: dict, change: Callable[[object, str], object]) -> dict:
    """Return a copy of `schema` whose direct subschemas are `change(subschema, keyword)`."""
    copy = dict(schema)
    for keyword in MAPS:
        if isinstance(copy.get(keyword), dict):
            copy[keyword] = {name: change(sub, keyword) for name, sub in copy[keyword].items()}
    for keyword in LISTS:
        if isinstance(copy.get(keyword), list):
            copy[keyword] = [change(sub, keyword) for sub in copy[keyword]]
    for keyword in SINGLES:
        if isinstance(copy.get(keyword), dict):
            copy[keyword] = change(copy[keyword], keyword)
    return copy


def subschemas(schema: object, path: str = "", nesting: int = 0) -> Iterator[tuple[str, dict]]:
    """Yield (path, schema) for `schema` and every schema in it, outermost first; paths read `properties.a.items`."""
    if not isinstance(schema, dict) or nesting > MAX_NESTING:
        return
    yield path, schema
    for keyword in MAPS:
        if isinstance(schema.get(keyword), dict):
            for name, sub in schema[keyword].items():
                yield from subschemas(sub, join(path, keyword, name), nesting + 1)
    for keyword in LISTS:
        if isinstance(schema.get(keyword), list):
            for position, sub in enumerate(schema[keyword]):
                yield from subschemas(sub, join(path, keyword, str(position)), nesting + 1)
    for keyword in SINGLES:
        yield from subschemas(schema.get(keyword), join(path, keyword), nesting + 1)


def join(*steps: str) -> str:
    """Join the steps of a path with dots, leaving out an empty start."""
    return ".".join(step for step in steps if step)


def resolve_ref(root: object, ref: object) -> object:
    """Return what a local `$ref` (`#/$defs/Name`) points to in `root`, or None."""
    if not isinstance(ref, str) or not ref.startswith("#"):
        return None
    node = root
    for step in ref[1:].lstrip("/").split("/") if len(ref) > 1 else ():
        node = step_into(node, unquote(step).replace("~1", "/").replace("~0", "~"))
    return node if isinstance(node, (dict, bool)) else definition(root, ref.rpartition("/")[2])


def step_into(node: object, step: str) -> object:
    """Return the member of a dict or list that one step of a JSON pointer names, or None."""
    if isinstance(node, dict):
        return node.get(step)
    if isinstance(node, list) and step.isdecimal() and int(step) < len(node):
        return node[int(step)]
    return None


def definition(root: object, name: str) -> object:
    """Return the definition called `name`: some generators write pointers into a document that is not there."""
    places = [root.get(keyword) for keyword in DEFINITIONS] if isinstance(root, dict) else []
    found = [place[name] for place in places if isinstance(place, dict) and name in place]
    return found[0] if found and isinstance(found[0], (dict, bool)) else None


def inline_refs(schema: object, root: object = None, nodes: int = MAX_NODES) -> object:
    """Return `schema` without `$ref` and `$defs`, at most 16 levels deep and `nodes` schemas large.

    Where a definition contains itself, and where the schema is too deep, `{"type": "object"}` with a description
    takes the place of what would follow; what is too large loses its last properties. `root` (default: `schema`)
    is the document that the pointers mean.
    """
    return Inliner(schema if root is None else root, nodes).inline(schema, (), 0, 0)


class Inliner:
    """One inlining: the document and how many schemas may still be written."""

    def __init__(self, root: object, nodes: int) -> None:
        self.root = root
        self.left = nodes

    def inline(self, schema: object, active: tuple[str, ...], depth: int, nesting: int) -> object:
        """Return one schema with what it refers to in place; `active` are the references being followed."""
        self.left -= 1
        if not isinstance(schema, dict):
            return schema
        if depth >= MAX_DEPTH and is_container(schema) or nesting > MAX_NESTING:
            return {"type": "object", "description": "JSON object (deeper levels left out)"}
        if "$ref" in schema and not isinstance(schema["$ref"], dict):
            return self.follow(schema, active, depth, nesting)
        copy = {keyword: value for keyword, value in schema.items() if keyword not in DEFINITIONS}
        return self.inline_subschemas(copy, active, depth, nesting)

    def inline_subschemas(self, schema: dict, active: tuple[str, ...], depth: int, nesting: int) -> dict:
        def deeper(sub: object, keyword: str) -> object:
            if self.left <= 0:
                return None
            level = depth if keyword in ("anyOf", "oneOf", "allOf") else depth + 1
            return self.inline(sub, active, level, nesting + 1)

        return without_missing(map_subschemas(schema, deeper))

    def follow(self, schema: dict, active: tuple[str, ...], depth: int, nesting: int) -> object:
        """Put the definition in place of `$ref`; keywords beside it win, as in draft 2019-09 and later."""
        ref = schema["$ref"]
        beside = {keyword: value for keyword, value in schema.items() if keyword not in ("$ref", *DEFINITIONS)}
        if ref in active:
            name = str(ref).rpartition("/")[2].strip("#") or "the whole"
            return {"type": "object", "description": f"JSON object (same shape as {name})"} | beside
        found = resolve_ref(self.root, ref)
        if not isinstance(found, dict):
            return self.inline(beside, active, depth, nesting + 1)
        return self.inline(found | beside, (*active, str(ref)), depth, nesting + 1)


def is_container(schema: dict) -> bool:
    """Tell whether a schema has levels below it."""
    return any(keyword in schema for keyword in (*MAPS, *SINGLES, "$ref")) or schema.get("type") in ("object", "array")


def without_missing(schema: dict) -> dict:
    """Leave out the subschemas for which no room was left (None)."""
    for keyword in MAPS:
        if isinstance(schema.get(keyword), dict):
            schema[keyword] = {name: sub for name, sub in schema[keyword].items() if sub is not None}
    for keyword in LISTS:
        if isinstance(schema.get(keyword), list):
            schema[keyword] = [sub for sub in schema[keyword] if sub is not None]
    return {keyword: value for keyword, value in schema.items() if value is not None or keyword not in SINGLES}
