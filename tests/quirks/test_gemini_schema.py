import copy
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.quirks.gemini_schema import PLACEHOLDER, Subset, Work, plain_parameters, plain_schema
from app.utils.schema import inline_refs
from tests.quirks.strict_gemini import schema_refusals

STRING = {"type": "string"}


def plain(schema: object, **subset) -> dict:
    return plain_schema(inline_refs(schema), Subset(**subset), Work())


@pytest.mark.parametrize(
    ("schema", "expected"),
    (
        ({"type": "string", "$schema": "x", "$id": "y", "$comment": "z", "title": "T"}, STRING),
        ({"type": "string", "default": "a", "description": "d"}, {"type": "string", "description": 'd (default: "a")'}),
        ({"type": "string", "strict": True, "x-vendor": 1, "deprecated": True, "readOnly": True}, STRING),
        # exclusive bounds
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
        ({"type": "integer", "exclusiveMaximum": 10, "maximum": 7}, {"type": "integer", "maximum": 7}),
        ({"type": "integer", "exclusiveMinimum": 0.5}, {"type": "integer", "minimum": 1}),
        ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "minimum": 0, "description": "(more than 0)"}),
        ({"type": "number", "exclusiveMaximum": 1}, {"type": "number", "maximum": 1, "description": "(less than 1)"}),
        ({"type": "integer", "minimum": 3, "exclusiveMinimum": True}, {"type": "integer", "minimum": 4}),  # draft 4
        ({"type": "integer", "minimum": -(2**53) + 1, "exclusiveMinimum": 0, "maximum": 2**53 - 1},
         {"type": "integer", "minimum": 1}),  # OpenCode's bash.timeout
        ({"type": "string", "minimum": 1}, STRING),
        # const and enum
        ({"const": "x"}, {"type": "string", "enum": ["x"]}),
        ({"const": 3}, {"type": "integer", "description": "(one of: 3)"}),
        ({"const": None}, {"type": "string", "nullable": True}),
        ({"enum": ["a", "b", "a", ""]}, {"type": "string", "enum": ["a", "b"], "description": '(or: [""])'}),
        ({"enum": ["a", None]}, {"type": "string", "enum": ["a"], "nullable": True}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer", "description": "(one of: 1, 2)"}),
        ({"enum": [True, False]}, {"type": "boolean", "description": "(one of: true, false)"}),
        ({"enum": "junk"}, STRING),
        # texts
        ({"type": "string", "pattern": "^a", "minLength": 1},
         {"type": "string", "description": '(pattern: "^a"; minLength: 1)'}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "string", "format": "uri"}, {"type": "string", "description": "(format: uri)"}),
        # types
        ({}, STRING),
        (True, STRING),
        ("integer", {"type": "integer"}),
        ({"type": "STRING"}, STRING),
        ({"type": "null"}, {"type": "string", "nullable": True}),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string", "integer"], "minimum": 2}, {"anyOf": [STRING, {"type": "integer", "minimum": 2}]}),
        ({"description": "d"}, {"type": "string", "description": "d"}),
        ({"properties": {"a": STRING}}, {"type": "object", "properties": {"a": STRING}}),
        ({"items": STRING}, {"type": "array", "items": STRING}),
        # arrays
        ({"type": "array"}, {"type": "array", "items": STRING}),
        ({"type": "array", "items": True, "uniqueItems": True},
         {"type": "array", "items": STRING, "description": "(unique items)"}),
        ({"type": "array", "prefixItems": [STRING, {"type": "integer"}]},
         {"type": "array", "items": {"anyOf": [STRING, {"type": "integer"}]}}),
        ({"type": "array", "items": [STRING, STRING]}, {"type": "array", "items": STRING}),
        # objects
        ({"type": "object"}, {"type": "object", "properties": PLACEHOLDER}),
        ({"type": "object", "properties": {"a": STRING, "b": False}, "required": ["a", "b", "a", 1]},
         {"type": "object", "properties": {"a": STRING}, "required": ["a"]}),
        ({"type": "object", "properties": {"a": STRING}, "additionalProperties": False, "required": ["z"]},
         {"type": "object", "properties": {"a": STRING}}),
        # unions
        ({"anyOf": [STRING, {"type": "null"}], "description": "d"},
         {"type": "string", "nullable": True, "description": "d"}),
        ({"oneOf": [STRING, {"type": "array", "items": STRING}]},
         {"anyOf": [STRING, {"type": "array", "items": STRING}]}),
        ({"oneOf": [{"const": "a", "description": "x"}, {"const": "b"}]},
         {"type": "string", "enum": ["a", "b"], "description": "a: x"}),
        ({"anyOf": [{"anyOf": [STRING, {"type": "integer"}]}, {"type": "boolean"}]},
         {"anyOf": [STRING, {"type": "integer"}, {"type": "boolean"}]}),
        ({"type": "object", "properties": {"a": STRING}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
         {"type": "object", "properties": {"a": STRING}}),
        ({"type": "object", "properties": {"a": STRING},
         "anyOf": [{"properties": {"b": STRING}}, {"properties": {"c": STRING}}]},
         {"anyOf": [{"type": "object", "properties": {"a": STRING, "b": STRING}},
                    {"type": "object", "properties": {"a": STRING, "c": STRING}}]}),
        ({"anyOf": []}, STRING),
        ({"not": {"type": "string"}, "if": {}, "then": {}, "else": {}}, STRING),
        # allOf
        ({"allOf": [{"properties": {"a": STRING}, "required": ["a"]},
         {"properties": {"b": STRING}, "required": ["b"]}]},
         {"type": "object", "properties": {"a": STRING, "b": STRING}, "required": ["b", "a"]}),
        ({"allOf": [{"type": "string", "description": "inner"}], "description": "outer"},
         {"type": "string", "description": "outer"}),
    ),
)  # fmt: skip
def test_each_keyword_is_rewritten(schema, expected):
    before = copy.deepcopy(schema)
    found = plain(schema)
    if expected.get("required"):
        assert sorted(found.pop("required")) == sorted(expected["required"])
        expected = {keyword: value for keyword, value in expected.items() if keyword != "required"}
    assert found == expected
    assert schema == before


