"""Values into the types that a schema asks for."""

import pytest

from app.emulation.argument_types import convert, is_type, read_shape

CONVERSIONS = (
    ({"type": "integer"}, "5", 5),
    ({"type": "integer"}, "5.0", 5),
    ({"type": "integer"}, " -7 ", -7),
    ({"type": "integer"}, 1.0, 1),
    ({"type": "integer"}, 1.5, 1.5),
    ({"type": "integer"}, "5 lines", "5 lines"),
    ({"type": "integer"}, "9" * 40, 10**40 - 1),
    ({"type": "integer"}, "1e40", "1e40"),
    ({"type": "integer"}, True, True),
    ({"type": "number"}, "1.5e3", 1500.0),
    ({"type": "number"}, 1.0, 1.0),
    ({"type": "number"}, "1e999", "1e999"),
    ({"type": "number"}, "nan", "nan"),
    ({"type": "boolean"}, "True", True),
    ({"type": "boolean"}, "false", False),
    ({"type": "boolean"}, "yes", "yes"),
    ({"type": "boolean"}, 1, 1),
    ({"type": "string"}, 5, "5"),
    ({"type": "string"}, True, "true"),
    ({"type": "string"}, {"a": 1}, '{\n  "a": 1\n}'),
    ({"type": "string"}, ["a"], "a"),
    ({"type": "string"}, ["a", "b"], ["a", "b"]),
    ({"type": "string"}, "5", "5"),
    ({"type": "string"}, None, None),
    ({"type": "array"}, "[1, 2]", [1, 2]),
    ({"type": "array"}, "a", ["a"]),
    ({"type": "array"}, {"a": 1}, [{"a": 1}]),
    ({"type": "array"}, None, None),
    ({"type": "array", "items": {"type": "integer"}}, ["1", 2.0], [1, 2]),
    ({"type": "array", "items": {"type": "integer"}}, "3", [3]),
    ({"type": "object"}, "{'a': True}", {"a": True}),
    ({"type": "object"}, '{"a": ', '{"a": '),
    ({"type": "object", "properties": {"n": {"type": "integer"}}}, '{"n": "1", "m": "2"}', {"n": 1, "m": "2"}),
    ({"type": ["integer", "null"]}, "None", None),
    ({"type": ["integer", "null"]}, "3", 3),
    ({"type": ["string", "integer"]}, 5, 5),
    ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "3", 3),
    ({"anyOf": [{"type": "integer"}, {}]}, "3", "3"),
    ({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]}, "3", "3"),
    ({"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]}, "[\"3\"]", [3]),
    ({"allOf": [{"type": "integer"}, {"minimum": 1}]}, "3", 3),
    ({"allOf": [{"$ref": "#/$defs/n"}], "description": "x", "$defs": {"n": {"enum": [1, 2]}}}, "2", 2),
    ({"type": "object", "allOf": [{"properties": {"n": {"type": "integer"}}}]}, {"n": "1"}, {"n": 1}),
    ({"additionalProperties": {"type": "string"}}, {"PORT": 8080}, {"PORT": "8080"}),
    ({"properties": {"n": {}}, "additionalProperties": {"type": "integer"}}, {"n": "1", "m": "1"}, {"n": "1", "m": 1}),
    ({"enum": [1, 2]}, "2", 2),
    ({"enum": ["1", "2"]}, 2, "2"),
    ({"const": True}, "true", True),
    ({"enum": ["1", 1]}, True, True),
    ({"enum": ["true", 1]}, True, "true"),
    ({"const": 1}, "2", "2"),
    ({"enum": ["Content", "Files"]}, "content", "Content"),
    ({"type": "string", "enum": ["a", "A"]}, " a", " a"),
    ({"type": "integer", "enum": [1, 2]}, "2", 2),
    ({"type": "integer", "enum": [1, 2]}, "3", "3"),
    ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, "3", 3),
    ({"type": "string", "nullable": True}, None, None),
    ({}, "3", "3"),
    (True, "3", "3"),
)


@pytest.mark.parametrize(("schema", "value", "expected"), CONVERSIONS)
def test_types_are_converted_where_that_is_no_guess(schema, value, expected):
    found = convert(value, read_shape(schema, schema))
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "names"),
    (
        (1, {"integer", "number"}),
        (1.0, {"integer", "number"}),
        (1.5, {"number"}),
        (float("inf"), {"number"}),
        (True, {"boolean"}),
        ("", {"string"}),
        (None, {"null"}),
        ([], {"array"}),
        ({}, {"object"}),
    ),
)
def test_types_are_those_of_json_schema(value, names):
    known = ("integer", "number", "boolean", "string", "null", "array", "object")
    assert {name for name in known if is_type(value, name)} == names
    assert is_type(value, "anything else")


@pytest.mark.parametrize(
    ("schema", "plain"),
    (
        ({"type": "object", "properties": {"a": {"type": "string", "description": "x"}}, "required": ["a"]}, True),
        ({"type": "object", "additionalProperties": False}, True),
        ({"type": "object", "additionalProperties": {"type": "string"}}, False),
        ({"properties": {"a": {"minimum": 1}}}, False),
        ({"items": {"const": 1}}, False),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
        ({"anyOf": [{"type": "string"}, {"properties": {"a": {}}}]}, False),
        ({"$ref": "#"}, False),
    ),
)
def test_only_plain_schemas_need_no_validator(schema, plain):
    assert read_shape(schema, schema).plain == plain
