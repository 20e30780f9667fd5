"""Functions read as tools: every annotation that has a schema, every one that has none."""

import enum
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Optional

import pytest
from jsonschema import Draft202012Validator

from app.errors import ConfigError
from app.tools.tool import tool_of


class Colour(enum.Enum):
    RED = "red"


def schema_of(hint):
    def tool(value):
        """A tool."""

    tool.__annotations__ = {"value": hint}
    return tool_of(tool).parameters["properties"]["value"]


@pytest.mark.parametrize(("hint", "schema"), [
    (str, {"type": "string"}),
    (int, {"type": "integer"}),
    (float, {"type": "number"}),
    (bool, {"type": "boolean"}),
    (Any, {}),
    (list, {"type": "array"}),
    (dict, {"type": "object"}),
    (list[int], {"type": "array", "items": {"type": "integer"}}),
    (Sequence[str], {"type": "array", "items": {"type": "string"}}),
    (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
    (Mapping[str, Any], {"type": "object", "additionalProperties": {}}),
    (Literal["a", 1], {"enum": ["a", 1]}),
    (str | None, {"type": ["string", "null"]}),
    (Optional[int], {"type": ["integer", "null"]}),  # noqa: UP045 - people write it
    (list[int] | str, {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "string"}]}),
    (Annotated[str, "What it is"], {"type": "string", "description": "What it is"}),
    (Annotated[list[int], ["unhashable"], "Numbers"],
     {"type": "array", "items": {"type": "integer"}, "description": "Numbers"}),
    ("list[str]", {"type": "array", "items": {"type": "string"}}),
])
def test_annotations_become_schemas(hint, schema):
    found = schema_of(hint)
    assert found == schema
    Draft202012Validator.check_schema(found)


@pytest.mark.parametrize(("hint", "why"), [
    (bytes, "no JSON schema"), (set[int], "no JSON schema"), (dict[int, str], "no JSON schema"), (Colour, "Literal"),
    (tuple[int, str], "no JSON schema"), ("Nowhere", "cannot be read"), (list[bytes], "no JSON schema"),
])
def test_annotations_without_a_schema_are_refused(hint, why):
    with pytest.raises(ConfigError, match=why):
        schema_of(hint)


def greet(name: Annotated[str, "Who is greeted"], times: int = 1, *, loud: bool | None = None, tag: str = "x"):
    """Greet somebody,
    kindly.

    More that is not told.

    Args:
        times (int): How often.
        loud: Shouted or not.

    Returns:
        tag: not an argument.
    """


def test_a_whole_tool():
    tool = tool_of(greet)
    assert tool.definition == {
        "name": "greet",
        "description": "Greet somebody, kindly.",
        "parameters": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "Who is greeted"},
                "times": {"type": "integer", "description": "How often.", "default": 1},
                "loud": {"type": ["boolean", "null"], "description": "Shouted or not."},
                "tag": {"type": "string", "default": "x"},
            },
            "required": ["name"],
        },
    }
    assert tool.openai == {"type": "function", "function": tool.definition}
    Draft202012Validator.check_schema(tool.parameters)


def undescribed(a: int): ...


def unannotated(a):
    """A."""


def many(*a: int):
    """A."""


def keywords(**a: int):
    """A."""


def by_place(a: int, /):
    """A."""


async def asynchronous():
    """A."""


@pytest.mark.parametrize(("function", "why"), [
    (undescribed, "no docstring"), (unannotated, "no type annotation"), (many, "by its name"),
    (keywords, "by its name"), (by_place, "by its name"), (asynchronous, "async"), (lambda: 0, "a name has"),
])
def test_functions_that_are_no_tools(function, why):
    with pytest.raises(ConfigError, match=why):
        tool_of(function)
