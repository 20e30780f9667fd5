import pytest

from app.quirks import tool_names as rules
from app.quirks.rule import Facts
from app.quirks.tool_names import rename
from tests.quirks.targets import apply, facts

LONG = "mcp__" + "x" * 70


def tool(name: object) -> dict:
    return {"type": "function", "function": {"name": name}}


def fresh(model: str, **options: object) -> Facts:
    return facts(model, **options)._replace(renames={})


@pytest.mark.parametrize(
    ("model", "name", "renamed"),
    (
        ("gemini-3-pro", "read_file", False),
        ("gemini-3-pro", "mcp.read-file", False),
        ("gemini-3-pro", "1password", True),
        ("gemini-3-pro", "a:b", True),
        ("gemini-3-pro", "한글", True),
        ("gemini-3-pro", LONG, True),
        ("gpt-oss-20b", "mcp.read", True),
        ("some-model", "mcp.read:한", False),
        ("some-model", "a b", True),
        ("some-model", LONG, True),
    ),
)
def test_names_that_are_refused_are_renamed(model, name, renamed):
    known = fresh(model)
    body, places = apply(rules.rename_tools, {"tools": [tool(name)]}, known)
    new = body["tools"][0]["function"]["name"]
    assert (new != name) is renamed is bool(places)
    assert known.renames == ({new: name} if renamed else {})
    again, places = apply(rules.rename_tools, body, fresh(model))
    assert again == body and places == []


def test_renaming_is_the_same_each_time_and_keeps_names_apart():
    names = [LONG + "a", LONG + "b", "1a", "1 a", "", "é", "è"]
    new = [rename(name) for name in names]
    assert new == [rename(name) for name in names] and len(set(new)) == len(names)
    assert all(len(name) <= 64 and name.isascii() and (name[0].isalpha() or name[0] == "_") for name in new)


@pytest.mark.parametrize(("pattern", "renamed"), (("[a-z]+", True), ("[a-z.]+", False), ("(", False)))
def test_the_pattern_is_a_setting(pattern, renamed):
    body, _ = apply(rules.rename_tools, {"tools": [tool("a.b")]}, fresh("gemini-3-pro", toolNamePattern=pattern))
    assert (body["tools"] != [tool("a.b")]) is renamed


def test_one_tool_of_a_name():
    body, places = apply(rules.unique_tools, {"tools": [tool("a"), tool("b"), tool("a"), tool(""), tool(None), "junk"]})
    assert body["tools"] == [tool("a"), tool("b")] and len(places) == 4


def test_custom_tools_of_openai_stay():
    custom = {"type": "custom", "custom": {"name": "c"}}
    assert apply(rules.unique_tools, {"tools": [custom, tool("a")]})[0]["tools"] == [custom, tool("a")]


@pytest.mark.parametrize(
    ("model", "host", "options", "left"),
    (
        ("gemini-3-pro", "", {}, 512),
        ("gpt-oss-20b", "api.groq.com", {}, 128),
        ("gpt-oss-20b", "localhost", {}, 600),
        ("some-model", "", {}, 600),
        ("some-model", "", {"maxTools": 10}, 10),
    ),
)
def test_too_many_tools(model, host, options, left):
    tools = [tool(f"t{n}") for n in range(600)]
    known = facts(model, **options)._replace(host=host)
    body, places = apply(rules.limit_tools, {"tools": tools, "tool_choice": tool("t599")}, known)
    assert len(body["tools"]) == left and bool(places) is (left < 600)
    assert body["tools"][-1] == tool("t599")  # the one that was asked for stays
