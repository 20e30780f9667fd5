"""Which tool a recipient means, and what becomes of its arguments."""

import json

import pytest

from app.emulation.events import Call
from app.emulation.harmony_calls import HarmonyTools, is_cut, unbroken

DECLARED = {
    "get_weather": "get-weather",
    "web_browsing_v2": "web-browsing.v2",
    "Bash": "Bash",
    "bash": "bash",
    "x": "x",
}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
BOTH = ("JSON repaired", "types converted")
TOOLS = [
    {"type": "function", "function": {"name": "get-weather", "parameters": SCHEMA}},
    {"type": "function", "function": {"name": "x"}},
    {"type": "retrieval"},
]


@pytest.mark.parametrize(
    ("recipient", "name"),
    (
        ("functions.get_weather", "get-weather"),
        ("get_weather", "get-weather"),
        ("functions.get-weather", "get-weather"),
        ("functions.GET_weather", "get-weather"),
        ("functions.get_weather<|channel|>commentary", "get-weather"),
        ("functions.get_weather.", "get-weather"),
        ("functions.get_weatherjson", "get-weather"),
        ("functions.get_weathercommentary", "get-weather"),
        ("functions.web-browsing.v2", "web-browsing.v2"),
        ("functions.bash", "bash"),
        ("functions.Bash", "Bash"),
        ("functions.BASH", None),
        ("functions.functions.x", None),
        ("python", None),
        ("container.exec", None),
        ("functions.", None),
        ("", None),
    ),
)
def test_only_declared_tools_are_found(recipient, name):
    assert HarmonyTools(DECLARED).find(recipient) == name


def test_a_sent_name_is_stronger_than_a_clients_name():
    assert HarmonyTools({"a_b": "a.b", "a_b_2": "a_b"}).find("functions.a_b") == "a.b"


def test_a_tool_may_be_called_like_a_namespace():
    assert HarmonyTools({"functions.x": "functions.x"}).find("functions.x") == "functions.x"


@pytest.mark.parametrize(
    ("text", "call"),
    (
        ('{"a": 1}', Call("x", '{"a": 1}')),
        (' {"a": 1}\n', Call("x", '{"a": 1}')),
        ("", Call("x", "{}", notes=("no arguments",))),
        ("null", Call("x", "{}")),
        ('"{\\"a\\":1}"', Call("x", '{"a":1}')),
        ("[1]", Call("x", "[1]", "the arguments must be an object, not [1]")),
        ('{"a":"<\u200d|end|>"}', Call("x", '{"a":"<|end|>"}')),
        ("{'a':'<\u200d|end|> <|call|>'}", Call("x", '{"a":"<|end|> <|call|>"}', notes=("JSON repaired",))),
    ),
)
def test_arguments_without_a_schema(text, call):
    assert HarmonyTools(DECLARED).call("x", text, "") == call


@pytest.mark.parametrize("text", ("print(1)", '{"a":1', '{"a":1}}', "{'a':1", "{a:x}", '{"a":"say "hi" now"}'))
def test_what_is_no_json_stays_as_it_is_and_is_a_problem(text):
    call = HarmonyTools(DECLARED).call("x", text, "raw")
    assert call.arguments == text and call.raw == "raw"
    assert call.problem and call.problem.startswith("the arguments are not JSON") and "\n" not in call.problem


@pytest.mark.parametrize(
    ("text", "call"),
    (
        ('{"city": "SF"}', Call("get-weather", '{"city": "SF"}')),
        ('{"city":"SF","days":"2"}', Call("get-weather", '{"city":"SF","days":2}', notes=("types converted",))),
        ('{"days": 2}', Call("get-weather", '{"days": 2}', "missing: city")),
        ('"SF"', Call("get-weather", '{"city":"SF"}', notes=("bare value wrapped",))),
        ("", Call("get-weather", "{}", "missing: city", ("no arguments",))),
        ("{'city': 'SF', days: 2,}", Call("get-weather", '{"city":"SF","days":2}', notes=("JSON repaired",))),
        ("{'city': 'SF', 'days': '2'}", Call("get-weather", '{"city":"SF","days":2}', None, BOTH)),
        ("{'days': 2}", Call("get-weather", '{"days":2}', "missing: city", ("JSON repaired",))),
    ),
)
def test_arguments_are_checked_against_the_schema(text, call):
    assert HarmonyTools(DECLARED, TOOLS).call("get-weather", text, "") == call


@pytest.mark.parametrize("text", ("*** Begin Patch\n*** End Patch", "Seoul", "print(1)", "a: {1}"))
def test_a_text_is_the_one_that_a_tool_takes(text):
    call = HarmonyTools(DECLARED, TOOLS).call("get-weather", text, "", bare=True)
    assert (json.loads(call.arguments), call.problem, call.notes) == ({"city": text}, None, ("bare value wrapped",))
    assert HarmonyTools(DECLARED, TOOLS).call("get-weather", text, "").problem


@pytest.mark.parametrize(
    "text", ('{"city": "SF', "[SF", '"SF', "(SF)", "'SF", "```\nSF\n```", "<city>SF</city>", 'city="SF"', "city: SF")
)
def test_what_was_meant_as_arguments_is_no_text(text):
    call = HarmonyTools(DECLARED, TOOLS).call("get-weather", text, "", bare=True)
    assert call.arguments == text and call.problem and call.problem.startswith("the arguments are not JSON")


def test_a_text_is_none_for_a_tool_that_takes_no_single_text():
    number = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    texts = {"type": "object", "properties": {name: {"type": "string"} for name in "ab"}, "required": ["a", "b"]}
    for schema in (number, texts, None):
        function = {"name": "x", **({"parameters": schema} if schema else {})}
        call = HarmonyTools(DECLARED, [{"type": "function", "function": function}]).call("x", "5 lines", "", bare=True)
        assert call.arguments == "5 lines" and call.problem


def test_arguments_nested_without_end_are_a_problem():
    deep = '{"a":' * 900 + "1" + "}" * 900
    for call in (HarmonyTools(DECLARED, TOOLS).call("get-weather", deep, ""), HarmonyTools({}).call("x", deep * 2, "")):
        assert call.problem and call.arguments.startswith(deep)


@pytest.mark.parametrize(
    ("text", "cut"),
    (
        ("", True),
        ("  ", True),
        ("{", True),
        ('{"a":"}', True),
        ("[1", True),
        ("{}", False),
        ('{"a":1} x', False),
        ("x", False),
    ),
)
def test_what_is_cut(text, cut):
    assert is_cut(text) is cut


def test_joiners_are_taken_out_of_tokens_alone():
    assert unbroken("<\u200d|call|> <\\u200D|user|> <\u200d|x|> \u200d") == "<|call|> <|user|> <\u200d|x|> \u200d"
    assert json.loads(unbroken('{"a":"\\u200d"}')) == {"a": "\u200d"}
