"""What single clients send that is no chat completion: Cursor's Responses-shaped bodies, flat and custom tools,
Cline's habits.

Knows clients by their headers; knows nothing of upstreams beyond their host.
"""

import re
from collections.abc import Mapping

from app.quirks.report import Note
from app.quirks.rule import Facts, Rule
from app.quirks.tool_names import family_or_host

# First match in the User-Agent wins.
CLIENTS = (
    (re.compile(r"opencode"), "opencode"),
    (re.compile(r"roo|kilo"), "roo"),
    (re.compile(r"cline"), "cline"),
    (re.compile(r"cursor"), "cursor"),
    (re.compile(r"continue|^ls/js"), "continue"),
    (re.compile(r"qwencode|qwen-code"), "qwen"),
    (re.compile(r"aider"), "aider"),
    (re.compile(r"vscode|copilot"), "vscode"),
)
TITLES = re.compile(r"cline|roo|kilo|cursor|continue|aider|opencode")
CLINE_TOOL = "ask_followup_question"
CUSTOM_INPUT = "input"


def detect_client(headers: Mapping[str, str] | None, body: Mapping) -> str:
    """Name the coding assistant behind a request, "" when nothing tells.

    Looks at User-Agent, X-Title and HTTP-Referer (any case), and at the tools that Cline brings.
    """
    lowered = {name.lower(): str(value).lower() for name, value in (headers or {}).items()}
    agent = lowered.get("user-agent", "")
    for pattern, name in CLIENTS:
        if pattern.search(agent):
            return name
    title = TITLES.search(f"{lowered.get('x-title', '')} {lowered.get('http-referer', '')}")
    if title:
        return "roo" if title[0] == "kilo" else title[0]
    tools = body.get("tools")
    if isinstance(tools, list) and len(tools) > 5 and any(tool_name(tool) == CLINE_TOOL for tool in tools):
        return "cline"
    return ""


def tool_name(tool: object) -> str:
    """Return the name of a tool in either shape, "" when it has none."""
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""


def flat_tools(body: dict, facts: Facts, note: Note) -> None:
    """Cursor mixes flat, nested and custom tools in one list (litellm#34029); all become functions, what only a
    vendor's server can run goes.

    A custom tool becomes a function with one string parameter `input`. Setting: options.customTools "keep".
    """
    if isinstance(body.get("tools"), list):
        tools = []
        for position, tool in enumerate(body["tools"]):
            plain = plain_tool(tool, facts)
            if plain != tool:
                note(f"tools[{position}]", tool, plain)
            tools += [plain] if plain else []
        body["tools"] = tools
    choice = body.get("tool_choice")
    plain_choice = plain_tool_choice(choice, facts)
    if plain_choice != choice:
        note("tool_choice", choice, plain_choice)
        body["tool_choice"] = plain_choice


def plain_tool(tool: object, facts: Facts) -> dict | None:
    """Return one tool as a nested function, or None when it is none."""
    if not isinstance(tool, dict):
        return None
    kind = tool.get("type", "function")
    if isinstance(tool.get("function"), dict):
        return tool if tool.get("type") == "function" else {**tool, "type": "function"}
    if kind == "custom":
        return tool if keeps_custom(facts) else custom_as_function(tool)
    if not tool_name(tool) or (kind != "function" and "input_schema" not in tool):
        return None  # web_search, file_search, mcp, computer …: run on their vendor's servers
    function = {name: tool[name] for name in ("name", "description", "parameters", "strict") if name in tool}
    if "input_schema" in tool:  # Anthropic's shape
        function.setdefault("parameters", tool["input_schema"])
    return {"type": "function", "function": function}


def keeps_custom(facts: Facts) -> bool:
    """OpenAI's own endpoint knows custom tools."""
    return facts.host.endswith("openai.com") or facts.options.get("customTools") == "keep"


def custom_as_function(tool: dict) -> dict | None:
    """Return a custom tool (free text, perhaps with a grammar) as a function of one string."""
    custom = tool["custom"] if isinstance(tool.get("custom"), dict) else tool
    name = custom.get("name")
    if not isinstance(name, str) or not name:
        return None
    about = custom.get("format")
    grammar = about.get("grammar", about) if isinstance(about, dict) else {}
    rules = grammar.get("definition") if isinstance(grammar, dict) else None
    text = "The tool's whole input as plain text." + (f" It must match this grammar:\n{rules}" if rules else "")
    schema = {
        "type": "object",
        "properties": {CUSTOM_INPUT: {"type": "string", "description": text}},
        "required": [CUSTOM_INPUT],
    }
    function = {"name": name, "description": str(custom.get("description") or name), "parameters": schema}
    return {"type": "function", "function": function}


def plain_tool_choice(choice: object, facts: Facts) -> object:
    """Return `tool_choice` in the nested shape of chat completions."""
    if not isinstance(choice, dict) or isinstance(choice.get("function"), dict):
        return choice
    kind = choice.get("type")
    if kind == "allowed_tools" and not keeps_custom(facts):
        allowed = choice.get("allowed_tools", choice)
        mode = allowed.get("mode") if isinstance(allowed, dict) else None
        return mode if mode in ("auto", "required") else "auto"
    custom = choice.get("custom")
    custom = custom if isinstance(custom, dict) else choice
    if kind in ("function", "tool") or kind == "custom" and not keeps_custom(facts):
        name = custom.get("name")
        return {"type": "function", "function": {"name": name}} if isinstance(name, str) and name else "auto"
    if kind == "custom":
        return choice
    return {"any": "required", "none": "none", "required": "required"}.get(str(kind), "auto")


def developer_as_system(body: dict, facts: Facts, note: Note) -> None:
    """Role `developer` is known to OpenAI only; chat templates elsewhere raise on it. Setting: options.developerRole
    "keep".
    """
    if facts.host.endswith(("openai.com", "azure.com")) or facts.options.get("developerRole") == "keep":
        return
    for position, message in enumerate(body["messages"]):
        if message["role"] == "developer":
            note(f"messages[{position}].role", "developer", "system")
            message["role"] = "system"


def allow_tools(body: dict, facts: Facts, note: Note) -> None:
    """Assistants send `tool_choice: none` with their tools and then "Tool choice is none, but model called a tool"
    (litellm#21242): for known assistants it becomes auto.
    """
    if facts.client and body.get("tools") and body.get("tool_choice") == "none":
        note("tool_choice", "none", "auto")
        body["tool_choice"] = "auto"


def drop_foreign_signatures(body: dict, facts: Facts, note: Note) -> None:
    """Another model's `extra_content` in the history is an unknown field to OpenAI and Groq (litellm#18160)."""
    if not facts.host.endswith("openai.com") and family_or_host(facts) != "groq":
        return
    for position, message in enumerate(body["messages"]):
        for holder in (message, *(message.get("tool_calls") or ())):
            if "extra_content" in holder:
                note(f"messages[{position}]", holder.pop("extra_content"), None)


RULES = (
    Rule("client.flat_tools", "request", (), flat_tools),
    Rule("client.developer_role", "request", (), developer_as_system),
    Rule("client.tool_choice_none", "request", ("groq", "gpt-oss"), allow_tools),
    Rule("client.foreign_signature", "request", (), drop_foreign_signatures),
)
