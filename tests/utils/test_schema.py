import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.utils.schema import MAX_DEPTH, inline_refs, resolve_ref, subschemas, walk

NODE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
}


def upper(schema: dict) -> dict:
    return {keyword: value for keyword, value in schema.items() if keyword != "title"} | {"seen": True}


@pytest.mark.parametrize(
    ("schema", "expected"),
    (
        (True, True),
        ("string", "string"),
        ({"title": "x"}, {"seen": True}),
        ({"properties": {"title": {"title": "x"}}}, {"properties": {"title": {"seen": True}}, "seen": True}),
        ({"items": [{"title": "x"}, True]}, {"items": [{"seen": True}, True], "seen": True}),
        ({"items": {"title": "x"}}, {"items": {"seen": True}, "seen": True}),
        ({"enum": [{"title": "x"}]}, {"enum": [{"title": "x"}], "seen": True}),
        ({"default": {"title": "x"}}, {"default": {"title": "x"}, "seen": True}),
        ({"required": ["title"]}, {"required": ["title"], "seen": True}),
        (
            {"anyOf": [{"title": 1}], "not": {"title": 1}},
            {"anyOf": [{"seen": True}], "not": {"seen": True}, "seen": True},
        ),
        ({"$defs": {"title": {"title": 1}}}, {"$defs": {"title": {"seen": True}}, "seen": True}),
        ({"properties": ["junk"]}, {"properties": ["junk"], "seen": True}),
    ),
)
def test_walk_visits_schemas_and_nothing_else(schema, expected):
    assert walk(schema, upper) == expected


def test_walk_leaves_its_input_alone():
    schema = {"properties": {"a": {"title": "x"}}}
    walk(schema, upper)
    assert schema == {"properties": {"a": {"title": "x"}}}


def test_subschemas_names_the_place_of_each():
    schema = {"properties": {"a": {"items": {"anyOf": [{"type": "string"}]}}}}
    assert [path for path, _ in subschemas(schema)] == [
        "", "properties.a", "properties.a.items", "properties.a.items.anyOf.0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ref", "expected"),
    (
        ("#", "root"),
        ("#/$defs/Node", "Node"),
        ("#/$defs/a~1b~0c%20d", "slash"),
        ("#/prefixItems/1", "second"),
        ("#/components/schemas/Node", "Node"),  # a pointer into a document that is not there
        ("https://example.com/x.json", None),
        ("#/nowhere", None),
        (7, None),
    ),
)
def test_references_are_resolved_in_the_document(ref, expected):
    root = {
        "title": "root",
        "$defs": {"Node": {"title": "Node"}, "a/b~c d": {"title": "slash"}},
        "prefixItems": [{"title": "first"}, {"title": "second"}],
    }
    found = resolve_ref(root, ref)
    assert (found["title"] if isinstance(found, dict) else found) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    (
        (
            {"$ref": "#/$defs/A", "description": "mine", "$defs": {"A": {"type": "string", "description": "its"}}},
            {"type": "string", "description": "mine"},
        ),
        (
            {"properties": {"$ref": {"type": "string"}, "x": {"$ref": "#/definitions/A"}},
             "definitions": {"A": {"type": "integer"}}},
            {"properties": {"$ref": {"type": "string"}, "x": {"type": "integer"}}},
        ),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}},
         {"type": "object", "description": "JSON object (same shape as A)"}),
        ({"properties": {"x": {"$ref": "https://example.com/x", "description": "d"}}},
         {"properties": {"x": {"description": "d"}}}),
        ({"const": None, "default": None}, {"const": None, "default": None}),
        (True, True),
        (["junk"], ["junk"]),
    ),
)  # fmt: skip
def test_references_are_inlined(schema, expected):
    assert inline_refs(schema) == expected


def test_a_schema_that_holds_itself_is_followed_once():
    inlined = inline_refs({"properties": {"tree": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": NODE}})
    child = inlined["properties"]["tree"]["properties"]["children"]["items"]
    assert child == {"type": "object", "description": "JSON object (same shape as Node)"}


def test_definitions_that_multiply_end_early():
    names = [f"d{n}" for n in range(60)]
    defs = {
        name: {"type": "object", "properties": {k: {"$ref": f"#/$defs/{after}"} for k in "abcdefgh"}}
        for name, after in zip(names, [*names[1:], "d0"], strict=True)
    }
    started = time.perf_counter()
    inlined = inline_refs({"$ref": "#/$defs/d0", "$defs": defs})
    assert time.perf_counter() - started < 2
    assert 1000 < sum(1 for _ in subschemas(inlined)) <= 3000


@pytest.mark.parametrize("keyword", ["properties", "items", "anyOf", "allOf", "not"])
def test_depth_is_bounded(keyword):
    schema: dict = {"type": "string"}
    for _ in range(900):
        inner = {"x": schema} if keyword == "properties" else [schema] if keyword.endswith("Of") else schema
        schema = {keyword: inner}
    levels = 0
    inlined = inline_refs(schema)
    while isinstance(inlined, dict) and keyword in inlined:
        inlined = inlined[keyword]
        inlined = inlined["x"] if keyword == "properties" else inlined[0] if keyword.endswith("Of") else inlined
        levels += 1
    assert levels <= (MAX_DEPTH if keyword in ("properties", "items") else 66)
    walk(schema, upper)  # ends, too


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["$ref", "$defs", "properties", "items", "anyOf", "a", "type"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_comes_is_inlined_once_for_all(schema):
    once = inline_refs(schema)
    assert inline_refs(once) == once
    assert not any("$ref" in sub and not isinstance(sub["$ref"], dict) for _, sub in subschemas(once))
