"""Gemini's subset of JSON Schema: rewrites one schema so that Gemini takes it; knows nothing of requests.

Gemini reads an OpenAPI 3.0 subset; one unknown keyword refuses the whole request with
`Unknown name "X" at 'tools[0].function_declarations[N].parameters…': Cannot find field.`
What cannot be said in the subset is said in the description, so that the model still knows it.
"""

from typing import NamedTuple

from app.quirks.gemini_keywords import (
    TYPES,
    bounds,
    describe,
    in_words,
    infer_type,
    is_enum,
    plain_enum,
    plain_format,
    read_types,
    relevant,
)
from app.utils.schema import join

LENGTHS = ("pattern", "minLength", "maxLength", "minItems", "maxItems")
STRUCTURE = ("type", "properties", "items", "prefixItems", "enum", "const", "anyOf", "oneOf", "allOf")
ANNOTATIONS = ("description", "default", "title", "examples", "nullable", "$schema", "$id", "$comment", "deprecated")
PLACEHOLDER = {"_": {"type": "string", "description": "not used; give the object's own keys instead"}}

# Schemas rewritten per tool; unions inside unions would multiply for ever.
MAX_WORK = 6000


class Subset(NamedTuple):
    """What this upstream takes; the defaults are the safe ones.

    `keep`: further keywords to leave in (options.schemaKeep: pattern, minLength, maxLength, minItems, maxItems,
    title, default …); `drop`: keywords that this upstream refused (learned); `unions`: "anyof", or "first" where
    unions are refused without a word (options.schemaUnions; google-api-python-client#2570); `empty_object`:
    "placeholder", "string" or "keep" (options.schemaEmptyObject).
    """

    keep: frozenset[str] = frozenset()
    drop: frozenset[str] = frozenset()
    unions: str = "anyof"
    empty_object: str = "placeholder"


class Work:
    """One rewriting: how much may still be done, and the keywords changed so far (`properties.a.format`)."""

    __slots__ = ("changes", "left", "muted")

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.left = MAX_WORK
        self.muted = 0

    def log(self, source: dict, plain: dict, path: str) -> None:
        """Note the keywords of `source` that `plain` has not, or has otherwise."""
        for keyword, value in source.items() if not self.muted else ():
            if keyword in ("properties", "items", "anyOf") and keyword in plain:
                continue  # told where they changed, further in
            if keyword not in plain or plain[keyword] != value:
                self.changes.append(join(path, str(keyword)))


def plain_schema(schema: object, subset: Subset, work: Work, path: str = "") -> dict:
    """Return `schema` (without `$ref`) in Gemini's subset; `work` hears of each keyword changed."""
    work.left -= 1
    if work.left < 0:
        return {"type": "string"}
    source = schema if isinstance(schema, dict) else as_schema(schema)
    merged = one_enum(merge_all_of(source))
    variants = read_variants(merged)
    if variants is None:
        plain = plain_single(merged, subset, work, path)
    else:
        plain = plain_union(merged, variants, subset, work, path)
    if subset.drop:
        plain = {keyword: value for keyword, value in plain.items() if keyword not in subset.drop}
    work.log(source, plain, path)
    return plain


def as_schema(schema: object) -> dict:
    """Read what stands where a schema should: `true` and junk mean anything, "string" is a type's name."""
    return {"type": schema} if isinstance(schema, str) and schema.lower() in TYPES else {}


def merge_all_of(schema: dict) -> dict:
    """Merge `allOf` into the schema that holds it (400 otherwise; pydantic-ai profiles/google.py)."""
    parts = schema.get("allOf")
    if not isinstance(parts, list):
        return schema
    merged = {keyword: value for keyword, value in schema.items() if keyword != "allOf"}
    for part in parts:
        if isinstance(part, dict):
            merged = merge(merge_all_of(part), merged)
    return merged


