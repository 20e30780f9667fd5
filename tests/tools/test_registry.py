"""The registry: definitions, arguments checked, and an answer of one shape whatever happens."""

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ConfigError
from app.tools.registry import Registry
from app.tools.tool import ToolError, tool_of

RESULTS = json.loads((Path(__file__).parent.parent / "fixtures/shimmy/tool_result.json").read_text("utf-8"))


def double(value: float, times: int = 1) -> float:
    """Double a number."""
    return value * 2**times


def fail(how: str):
    """Fail."""
    if how == "politely":
        raise ToolError("cannot do that")
    if how == "exit":
        raise SystemExit(3)
    if how == "oddly":
        return object()
    raise KeyError(how)


REGISTRY = Registry([tool_of(double), tool_of(fail)])


def test_definitions_in_their_order():
    assert [each["name"] for each in REGISTRY.definitions()] == ["double", "fail"]
    assert REGISTRY.openai_tools()[0] == {"type": "function", "function": REGISTRY.definitions()[0]}


@pytest.mark.parametrize("arguments", [{"value": 2}, '{"value": 2}', {"value": 2.0, "times": 1}])
def test_a_result(arguments):
    assert REGISTRY.execute("double", arguments) == RESULTS[0]


def test_an_unknown_tool():
    assert REGISTRY.execute("x", {}) == RESULTS[1]


@pytest.mark.parametrize(("arguments", "error"), [
    ({}, "Arguments: 'value' is a required property"),
    (None, "Arguments: 'value' is a required property"),
    ("", "Arguments: 'value' is a required property"),
    ({"value": "2"}, "Argument 'value': '2' is not of type 'number'"),
    ({"value": 2, "time": 1}, "Unknown argument 'time'; the arguments of double are: value, times"),
    ({"value": 2, "times": 1.5}, "Argument 'times': 1.5 is not of type 'integer'"),
    ("{", "The arguments are not JSON"),
    ("[1]", "The arguments must be a JSON object"),
    ([1], "The arguments must be a JSON object"),
    ("\ud83d", "The arguments are not JSON"),
])
def test_arguments_that_do_not_fit(arguments, error):
    assert REGISTRY.execute("double", arguments) == {"success": False, "result": None, "error": error}


@pytest.mark.parametrize(("how", "error", "logged"), [
    ("politely", "cannot do that", False),
    ("exit", "SystemExit: 3", True),
    ("badly", "KeyError: 'badly'", True),
    ("oddly", "TypeError: Object of type object is not JSON serializable", True),
])
def test_a_tool_that_fails_is_an_answer_too(how, error, logged, caplog):
    with caplog.at_level(logging.WARNING, "gateway"):
        assert REGISTRY.execute("fail", {"how": how}) == {"success": False, "result": None, "error": error}
    assert ("tool fail failed" in caplog.text) is logged


def test_a_long_argument_is_not_repeated_at_length():
    assert len(REGISTRY.execute("double", {"value": "x" * 100_000})["error"]) < 400


def test_two_tools_of_one_name():
    with pytest.raises(ConfigError, match="two tools called 'double'"):
        Registry([tool_of(double), tool_of(double)])


@given(st.text() | st.dictionaries(st.text(max_size=5), st.none() | st.text() | st.integers() | st.lists(st.integers())))
def test_no_arguments_are_too_odd(arguments):
    answer = REGISTRY.execute("double", arguments)
    assert set(answer) == {"success", "result", "error"}
    assert answer["success"] is (answer["error"] is None)
