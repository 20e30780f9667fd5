"""Arguments against the schema of their tool."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.emulation.tool_schema import (
    CONVERTED,
    EMPTIED,
    RENAMED,
    UNKNOWN,
    WRAPPED,
    Fitted,
    _parameters,
    fit_arguments,
)
from tests.emulation.tools import TOOLS, tool

BASH, READ, WRITE, NONE = (declared["function"]["parameters"] for declared in TOOLS)
PATHS = tool("x", ["paths"], paths={"type": "array", "items": {"type": "string"}})["function"]["parameters"]
ONE = tool("x", q="string")["function"]["parameters"]
CLOSED = {**READ, "additionalProperties": False}

FITTED = (
    ({"command": "ls"}, BASH, {"command": "ls"}, ()),
    ("ls -la", BASH, {"command": "ls -la"}, (WRAPPED,)),
    (5, BASH, {"command": "5"}, (WRAPPED, CONVERTED)),
    (["ls"], BASH, {"command": "ls"}, (WRAPPED, CONVERTED)),
    (["a", "b"], PATHS, {"paths": ["a", "b"]}, (WRAPPED,)),
    ("a", PATHS, {"paths": ["a"]}, (WRAPPED, CONVERTED)),
    ("what", ONE, {"q": "what"}, (WRAPPED,)),
    ([{"command": "ls"}], BASH, {"command": "ls"}, ()),
    ('{"command": "ls"}', BASH, {"command": "ls"}, ()),
    ('"{\\"command\\": \\"ls\\"}"', BASH, {"command": "ls"}, ()),
    ("{'command': 'ls',}", BASH, {"command": "ls"}, ()),
    ('{"a": 1}', BASH, {"command": '{"a": 1}'}, (WRAPPED,)),
    ({"command": "ls", "timeout": "5"}, BASH, {"command": "ls", "timeout": 5}, (CONVERTED,)),
    ({"command": "ls", "timeout": None}, BASH, {"command": "ls"}, (EMPTIED,)),
    ({"file_path": "a"}, READ, {"filePath": "a"}, (RENAMED,)),
    ({"FilePath": "a", "filePath": "b"}, READ, {"FilePath": "a", "filePath": "b"}, (UNKNOWN,)),
    ({"filePath": "a", "why": "x"}, CLOSED, {"filePath": "a", "why": "x"}, (UNKNOWN,)),
    (None, NONE, {}, ()),
    ("", NONE, {}, ()),
    ("{}", NONE, {}, ()),
    ({"a": 1}, None, {"a": 1}, ()),
    ({"a": 1}, {}, {"a": 1}, ()),
    ({"a": 1}, {"type": "object"}, {"a": 1}, ()),
)


@pytest.mark.parametrize(("value", "schema", "arguments", "notes"), FITTED)
def test_arguments_are_made_to_fit(value, schema, arguments, notes):
    assert fit_arguments(value, schema) == Fitted(arguments, None, notes)


PROBLEMS = (
    ({}, READ, {}, "missing: filePath"),
    (None, WRITE, {}, "missing: filePath, content"),
    ({"filePath": None}, READ, {"filePath": None}, "filePath must be string, not null"),
    ("a.txt", WRITE, {}, 'the arguments must be an object, not "a.txt"'),
    ("x" * 500, NONE, {}, f'the arguments must be an object, not "{"x" * 56}...'),
    ([1, 2], None, {}, "the arguments must be an object, not [1,2]"),
    ({"filePath": "a", "limit": "all"}, READ, {"filePath": "a", "limit": "all"}, 'limit must be number, not "all"'),
)


@pytest.mark.parametrize(("value", "schema", "arguments", "problem"), PROBLEMS)
def test_what_is_missing_or_wrong_is_told_and_not_invented(value, schema, arguments, problem):
    found = fit_arguments(value, schema)
    assert (found.arguments, found.problem) == (arguments, problem)


NESTED = tool(
    "todo",
    ["todos"],
    todos={
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"text": {"type": "string"}, "state": {"type": "string", "enum": ["open", "done"]}},
            "required": ["text"],
        },
    },
)["function"]["parameters"]


def test_nested_values_are_converted_and_checked():
    assert fit_arguments({"todos": '[{"text": 5, "state": "DONE"}]'}, NESTED).arguments == {
        "todos": [{"text": "5", "state": "done"}]
    }
    found = fit_arguments({"todos": [{"text": "a"}, {"state": "new"}]}, NESTED)
    assert found.problem == 'missing: todos[1].text; todos[1].state must be one of "open", "done", not "new"'


COUNT, NOTE = ("count", {"n": {"type": "integer"}}), ("note", {"n": {"type": "string"}, "more": {"type": "string"}})
ACTION = {
    "oneOf": [
        {
            "type": "object",
            "properties": {"kind": {"const": kind}, **properties},
            "required": ["kind", *properties],
            "additionalProperties": False,
        }
        for kind, properties in (COUNT, NOTE)
    ]
}
VARIANTS = (
    ({"kind": "count", "n": 1}, {"kind": "count", "n": 1}, None),
    ({"kind": "count", "n": "1"}, {"kind": "count", "n": 1}, None),
    ({"kind": "note", "n": "1", "more": "x"}, {"kind": "note", "n": "1", "more": "x"}, None),
    ({"kind": "note", "n": 1, "more": "x"}, {"kind": "note", "n": "1", "more": "x"}, None),
    ('{"kind": "note", "n": "1", "more": "x"}', {"kind": "note", "n": "1", "more": "x"}, None),
    ({"kind": "note", "n": "x"}, {"kind": "note", "n": "x"}, "missing: action.more"),
    ({"kind": "none", "n": 1}, {"kind": "none", "n": 1}, 'action.kind must be one of "count", not "none"'),
)


@pytest.mark.parametrize(("value", "arguments", "problem"), VARIANTS)
def test_values_are_those_of_the_variant_that_they_are_meant_for(value, arguments, problem):
    found = fit_arguments({"action": value}, {"properties": {"action": ACTION}})
    assert found.arguments == {"action": arguments} and found.problem == problem
    if isinstance(value, dict):
        assert fit_arguments(value, ACTION)[:2] == (arguments, problem and problem.replace("action.", ""))


def test_variants_that_only_their_own_names_tell_apart_do_not_exclude_each_other():
    closed = [{"properties": dict.fromkeys(names, {}), "additionalProperties": False} for names in ("a", "ab")]
    assert fit_arguments({"x": {"a": 1, "b": 2}}, {"properties": {"x": {"oneOf": closed, "minProperties": 1}}}).problem is None


HARD = (
    ({"properties": {"n": {"type": "integer", "minimum": 1}}}, {"n": 0}, "n must satisfy minimum: 1"),
    ({"properties": {"n": {"type": "integer", "minimum": 1}}}, {"n": 1}, None),
    ({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"c": 1}, "missing: a"),
    ({"properties": {"n": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"const": 1}}}, {"n": 2}, "n must be one of 1, not 2"),
    ({"not": {"required": ["a"]}, "additionalProperties": False}, {"b": 1}, None),
    ({"properties": {"a": {"type": "string", "pattern": "(a+)+$", "maxLength": 99}}}, {"a": "a" * 60 + "b"}, None),
    ({"$schema": "http://json-schema.org/draft-04/schema#", "not": {"required": ["a"]}}, {"a": 1}, "the arguments must"),
)


@pytest.mark.parametrize(("schema", "value", "problem"), HARD)
def test_other_keywords_are_checked_by_a_validator(schema, value, problem):
    found = fit_arguments(value, schema).problem
    assert found is None if problem is None else found.startswith(problem)


@pytest.mark.parametrize(
    "schema",
    (
        {"type": "object", "minProperties": "many"},
        {"properties": {"a": {"$ref": "#/nowhere"}}},
        {"properties": {"a": {"$ref": "http://127.0.0.1:1/schema.json"}}},
        {"properties": "junk", "required": "junk", "not": 5},
        {"not": {"type": "file"}},
        {"$ref": "#"},
        {"$schema": "http://127.0.0.1:1/draft", "minProperties": 0},
    ),
)
def test_a_broken_schema_means_no_check(schema):
    assert fit_arguments({"a": 1}, schema) == Fitted({"a": 1})


def test_the_schema_is_read_once_and_the_cache_is_bounded():
    _parameters.cache_clear()
    for _ in range(3):
        fit_arguments({"filePath": "a"}, json.loads(json.dumps(READ)))
    assert _parameters.cache_info()[:2] == (2, 1)
    assert _parameters.cache_info().maxsize


def test_the_value_given_is_left_alone():
    value = {"command": 5, "timeout": None}
    fit_arguments(value, BASH)
    assert value == {"command": 5, "timeout": None}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=6) | st.just("{"),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(("command", "filePath", "file_path", "a", "\ud800")), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES, st.sampled_from((BASH, READ, WRITE, NONE, NESTED, PATHS, None)))
def test_any_value_is_fitted_and_what_fits_stays(value, schema):
    found = fit_arguments(value, schema)
    assert isinstance(found.arguments, dict)
    again = fit_arguments(found.arguments, schema)
    assert repr(again.arguments) == repr(found.arguments)
    assert not found.arguments or again.problem == found.problem