def merge(first: dict, second: dict) -> dict:
    """Return both schemas as one; where they contradict each other `second` wins."""
    merged = first | second
    if isinstance(first.get("properties"), dict) and isinstance(second.get("properties"), dict):
        merged["properties"] = first["properties"] | second["properties"]
    if isinstance(first.get("required"), list) and isinstance(second.get("required"), list):
        merged["required"] = [*first["required"], *second["required"]]
    for keyword in ("anyOf", "oneOf"):
        if isinstance(first.get(keyword), list) and isinstance(second.get(keyword), list):
            merged[keyword] = [*first[keyword], *second[keyword]]
    return merged


def one_enum(schema: dict) -> dict:
    """Write `const` as an `enum` of one."""
    if "const" not in schema:
        return schema
    rest = {keyword: value for keyword, value in schema.items() if keyword != "const"}
    return rest | {"enum": [schema["const"]]}


def read_variants(schema: dict) -> list[dict] | None:
    """Return the schemas that a union stands for (anyOf, oneOf, a list of types), or None when it is no union."""
    listed = [schema[keyword] for keyword in ("anyOf", "oneOf") if isinstance(schema.get(keyword), list)]
    variants = [variant for group in listed for variant in group if isinstance(variant, dict)]
    rest = {k: v for k, v in schema.items() if k not in ("anyOf", "oneOf", *ANNOTATIONS)}
    if any(keyword in variant for variant in variants for keyword in STRUCTURE):
        return [merge(rest, variant) if rest else variant for variant in variants]
    types = read_types(schema)
    if len([name for name in types if name != "null"]) > 1:
        return [relevant(rest, name) for name in types]
    return None  # variants that only say `required` in different ways add nothing that Gemini can take


def plain_union(schema: dict, variants: list[dict], subset: Subset, work: Work, path: str) -> dict:
    """Write a union: null becomes `nullable`, one variant stands alone, several strings become one enum."""
    plain: list[dict] = []
    nullable = schema.get("nullable") is True
    work.muted += 1  # the client would not recognise its variants in the rewritten ones
    for variant in variants:
        if read_types(variant) == ["null"] or variant.get("enum") == [None] or variant.get("const", 0) is None:
            nullable = True
            continue
        one = plain_schema(variant, subset, work, path)
        nullable = nullable or one.pop("nullable", False)
        plain += [sub for sub in one.get("anyOf", (one,)) if sub not in plain]
    work.muted -= 1
    plain = join_enums(plain)
    if len(plain) > 1 and subset.unions == "first":
        names = [str(sub.get("type")) for sub in plain]
        plain = [plain[0] | described(describe(plain[0], [f"or: {', '.join(names[1:])}"]))]
    text = describe(schema, [*annotation_hints(schema, subset)])
    union: dict = dict(plain[0]) if len(plain) == 1 else {"anyOf": plain} if plain else {"type": "string"}
    return union | described(text or union.get("description", "")) | ({"nullable": True} if nullable else {})


def described(text: str) -> dict:
    return {"description": text} if text else {}


def annotation_hints(schema: dict, subset: Subset) -> list[str]:
    return [] if "default" in subset.keep or "default" not in schema else [hint("default", schema["default"])]


def join_enums(variants: list[dict]) -> list[dict]:
    """Write a union of string constants as one enum."""
    if len(variants) < 2 or any(v.keys() - {"type", "enum", "description"} or "enum" not in v for v in variants):
        return variants
    values = [value for variant in variants for value in variant["enum"]]
    texts = [f"{v['enum'][0]}: {v['description']}" for v in variants if "description" in v and len(v["enum"]) == 1]
    return [{"type": "string", "enum": list(dict.fromkeys(values))} | described("; ".join(texts))]


