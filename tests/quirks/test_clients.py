import json
from pathlib import Path

import pytest

from app.quirks import clients as rules
from app.quirks.clients import detect_client
from tests.quirks.targets import apply, facts

AGENTS = Path(__file__).resolve().parent.parent / "fixtures" / "agents"


@pytest.mark.parametrize(
    ("headers", "expected"),
    (
        ({"User-Agent": "opencode/1.18.33 ai-sdk/provider-utils/4.0.23 runtime/bun/1.3.14"}, "opencode"),
        ({"user-agent": "Cline/3.0"}, "cline"),
        ({"USER-AGENT": "Roo-Code/3"}, "roo"),
        ({"User-Agent": "Kilo-Code"}, "roo"),
        ({"User-Agent": "Cursor/1"}, "cursor"),
        ({"User-Agent": "ls/JS 5.23.2"}, "continue"),
        ({"User-Agent": "QwenCode/0.24.4 (linux; x64)"}, "qwen"),
        ({"User-Agent": "RooCode/3.25.1"}, "roo"),
        ({"User-Agent": "Visual Studio Code/1.104"}, "vscode"),
        ({"User-Agent": "vscode/1.104 (linux)"}, "vscode"),
        ({"User-Agent": "GitHubCopilotChat/0.30"}, "vscode"),
        ({"User-Agent": "aider/0.86"}, "aider"),
        ({"User-Agent": "node-fetch", "X-Title": "Cline"}, "cline"),
        ({"User-Agent": "OpenAI/JS 5.12.2", "X-Title": "Roo Code", "HTTP-Referer": "https://x.example"}, "roo"),
        ({"User-Agent": "OpenAI/JS 5.12.2", "HTTP-Referer": "https://github.com/RooVetGit/Roo-Cline"}, "roo"),
        ({"User-Agent": "OpenAI/JS 5.12.2", "HTTP-Referer": "https://cline.bot"}, "cline"),
        ({"User-Agent": "node-fetch", "HTTP-Referer": "https://kilocode.ai"}, "roo"),
        ({"x-title": "Cursor"}, "cursor"),
        ({"User-Agent": "classroom/1 (root; precursor; incline)"}, ""),
        ({"Authorization": "Bearer cline", "X-Other": "cursor"}, ""),
        ({"User-Agent": "OpenAI/Python 2.20.0"}, ""),
        ({}, ""),
        (None, ""),
    ),
)
def test_clients_are_known_by_their_headers(headers, expected):
    assert detect_client(headers, {}) == expected


def test_captured_requests():
    for name, expected in (
        ("opencode-text", "opencode"),
        ("cline-write-step0", "cline"),
        ("cline-final", "cline"),
        ("ai_sdk-final", ""),
        ("pydantic_ai-json-tool", ""),
        ("llm-final", ""),
        ("cn-parallel-step0", "continue"),
        ("qwen-chain-step1", "qwen"),
    ):
        captured = json.loads((AGENTS / f"{name}.json").read_text("utf-8"))
        assert detect_client(captured["headers"], captured["body"]) == expected


def test_a_client_is_known_by_its_tools():
    tools = [{"type": "function", "function": {"name": f"t{n}"}} for n in range(5)]
    asks = [*tools, {"type": "function", "function": {"name": "ask_followup_question"}}]
    assert detect_client({}, {"tools": asks}) == "cline"
    assert detect_client({}, {"tools": asks[1:]}) == detect_client({}, {"tools": "junk"}) == ""
    assert detect_client({"User-Agent": "Roo-Code/3"}, {"tools": asks}) == "roo"


@pytest.mark.parametrize("choice", ["none", {"type": "none"}])
def test_tools_that_may_not_be_called_are_an_assistants(choice):
    assert detect_client({}, {"tools": [NESTED], "tool_choice": choice}) == "assistant"
    assert detect_client({"User-Agent": "cline/3"}, {"tools": [NESTED], "tool_choice": choice}) == "cline"
    for body in ({"tools": [NESTED], "tool_choice": "auto"}, {"tools": [], "tool_choice": choice}):
        assert detect_client({}, body) == ""


@pytest.mark.parametrize("said", ["You are Cline, a skilled engineer", "# Tool Use", "read_file", "Roo and Cursor"])
def test_a_prompt_does_not_make_an_assistant(said):
    body = {"messages": [{"role": "system", "content": said}, {"role": "user", "content": said}], "tools": [NESTED]}
    assert detect_client({"User-Agent": "OpenAI/Python 2.20.0"}, body) == ""


NESTED = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("tool", "expected"),
    (
        (NESTED, NESTED),
        ({"function": NESTED["function"]}, NESTED | {"type": "function"}),
        ({"type": "function", "name": "f", "parameters": {"type": "object"}}, NESTED),
        ({"name": "f", "input_schema": {"type": "object"}}, NESTED),
        ({"type": "web_search"}, None),
        ({"type": "mcp", "name": "f", "server_url": "x"}, None),
        ({"type": "function"}, None),
        ("junk", None),
    ),
)
def test_tools_of_any_shape_become_functions(tool, expected):
    body, places = apply(rules.flat_tools, {"tools": [tool]})
    assert body["tools"] == ([expected] if expected else [])
    assert bool(places) is (tool != expected)
    again, places = apply(rules.flat_tools, body)
    assert again == body and places == []


