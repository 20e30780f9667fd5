import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.mock_instance import instance_of

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
TREE = {
    "$ref": "#/$defs/Node",
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer", "minimum": 3},
                "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            },
            "required": ["value", "next", "children"],
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "value"),
    (
        (PERSON, {"name": "text", "age": 0}),
        (TREE, {"value": 3, "next": None, "children": []}),
        ({"const": 5}, 5),
        ({"enum": ["b", "a"]}, "b"),
        ({"type": ["null", "string"]}, "text"),
        ({"type": "null"}, None),
        ({"type": "boolean"}, False),
        ({"type": "OBJECT", "properties": {}}, {}),
        ({}, ""),
        (True, ""),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": "a"}]}, [1, "a"]),
        ({"type": "array", "items": [{"const": 1}], "minItems": 2}, [1, ""]),
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"format": "date"}, "2025-01-01"),
        ({"type": "string", "pattern": "^[0-9]{3}$"}, "000"),
        ({"type": "string", "pattern": "("}, "text"),
        ({"type": "integer", "minimum": 0.5}, 1),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 0.5}, 0),
        ({"type": "integer", "minimum": 5, "exclusiveMinimum": True}, 6),
        ({"type": "integer", "minimum": 10, "multipleOf": 7}, 14),
        ({"type": "integer", "maximum": -4}, -4),
        ({"allOf": [{"required": ["a"]}, {"properties": {"a": {"const": 1}}}, {"required": ["a"]}]}, {"a": 1}),
        ({"oneOf": [False, {"const": 2}]}, 2),
        ({"type": "object", "minProperties": 2, "properties": {"a": {"const": 1}}}, {"a": 1, "key1": ""}),
        ({"type": "object", "required": ["x"], "additionalProperties": {"type": "integer"}}, {"x": 0}),
        ({"properties": {"title": {"type": "string"}}, "required": ["title"]}, {"title": "text"}),
    ),
)
def test_makes_the_smallest_valid_value(schema, value):
    assert instance_of(schema) == value


@pytest.mark.parametrize(
    "schema",
    (
        {"$ref": "#"},
        {"$ref": "#/nowhere"},
        {
            "$defs": {"A": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"]}},
            "$ref": "#/$defs/A",
        },
        False,
    ),
)
def test_gives_up_where_no_value_exists(schema):
    assert instance_of(schema) is None


def test_gives_up_on_a_schema_that_branches_without_end():
    levels = {f"L{n}": {"type": "array", "minItems": 3, "items": {"$ref": f"#/$defs/L{n + 1}"}} for n in range(40)}
    assert instance_of({"$ref": "#/$defs/L0", "$defs": {**levels, "L40": {"type": "integer"}}}) is None


LEAVES = st.one_of(
    st.builds(
        lambda low, size: {"type": "integer", "minimum": low, "maximum": low + size},
        st.integers(-9, 9),
        st.integers(0, 9),
    ),
    st.builds(
        lambda low: {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + 0.5}, st.integers(-9, 9)
    ),
    st.builds(
        lambda low, size: {"type": "string", "minLength": low, "maxLength": low + size},
        st.integers(0, 9),
        st.integers(0, 9),
    ),
    st.sampled_from(
        ({"type": "boolean"}, {"type": ["string", "null"]}, {"enum": [1, "a"]}, {"type": "string", "format": "uuid"})
    ),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda item, least: {"type": "array", "items": item, "minItems": least}, inner, st.integers(0, 3)),
        st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(
            lambda properties: {
                "type": "object",
                "properties": properties,
                "required": sorted(properties)[::2],
                "additionalProperties": False,
            },
            st.dictionaries(st.text(max_size=5), inner, max_size=4),
        ),
    ),
    max_leaves=12,
)


@given(SCHEMAS)
def test_what_is_made_is_valid(schema):
    jsonschema.Draft202012Validator(schema).validate(instance_of(schema))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("type", "properties", "required", "items", "anyOf", "allOf", "$ref", "enum", "minItems", "pattern")
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(JSON)
def test_no_schema_makes_it_fail(schema):
    instance_of(schema)
