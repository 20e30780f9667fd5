"""JSON Schema as TypeScript types, as gpt-oss has learnt to read them.

What the official renderer (openai-harmony) can say is said in its words, to the blank: titles, descriptions, examples
and defaults as comments, `key?:`, enums, `T[]`, lists of types, the block of lines of a `oneOf`, descriptions of
objects given twice, further lines of a property's description left bare, `"a" | "b"[]` for a list of words.

What it turns into `any` or leaves out is said too: `$ref` is resolved, `anyOf` is a union, `allOf` is merged, `const`
and enums of any type are literals, `null` is a type, `additionalProperties` is `[key: string]: T`, tuples are `[A, B]`,
objects and arrays in lists of types are spelled out, a schema without `type` is what its keywords say. Texts in quotes
are JSON, so that a quote or a line break in them stays inside; examples that are no strings are JSON.
"""

from collections.abc import Iterator
from typing import Any

from app.utils.json_text import dump
from app.utils.schema import inline_refs, walk

ANY = "any"
WORDS = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}
# Keywords that say what a value is; a variant without any of them only adds a condition to its parent.
SAYING = ("type", "properties", "items", "prefixItems", "enum", "const", "anyOf", "oneOf", "allOf", "nullable")


def typescript(schema: object) -> str:
    """Return the type of what `schema` describes. Never raises; linear, of 3,000 schemas and 16 levels at most."""
    text = render(walk(inline_refs(schema), without_all_of), "")
    return f"{text}\n" if "//" in text.rpartition("\n")[2] else text


def render(schema: object, indent: str) -> str:
    """Return the type of one schema; `indent` stands before the lines that follow its first."""
    if schema is False:
        return "never"
    if not isinstance(schema, dict):
        return ANY
    if found := variants(schema):
        return block(found, indent) if needs_lines(schema, found) else union(found)
    if "const" in schema:
        return as_json(schema["const"])
    if literals := enum_values(schema):
        return " | ".join(map(as_json, literals))
    given = schema.get("type")
    if isinstance(given, list):
        names = [name for name in given if isinstance(name, str)]
        return " | ".join(dict.fromkeys(in_list(schema, name, indent) for name in names)) or ANY
    return of_type(schema, given if isinstance(given, str) else implied(schema), indent)


def of_type(schema: dict, name: str | None, indent: str) -> str:
    """Return the type of a schema whose `type` is `name`."""
    if name == "object":
        return object_type(schema, indent)
    if name == "array":
        return array_type(schema, indent)
    return WORDS.get(name or "", ANY)


def in_list(schema: dict, name: str, indent: str) -> str:
    """Return one entry of a list of types; an object without properties is only the word, as the official text has it."""
    if name == "object" and not properties(schema) and not isinstance(schema.get("additionalProperties"), dict):
        return "object"
    return of_type(schema, name, indent) if name in ("object", "array") else WORDS.get(name, name)


def implied(schema: dict) -> str | None:
    """Return the type that a schema without `type` means."""
    if "properties" in schema or isinstance(schema.get("additionalProperties"), dict):
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else None


def array_type(schema: dict, indent: str) -> str:
    """Return `T[]`, `[A, B]` for a tuple, `Array<any>` without items."""
    if places := tuple_items(schema):
        return f"[{', '.join(with_null(place, render(place, indent)) for place in places)}]"
    items = schema.get("items")
    if items is None:
        return "Array<any>"
    alone = render(items, indent)
    text = with_null(items, alone)
    if text == alone and not (isinstance(items, dict) and variants(items)):
        return f"{text}[]"
    ends_in_line = "\n" in text and isinstance(items, dict) and bool(variants(items))
    return f"({text}\n{indent})[]" if ends_in_line else f"({text})[]"


def object_type(schema: dict, indent: str) -> str:
    """Return `{`, a line or more for each property, `}`."""
    lines = [f"{indent}// {schema['description']}\n{{"] if isinstance(schema.get("description"), str) else ["{"]
    required = schema.get("required")
    needed = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
    for name, value in properties(schema).items():
        lines += property_lines(name if name in needed else f"{name}?", value, indent)
    others = schema.get("additionalProperties")
    if isinstance(others, dict) and others:
        lines.append(f"{indent}[key: string]: {with_null(others, render(others, f'{indent}    '))},")
    return "\n".join([*lines, f"{indent}}}"])


def property_lines(name: str, value: object, indent: str) -> Iterator[str]:
    """Yield the comments of one property, then the property."""
    schema = value if isinstance(value, dict) else {}
    found = variants(schema)
    in_block = bool(found) and needs_lines(schema, found)
    if isinstance(schema.get("title"), str):
        yield f"{indent}// {schema['title']}\n{indent}//"
    description = schema.get("description")
    if isinstance(description, str) and not in_block:
        yield f"{indent}// {description}"
    examples = schema.get("examples")
    if isinstance(examples, list) and examples:
        yield f"{indent}// Examples:"
        yield from (f"{indent}// - {as_json(example)}" for example in examples)
    if in_block:
        yield from union_lines(name, schema, found, indent)
        return
    text = with_null(schema, render(value, f"{indent}    "))
    note = f" // default: {default_text(schema)}" if "default" in schema else ""
    yield f"{indent}{name}: {text},{note}"


