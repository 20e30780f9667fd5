"""Names, and calls in values."""

import pytest

from app.emulation.declared_tools import NOTHING, DeclaredTools, Written
from tests.emulation.tools import TOOLS, tool

DECLARED = DeclaredTools(TOOLS)


@pytest.mark.parametrize(
    ("name", "found"),
    (
        ("bash", "bash"),
        ("BASH", "bash"),
        (" bash ", "bash"),
        ("functions.bash", "bash"),
        ("default_api.Bash", "bash"),
        ("todo_read", "Todo_Read"),
        ("sh", None),
        ("", None),
        (None, None),
        (["bash"], None),
    ),
)
def test_names_are_found_whatever_their_case_and_prefix(name, found):
    assert DECLARED.find(name) == found


def test_names_that_differ_in_case_alone_are_told_apart():
    declared = DeclaredTools([tool("Read"), tool("read")])
    assert (declared.find("Read"), declared.find("read"), declared.find("READ")) == ("Read", "read", None)


def test_junk_among_the_tools_is_passed_over():
    assert DeclaredTools([{}, {"function": {}}, {"function": {"name": 5}}, *TOOLS]).find("bash") == "bash"


@pytest.mark.parametrize(("text", "begins"), (("", True), ("ba", True), ("BASH", True), ("functions.r", True), ("x", False)))
def test_the_beginning_of_a_name_is_known(text, begins):
    assert DECLARED.begins(text) == begins
    assert not DECLARED.begins("bash.x", ".call") and DECLARED.begins("bash.c", ".call")


LS = {"command": "ls"}

READ_FROM = (
    ({"name": "bash", "arguments": LS}, [("bash", LS)]),
    ({"tool": "bash", "parameters": LS}, [("bash", LS)]),
    ({"tool_name": "bash", "args": LS}, [("bash", LS)]),
    ({"function": "bash", "tool_input": LS}, [("bash", LS)]),
    ({"type": "function", "name": "bash", "input": "ls"}, [("bash", "ls")]),
    ({"type": "function", "function": {"name": "bash", "arguments": LS}}, [("bash", LS)]),
    ({"function": {"name": "bash"}, "arguments": LS}, [("bash", LS)]),
    ({"name": "bash", "arguments": {}}, [("bash", {})]),
    ({"name": "bash", "arguments": None}, [("bash", None)]),
    ([{"name": "a", "args": 1}, {"name": "b", "args": 2}], [("a", 1), ("b", 2)]),
    ({"tool_calls": [{"name": "a", "args": 1}]}, [("a", 1)]),
    ({"tool_call": {"name": "a", "args": 1}}, [("a", 1)]),
    ({"name": "bash", "command": "ls"}, [("bash", LS)]),
    ({"tool": "skill", "name": "x"}, [("skill", {"name": "x"})]),
    ({"bash": LS}, [("bash", LS)]),
    ({"sh": LS}, [("", NOTHING)]),
    ({"name": "bash"}, [("bash", NOTHING)]),
    ({"name": 5}, [("", NOTHING)]),
    ("bash", [("", NOTHING)]),
    ([], []),
)


@pytest.mark.parametrize(("value", "expected"), READ_FROM)
def test_calls_are_found_under_the_names_that_models_use(value, expected):
    declared = DeclaredTools([*TOOLS, tool("skill", ["name"], name="string")])
    assert [(call.name, call.arguments) for call in declared.read(value)] == expected


def test_what_is_nested_without_end_is_left():
    value: object = {"name": "bash", "args": 1}
    for _ in range(50):
        value = [value]
    assert list(DECLARED.read(value)) == []


def test_a_call_is_made_of_a_declared_name_only():
    assert DECLARED.make(Written("sh", {}, {}), "raw") is None
    call = DECLARED.make(Written("functions.bash", "ls", {}), "raw", ("closed",), None)
    assert call is not None
    assert call == ("bash", '{"command":"ls"}', None, ("closed", "name corrected", "bare value wrapped"), "raw")
    cut = DECLARED.make(Written("bash", {}, {}), "", (), "the call was cut off")
    assert cut is not None and cut.problem == "the call was cut off"


def test_lone_surrogates_and_big_numbers_are_written():
    call = DECLARED.make(Written("bash", {"command": "\ud83d", "n": 2**70}, {}), "")
    assert call is not None and call.arguments == f'{{"command":"\ufffd","n":{2**70}}}'


def test_arguments_without_end_are_a_problem():
    value: dict = {}
    for _ in range(3000):
        value = {"a": value}
    call = DECLARED.make(Written("bash", {"command": "x", "a": value}, {}), "")
    assert call is not None and call.problem == "the arguments are nested too deep"