NAMES = ["pattern", "format", "title", "default", "properties", "items", "$ref", "enum", "type", "const", "required",
         "anyOf", "additionalProperties", "$defs", "minimum", "description", "nullable", "strict"]  # fmt: skip


def test_a_parameter_may_bear_the_name_of_any_keyword():
    schema = {
        "type": "object",
        "properties": {name: {"type": "string", "title": "x"} for name in NAMES},
        "required": NAMES,
    }
    assert plain(schema) == {"type": "object", "properties": {name: STRING for name in NAMES}, "required": NAMES}


@pytest.mark.parametrize(
    ("options", "schema", "expected"),
    (
        ({"keep": frozenset({"pattern"})}, {"type": "string", "pattern": "a"}, {"type": "string", "pattern": "a"}),
        ({"keep": frozenset({"default"})}, {"type": "string", "default": "a"}, {"type": "string", "default": "a"}),
        ({"unions": "first"}, {"type": ["string", "integer"]}, {"type": "string", "description": "(or: integer)"}),
        ({"empty_object": "string"}, {"type": "object", "description": "d"}, {"type": "string", "description": "d"}),
        ({"empty_object": "keep"}, {"type": "object"}, {"type": "object", "properties": {}}),
        (
            {"drop": frozenset({"minimum", "nullable"})},
            {"type": ["integer", "null"], "minimum": 1},
            {"type": "integer"},
        ),
    ),
)
def test_what_an_upstream_takes_can_be_set(options, schema, expected):
    assert plain(schema, **options) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    (
        ({"type": "object", "properties": {}}, None),
        ({"type": "object"}, None),
        ({"type": "string"}, None),
        (None, None),
        ({"properties": {"a": True}}, {"type": "object", "properties": {"a": STRING}}),
        (
            {"anyOf": [{"properties": {"a": STRING, "k": STRING}, "required": ["a", "k"]},
                       {"properties": {"b": STRING, "k": STRING}, "required": ["k"]}]},
            {"type": "object", "properties": {"a": STRING, "k": STRING, "b": STRING}, "required": ["k"]},
        ),
    ),
)  # fmt: skip
def test_parameters_are_one_object_or_left_out(schema, expected):
    assert plain_parameters(inline_refs(schema), Subset(), Work()) == expected


def test_the_changes_are_told_with_their_place():
    work = Work()
    schema = {"type": "object", "$schema": "x", "properties": {"n": {"type": "integer", "exclusiveMinimum": 0}}}
    plain_schema(schema, Subset(), work)
    assert work.changes == ["properties.n.exclusiveMinimum", "$schema"]


def test_unions_that_multiply_end_early():
    schema: dict = STRING
    for level in range(14):
        variants = [{"properties": {f"v{level}{n}": STRING}} for n in range(8)]
        schema = {"type": "object", "properties": {"x": schema}, "anyOf": variants}
    started = time.perf_counter()
    plain(schema)
    assert time.perf_counter() - started < 2


KEYWORDS = st.sampled_from(
    NAMES + ["oneOf", "allOf", "exclusiveMinimum", "maximum", "prefixItems", "not", "uniqueItems"]
)
TYPE_NAMES = st.sampled_from(["string", "integer", "number", "boolean", "object", "array", "null", "any", "File"])


def schemas(inner: st.SearchStrategy) -> st.SearchStrategy:
    named = st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    listed = st.lists(inner, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPE_NAMES | st.lists(TYPE_NAMES, max_size=3),
            "properties": named,
            "required": st.lists(st.sampled_from(NAMES), max_size=2),
            "items": inner | listed,
            "prefixItems": listed,
            "anyOf": listed,
            "oneOf": listed,
            "allOf": listed,
            "enum": st.lists(st.none() | st.booleans() | st.integers() | st.text(max_size=2), max_size=3),
            "const": st.none() | st.integers() | st.text(max_size=2) | st.just({"a": 1}),
            "minimum": st.integers() | st.floats() | st.text(max_size=1),
            "exclusiveMinimum": st.integers() | st.floats() | st.booleans(),
            "exclusiveMaximum": st.integers() | st.floats() | st.booleans(),
            "format": st.sampled_from(["date-time", "uri", "int32", 3]),
            "default": st.none() | st.integers(),
            "description": st.text(max_size=3) | st.none(),
            "nullable": st.booleans(),
            "additionalProperties": st.booleans() | inner,
            "$ref": st.sampled_from(["#", "#/properties/type", "#/items", "#/$defs/a", "nowhere"]),
            "$defs": st.fixed_dictionaries({"a": inner}),
            "not": inner,
        },
    )


JUNK = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just([])
SCHEMAS = st.recursive(JUNK | schemas(JUNK), schemas, max_leaves=12)


@settings(max_examples=300, deadline=None)
@given(SCHEMAS)
def test_whatever_comes_is_taken_by_strict_gemini_and_once_is_enough(schema):
    once = plain(schema)
    assert schema_refusals(once, "") == []
    assert plain(once) == once