def plain_single(schema: dict, subset: Subset, work: Work, path: str) -> dict:
    """Write a schema of one type: allowed keywords only, the rest in words."""
    kind, nullable = infer_type(schema)
    plain: dict = {"type": kind}
    enum, hints = plain_enum(schema, kind)
    hints = annotation_hints(schema, subset) + hints
    plain |= enum | bounds(schema, kind, hints) | plain_format(schema, kind, hints)
    for keyword in LENGTHS:
        if keyword in schema and keyword not in subset.keep:
            hints.append(hint(keyword, schema[keyword]))
    hints += structure_hints(schema)
    plain |= {keyword: schema[keyword] for keyword in subset.keep if keyword in schema and keyword not in plain}
    if nullable or schema.get("nullable") is True or is_enum(schema) and None in schema["enum"]:
        plain["nullable"] = True
    if kind == "array":
        plain["items"] = plain_schema(item_schema(schema), subset, work, join(path, "items"))
    elif kind == "object":
        plain |= plain_object(schema, subset, work, path)
    return plain | described(describe(schema, hints))


def structure_hints(schema: dict) -> list[str]:
    """Say in words what the subset has no keyword for."""
    hints = [hint(k, schema[k]) for k in ("multipleOf", "minProperties", "maxProperties") if k in schema]
    if schema.get("uniqueItems") is True:
        hints.append("unique items")
    for keyword in ("patternProperties", "dependentRequired", "propertyNames", "contains", "contentMediaType"):
        if schema.get(keyword):
            hints.append(hint(keyword, schema[keyword]))
    return hints


def hint(keyword: str, value: object) -> str:
    """Write one keyword in words, at most 120 characters."""
    return f"{keyword}: {in_words(value)}"


def item_schema(schema: dict) -> object:
    """Return the schema of an array's items; a tuple's members become a union (an array needs `items`: cline#7339)."""
    items = schema.get("items")
    members = items if isinstance(items, list) else schema.get("prefixItems")
    if isinstance(members, list) and members:
        rest = [items] if isinstance(items, dict) else []
        return {"anyOf": [member for member in [*members, *rest] if isinstance(member, dict)]}
    return items if isinstance(items, dict) else {"type": "string"}


def plain_object(schema: dict, subset: Subset, work: Work, path: str) -> dict:
    """Write `properties` and the part of `required` that they know; an object without any gets a placeholder.

    Older endpoints say `properties: should be non-empty for OBJECT type` (agno#2112, ruby_llm#61, agent-sdk-go#23).
    """
    given = schema.get("properties")
    properties = {
        name: plain_schema(sub, subset, work, join(path, "properties", str(name)))
        for name, sub in (given.items() if isinstance(given, dict) else ())
        if sub is not False
    }
    if not properties:
        return empty_object(subset)
    required = schema.get("required")
    names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    known = list(dict.fromkeys(name for name in names if name in properties))
    return {"properties": properties} | ({"required": known} if known else {})


def empty_object(subset: Subset) -> dict:
    """Return what stands for an object whose keys nobody named."""
    if subset.empty_object == "keep":
        return {"properties": {}}
    return {"type": "string"} if subset.empty_object == "string" else {"properties": PLACEHOLDER}


def plain_parameters(schema: object, subset: Subset, work: Work) -> dict | None:
    """Return a function's parameters in the subset, or None when nothing is left: then leave `parameters` out.

    Raises nothing; a union at the top becomes one object, since arguments are always an object.
    """
    if not isinstance(schema, dict):
        return None
    plain = plain_schema(schema, subset, work)
    if "anyOf" in plain:
        plain = join_objects(plain)
    plain.pop("nullable", None)
    properties = plain.get("properties")
    return plain if properties and properties is not PLACEHOLDER and properties != PLACEHOLDER else None


def join_objects(union: dict) -> dict:
    """Write a union of objects as one object: all properties, only what every variant requires."""
    objects = [variant for variant in union["anyOf"] if variant.get("properties")]
    properties: dict = {}
    for variant in objects:
        properties |= {name: sub for name, sub in variant["properties"].items() if name not in properties}
    required = [name for name in properties if all(name in variant.get("required", ()) for variant in objects)]
    plain = {"type": "object", "properties": properties} | ({"required": required} if required else {})
    return plain | described(union.get("description", ""))
