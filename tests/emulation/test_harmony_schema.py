"""JSON Schema as TypeScript: the official text where there is one, ours where the official one says `any`."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.emulation.harmony_schema import typescript

# Made with openai-harmony 0.0.8 from generated schemas that it can express.
OFFICIAL = json.loads(
    (Path(__file__).parent.parent / "fixtures" / "harmony" / "schema_vectors.json").read_text("utf-8")
)
UPSTREAM = Path(__file__).resolve().parents[3] / "shared" / "data" / "public" / "harmony" / "upstream-test-data"

NODE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"$ref": "#/$defs/Node"}},
    "required": ["value"],
}


def property_type(schema, **beside):
    """The type of a property `p`, as it stands in an object."""
    text = typescript({"type": "object", "properties": {"p": schema}, "required": ["p"], **beside})
    assert text.startswith("{\n") and text.endswith("\n}")
    return text[2:-2].removeprefix("p: ").removesuffix(",")


@pytest.mark.parametrize("number", range(len(OFFICIAL)))
def test_what_the_library_can_say_is_said_in_its_words(number):
    assert typescript(OFFICIAL[number]["schema"]) == OFFICIAL[number]["type"]


def test_the_kitchen_sink_of_the_library_itself():
    if not UPSTREAM.is_dir():
        pytest.skip(
            "OPENAI'S HARMONY TEST DATA IS ABSENT (shared/data/public/harmony): its kitchen sink was not compared"
        )
    text = (UPSTREAM / "test_render_functions_with_parameters.txt").read_text("utf-8")
    properties = {
        "string": {"type": "string", "title": "STRING", "description": "A string", "examples": ["hello", "world"]},
        "string_nullable": {
            "type": "string", "nullable": True, "description": "A nullable string", "default": "the default",
        },
        "string_enum": {"type": "string", "enum": ["a", "b", "c"]},
        "oneof_string_or_number": {
            "oneOf": [
                {"type": "string", "default": "default_string_in_oneof"},
                {"type": "number", "description": "numbers can happen too"},
            ],
            "description": "a oneof",
            "default": 20,
        },
    }  # fmt: skip
    sink = {"type": "object", "description": "params object", "properties": properties}
    assert f"type kitchensink = (_: {typescript(sink)}) => any;" in text


@pytest.mark.parametrize(
    ("schema", "expected"),
    (
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string | null"),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, "number"),
        ({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}, "string[] | string"),
        ({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}}, "(string | number)[]"),
        ({"type": "array", "items": {"type": "string", "nullable": True}}, "(string | null)[]"),
        ({"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}, '"a" | "b"[]'),
        ({"type": "array", "prefixItems": [{"type": "string"}, {"const": 1}]}, "[string, 1]"),
        ({"type": "array", "items": [{"type": "string"}, True]}, "[string, any]"),
        ({"items": {"type": "string"}}, "string[]"),
        ({"const": "x"}, '"x"'),
        ({"const": None}, "null"),
        ({"enum": [1, "b", None, True]}, '1 | "b" | null | true'),
        ({"type": "integer", "enum": [1, 2]}, "1 | 2"),
        ({"type": "string", "enum": ["a", 5, None]}, '"a" | null'),
        ({"type": "string", "enum": ['say "hi"', "two\nlines"]}, '"say \\"hi\\"" | "two\\nlines"'),
        ({"type": "string", "enum": []}, "string"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"type": ["array", "null"], "items": {"type": "integer"}}, "number[] | null"),
        ({"type": ["object", "null"]}, "object | null"),
        ({"type": "null"}, "null"),
        ({"type": "file"}, "any"),
        ({"type": []}, "any"),
        ({}, "any"),
        (True, "any"),
        (False, "never"),
        ("junk", "any"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "{\n    [key: string]: string,\n    }"),
        ({"additionalProperties": {"type": "string"}}, "{\n    [key: string]: string,\n    }"),
        ({"type": ["object", "null"], "properties": {"a": {"type": "string"}}}, "{\n    a?: string,\n    } | null"),
        ({"properties": {"a": {"type": "string"}}}, "{\n    a?: string,\n    }"),
        (
            {"properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
            "{\n    a?: string,\n    }",
        ),
        (
            {"properties": {"a": {"type": "string"}}, "anyOf": [{"properties": {"b": {"type": "string"}}}]},
            "{\n    a?: string,\n    }",
        ),
        ({"allOf": [{"type": "string"}], "minLength": 2}, "string"),
        (
            {
                "allOf": [
                    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                    {"properties": {"b": {"type": "number"}}},
                ],
                "properties": {"c": True},
                "required": ["c"],
            },
            "{\n    a: string,\n    b?: number,\n    c: any,\n    }",
        ),
    ),
)
def test_what_the_library_cannot_say(schema, expected):
    assert property_type(schema) == expected


def test_references_are_resolved():
    definitions = {"Unit": {"type": "string", "enum": ["c", "f"], "description": "The unit"}}
    assert property_type({"$ref": "#/$defs/Unit"}, **{"$defs": definitions}) == '// The unit\np: "c" | "f"'
    described = {"allOf": [{"$ref": "#/definitions/Unit"}], "description": "Own", "default": "c"}
    assert property_type(described, definitions=definitions) == '// Own\np: "c" | "f", // default: c'
    assert property_type({"$ref": "#/$defs/Gone"}) == "any"


def test_a_schema_that_contains_itself_ends():
    text = typescript({"$ref": "#/$defs/Node", "$defs": {"Node": NODE}})
    assert text.startswith("{\nvalue: number,\n") and "same shape as Node" in text and len(text) < 300


def test_a_union_with_comments_or_objects_takes_lines_like_the_official_one():
    objects = [{"type": "string"}, {"type": "object", "properties": {"z": {"type": "string"}}}]
    official = "p:\n | string\n | {\n   z?: string,\n   }\n"
    assert property_type({"oneOf": objects}) == property_type({"anyOf": objects}) == official
    described = {"anyOf": [{"type": "string", "description": "A path"}, {"type": "null"}], "default": None}
    assert property_type(described) == "// default: null\np:\n | string // A path\n | null\n"
    assert property_type({"type": "array", "items": {"anyOf": objects}}) == (
        "(\n     | string\n     | {\n       z?: string,\n       }\n    )[]"
    )


def test_a_comment_never_swallows_what_follows():
    assert typescript({"oneOf": [{"type": "string", "description": "last"}]}).endswith("// last\n")


@pytest.mark.parametrize(
    ("schema", "expected"),
    (
        ({"type": "string", "default": "a\nb"}, 'string, // default: "a\\nb"'),
        ({"type": "object", "default": {"k": "é"}}, '{\n    }, // default: {"k":"é"}'),
        ({"type": "number", "examples": [1, "a"]}, '// Examples:\n// - 1\n// - "a"\np: number'),
    ),
)
def test_values_in_comments(schema, expected):
    assert property_type(schema) == expected


@pytest.mark.parametrize("keyword", ("anyOf", "oneOf", "allOf"))
def test_a_deep_schema_is_cut_not_followed(keyword):
    schema: dict = {"type": "string"}
    for _ in range(5000):
        schema = {keyword: [schema, {"type": "null"}]}
    assert len(typescript(schema)) < 20_000
    for _ in range(5000):
        schema = {"type": "object", "properties": {"a": schema}}
    assert len(typescript({"type": "object", "default": schema, "properties": {"a": schema}})) < 20_000


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["#", "#/$defs/a", "object"])
KEYWORDS = st.sampled_from(
    """type properties items prefixItems enum const anyOf oneOf allOf $ref $defs required default description title
    examples nullable additionalProperties a""".split()
)
JUNK = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=4), max_leaves=25
)


@settings(max_examples=200)
@given(JUNK)
def test_no_schema_raises_and_none_is_changed(schema):
    before = json.dumps(schema)
    assert isinstance(typescript(schema), str)
    assert json.dumps(schema) == before
