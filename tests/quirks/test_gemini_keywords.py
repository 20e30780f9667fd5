import math

import pytest

from app.quirks.gemini_keywords import (
    bounds,
    describe,
    in_words,
    infer_type,
    plain_enum,
    plain_format,
    read_types,
    relevant,
)


@pytest.mark.parametrize(
    ("schema", "expected"),
    (
        ({"type": "Integer"}, ["integer"]),
        ({"type": ["str", "null", "STRING"]}, ["string", "null"]),
        ({"type": "File"}, []),
        ({"type": {"odd": 1}}, []),
        ({}, []),
    ),
)
def test_types_are_read_in_any_spelling(schema, expected):
    assert read_types(schema) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    (
        ({"type": ["null", "integer"]}, ("integer", True)),
        ({"required": ["a"]}, ("object", False)),
        ({"minItems": 1}, ("array", False)),
        ({"enum": [1, 2.5]}, ("number", False)),
        ({"enum": [True, 1]}, ("string", False)),
        ({"minimum": 1}, ("number", False)),
        ({"pattern": "x"}, ("string", False)),
    ),
)
def test_a_missing_type_is_inferred(schema, expected):
    assert infer_type(schema) == expected


@pytest.mark.parametrize(
    ("schema", "kind", "expected"),
    (
        ({"minimum": math.nan, "maximum": math.inf}, "number", {}),
        ({"minimum": True, "maximum": "9"}, "integer", {}),
        ({"exclusiveMaximum": 10}, "integer", {"maximum": 9}),
        ({"exclusiveMinimum": 5, "minimum": 9}, "integer", {"minimum": 9}),
        ({"exclusiveMinimum": True}, "integer", {}),
        ({"exclusiveMinimum": False, "minimum": 2}, "integer", {"minimum": 2}),
        ({"maximum": 600000}, "string", {}),
    ),
)
def test_bounds(schema, kind, expected):
    assert bounds(schema, kind, []) == expected


def test_a_long_enum_of_numbers_stays_short_in_words():
    keyword, hints = plain_enum({"enum": list(range(100_000))}, "integer")
    assert keyword == {} and len(hints[0]) <= 1000


def test_formats_of_numbers():
    hints: list[str] = []
    assert plain_format({"format": "int64"}, "integer", hints) == {"format": "int64"}
    assert plain_format({"format": "int64"}, "string", hints) == {}
    assert hints == ["format: int64"]


def test_one_of_several_types_gets_what_concerns_it():
    schema = {"type": ["string", "array"], "enum": ["a", 1], "items": {"type": "string"}, "maximum": 3}
    assert relevant(schema, "string") == {"type": "string", "enum": ["a"]}
    assert relevant(schema, "array") == {"type": "array", "items": {"type": "string"}}


def test_words():
    assert describe({"description": "d"}, ["a", "b"]) == "d (a; b)"
    assert describe({"description": 7}, []) == ""
    assert in_words({1: {2}}) == "dict"
    assert in_words("ü" * 500) == '"' + "ü" * 119