def union_lines(name: str, schema: dict, found: list, indent: str) -> Iterator[str]:
    """Yield a property whose type takes a line for each variant; its description is not repeated beside them."""
    description = schema.get("description")
    description = description if isinstance(description, str) else None
    first = found[0].get("description") if found and isinstance(found[0], dict) else None
    above = description is not None and description != first
    if above:
        yield f"{indent}// {description}"
    if "default" in schema:
        yield f"{indent}// default: {default_text(schema)}"
    yield f"{indent}{name}:"
    for position, variant in enumerate(found):
        own = variant.get("description") if isinstance(variant, dict) else None
        told = own == description or (position == 0 and above)
        yield f"{indent} | {variant_text(variant, indent, '' if told else own, bare=True)}"
    yield f"{indent},"


def block(found: list, indent: str) -> str:
    """Return a union with a line for each variant."""
    return "".join(
        f"\n{indent} | {variant_text(variant, indent, variant.get('description') if isinstance(variant, dict) else '')}"
        for variant in found
    )


def variant_text(variant: object, indent: str, description: object, bare: bool = False) -> str:
    """Return a variant's type and, behind it, its description and default; `bare`: an enum's default has no quotes."""
    text = with_null(variant, render(variant, f"{indent}   "))
    comments = [description] if isinstance(description, str) and description else []
    if isinstance(variant, dict) and "default" in variant:
        default = default_text(variant) if bare else as_json(variant["default"])
        comments.append(f"default: {default}")
    return f"{text} // {' '.join(comments)}" if comments else text


def variants(schema: dict) -> list:
    """Return the variants of a union; none when they only add conditions to the schema itself."""
    for keyword in ("oneOf", "anyOf"):
        found = schema.get(keyword)
        if not isinstance(found, list) or (keyword == "anyOf" and properties(schema)):
            continue
        own = "type" in schema or "properties" in schema
        if not own or any(isinstance(variant, dict) and says_a_type(variant) for variant in found):
            return found
    return []  # also for `anyOf: [{required: [a]}, {required: [b]}]`


def says_a_type(variant: dict) -> bool:
    return any(keyword in variant for keyword in SAYING)


def needs_lines(schema: dict, found: list) -> bool:
    """Tell whether a union takes a line for each variant: always for `oneOf`, else for comments and objects."""
    return "oneOf" in schema or not all(fits_a_line(variant) for variant in found)


def fits_a_line(variant: object) -> bool:
    if not isinstance(variant, dict):
        return True
    given = variant.get("type", implied(variant))
    parts = [*variants(variant), variant.get("items"), *tuple_items(variant)]
    return (
        not any(keyword in variant for keyword in ("description", "default", "oneOf"))
        and not ("object" in given if isinstance(given, list) else given == "object")
        and all(map(fits_a_line, parts))
    )


def tuple_items(schema: dict) -> list:
    """Return the schemas of a tuple's places, in the spelling of 2020 or of before."""
    found = schema.get("prefixItems", schema.get("items"))
    return found if isinstance(found, list) else []


def union(found: list) -> str:
    """Return `A | B`."""
    return " | ".join(dict.fromkeys(with_null(variant, render(variant, "")) for variant in found))


def with_null(schema: object, text: str) -> str:
    """Add `null` where OpenAPI's `nullable` asks for it."""
    nullable = isinstance(schema, dict) and schema.get("nullable") is True
    return f"{text} | null" if nullable and "null" not in text else text


def enum_values(schema: dict) -> list:
    """Return the values of an enum; beside `type: string` only words and null count."""
    values = schema.get("enum")
    if not isinstance(values, list):
        return []
    if schema.get("type") == "string":
        return [value for value in values if value is None or isinstance(value, str)]
    return values


def default_text(schema: dict) -> str:
    """Return a default as the comment writes it: JSON, but the word alone beside an enum."""
    default = schema["default"]
    bare = isinstance(default, str) and bool(schema.get("enum")) and "\n" not in default
    return default if bare else as_json(default)


def properties(schema: dict) -> dict[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def without_all_of(schema: dict) -> dict:
    """Return `schema` with the schemas of its `allOf` in it; what stands beside `allOf` wins."""
    parts = schema.get("allOf")
    if not isinstance(parts, list):
        return schema
    whole: dict[str, Any] = {}
    for part in [*parts, {keyword: value for keyword, value in schema.items() if keyword != "allOf"}]:
        if isinstance(part, dict):
            named = properties(whole) | properties(part)
            required = [*as_list(whole.get("required")), *as_list(part.get("required"))]
            whole |= part
            whole |= {"properties": named} if named else {}
            whole |= {"required": required} if required else {}
    return whole


def as_list(value: object) -> list:
    return value if isinstance(value, list) else []


def as_json(value: object) -> str:
    """Return compact JSON; `{}` for what is nested too deep to be written (about a thousand levels)."""
    try:
        return dump(value).decode()
    except RecursionError:
        return "{}"