@pytest.mark.parametrize("nested", [True, False])
def test_a_custom_tool_becomes_a_function_of_one_text(nested):
    about = {
        "name": "patch",
        "description": "d",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"},
    }
    tool = {"type": "custom", "custom": about} if nested else {"type": "custom", **about}
    body, _ = apply(rules.flat_tools, {"tools": [tool], "tool_choice": {"type": "custom", "custom": {"name": "patch"}}})
    function = body["tools"][0]["function"]
    assert function["name"] == "patch" and function["parameters"]["required"] == ["input"]
    assert "start: X" in function["parameters"]["properties"]["input"]["description"]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "patch"}}
    kept = facts(customTools="keep")
    assert apply(rules.flat_tools, {"tools": [tool]}, kept)[0]["tools"] == [tool]


@pytest.mark.parametrize(
    ("choice", "expected"),
    (
        ("required", "required"),
        (None, None),
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "any"}, "required"),
        ({"type": "auto"}, "auto"),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}}, "required"),
        ({"type": "function"}, "auto"),
    ),
)
def test_tool_choice(choice, expected):
    assert apply(rules.flat_tools, {"tool_choice": choice})[0]["tool_choice"] == expected


@pytest.mark.parametrize(
    ("host", "options", "role"),
    (
        ("localhost", {}, "system"),
        ("api.openai.com", {}, "developer"),
        ("localhost", {"developerRole": "keep"}, "developer"),
    ),
)
def test_the_developer_role(host, options, role):
    known = facts("some-model", **options)._replace(host=host)
    body, _ = apply(rules.developer_as_system, {"messages": [{"role": "developer", "content": "x"}]}, known)
    assert body["messages"][0]["role"] == role


@pytest.mark.parametrize(
    ("client", "model", "host", "options", "choice", "expected"),
    (
        ("cline", "llama-3.3-70b-versatile", "api.groq.com", {}, "none", "auto"),
        ("assistant", "openai/gpt-oss-20b", "api.groq.com", {}, "none", "auto"),
        ("cline", "gpt-oss-20b", "localhost", {}, "none", "auto"),
        ("cline", "m", "localhost", {"dialect": "groq"}, "none", "auto"),
        ("", "gpt-oss-20b", "api.groq.com", {}, "none", "none"),
        ("cline", "gpt-oss-20b", "api.groq.com", {}, "required", "required"),
        ("cline", "gpt-oss-20b", "api.groq.com", {"toolChoiceNone": "keep"}, "none", "none"),
        ("cline", "gemini-2.5-pro", "localhost", {}, "none", "none"),
        ("cline", "some-model", "localhost", {}, "none", "none"),
        ("cline", "some-model", "localhost", {"toolChoiceNone": "auto"}, "none", "auto"),
        ("", "some-model", "localhost", {"toolChoiceNone": "auto"}, "none", "none"),
    ),
)
def test_assistants_that_forbid_their_own_tools(client, model, host, options, choice, expected):
    body = {"tools": [NESTED], "tool_choice": choice}
    known = facts(model, **options)._replace(client=client, host=host)
    changed, places = apply(rules.allow_tools, body, known)
    assert changed["tool_choice"] == expected
    assert places == (["tool_choice"] if choice != expected else [])
    assert apply(rules.allow_tools, {"tool_choice": choice}, known)[1] == []


def called(*names):
    return {"role": "assistant", "tool_calls": [{"id": name, "function": {"name": name}} for name in names]}


@pytest.mark.parametrize(
    ("client", "limit", "history", "choice", "left"),
    (
        ("cline", None, [], None, "abcdef"),
        ("cline", 3, [], None, "abc"),
        ("", 3, [], None, "abcdef"),
        ("cline", 6, [], None, "abcdef"),
        ("cline", 0, [], None, "abcdef"),
        ("cline", True, [], None, "abcdef"),
        ("cline", "3", [], None, "abcdef"),
        ("cline", 3, [called("e", "f")], None, "aef"),
        ("cline", 3, [called("e")], {"type": "function", "function": {"name": "d"}}, "ade"),
        ("cline", 1, [called("e")], {"type": "function", "function": {"name": "d"}}, "d"),
        ("cline", 2, [called("f"), called("b", "c"), called("d")], None, "cd"),
        ("cline", 2, [called("f", "gone"), called("f", "f")], "required", "af"),
    ),
)
def test_tool_lists_are_cut_to_the_tools_in_use(client, limit, history, choice, left):
    tools = [{"type": "function", "function": {"name": name}} for name in "abcdef"]
    body = {"tools": tools, "messages": history} | ({"tool_choice": choice} if choice else {})
    known = facts("some-model", maxAssistantTools=limit)._replace(client=client)
    changed, places = apply(rules.limit_tools, body, known)
    assert "".join(rules.tool_name(tool) for tool in changed["tools"]) == left
    assert len(places) == 6 - len(left)
    assert apply(rules.limit_tools, changed, known) == (changed, [])


@pytest.mark.parametrize(
    ("host", "kept"), (("api.openai.com", False), ("api.groq.com", False), ("relay.example", True))
)
def test_signatures_of_another_model(host, kept):
    call = {"id": "a", "function": {"name": "f"}, "extra_content": {"google": {}}}
    message = {"role": "assistant", "extra_content": {"google": {}}, "tool_calls": [call]}
    body, places = apply(rules.drop_foreign_signatures, {"messages": [message]}, facts()._replace(host=host))
    assert ("extra_content" in body["messages"][0]["tool_calls"][0]) is ("extra_content" in body["messages"][0]) is kept
    assert len(places) == (0 if kept else 2)
