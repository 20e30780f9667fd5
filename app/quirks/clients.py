"""What single clients send that is no chat completion: Cursor's Responses-shaped bodies, flat and custom tools,
Cline's habits.

Knows clients by their headers and tools; knows nothing of upstreams beyond their host and dialect.
"""

import re
from collections.abc import Mapping

from app.quirks.report import Note
from app.quirks.rule import Facts, Rule
from app.quirks.tool_names import family_or_host

# The first that fits wins. Roo and Kilo come from Cline and name it ("RooVetGit/Roo-Cline"), so they go before it.
CLIENTS = (
    (re.compile(r"\bopencode"), "opencode"),
    (re.compile(r"\b(roo|kilo)(\b|_|code|cline|vet)"), "roo"),
    (re.compile(r"\bcline"), "cline"),
    (re.compile(r"\bcursor"), "cursor"),
    (re.compile(r"\bcontinue|^ls/js"), "continue"),
    (re.compile(r"\bqwen-?code"), "qwen"),
    (re.compile(r"\baider"), "aider"),
    (re.compile(r"\bvscode|\bvisual studio code|\bvscodium|copilot"), "vscode"),
)
CLINE_TOOL = "ask_followup_question"
CLINE_TOOLS = frozenset(("read_files", "run_commands", "editor"))  # Cline 3.0.65, whose headers are the AI SDK's
SOME_ASSISTANT = "assistant"
ALLOWING = ("groq", "gpt-oss")  # dialects where `tool_choice: none` becomes auto
CUSTOM_INPUT = "input"


def detect_client(headers: Mapping[str, str] | None, body: Mapping) -> str:
    """Name the coding assistant behind a request, "" when nothing tells.

    Looks at User-Agent, X-Title and HTTP-Referer (any case), then at the request's shape: the tools that Cline and its
    descendants bring, or tools that may not be called. Never at the prompt: whoever quotes an assistant is none.
    """
    lowered = {name.lower(): str(value).lower() for name, value in (headers or {}).items()}
    for header in ("user-agent", "x-title", "http-referer"):
        said = lowered.get(header, "")
        for pattern, name in CLIENTS:
            if said and pattern.search(said):
                return name
    tools = body.get("tools")
    if not isinstance(tools, list) or not tools:
        return ""
    names = {tool_name(tool) for tool in tools}
    if len(tools) > 5 and (CLINE_TOOL in names or names >= CLINE_TOOLS):
        return "cline"
    return SOME_ASSISTANT if body.get("tool_choice") in ("none", {"type": "none"}) else ""


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
    """Assistants send `tool_choice: none` with their tools, and Groq says "Tool choice is none, but model called a tool"
    (litellm#21242): at Groq and for gpt-oss it becomes auto.

    Setting: options.toolChoiceNone "auto" does so for any model, "keep" for none. Elsewhere `none` is left alone: it is
    how an assistant asks for a summary.
    """
    setting = facts.options.get("toolChoiceNone")
    if setting == "keep" or not facts.client or not body.get("tools") or body.get("tool_choice") != "none":
        return
    if setting == "auto" or family_or_host(facts) in ALLOWING:
        note("tool_choice", "none", "auto")
        body["tool_choice"] = "auto"


def limit_tools(body: dict, facts: Facts, note: Note) -> None:
    """Small models lose their way among the twenty and more tools that assistants bring: a list can be cut to the tools
    in use and the first ones.

    Setting: options.maxAssistantTools, a number; without one nothing is cut. The tool that `tool_choice` names stays,
    then those that the conversation has called, latest first, then the others in their order.
    """
    tools, limit = body.get("tools"), facts.options.get("maxAssistantTools")
    if not facts.client or not isinstance(tools, list) or not isinstance(limit, int) or isinstance(limit, bool):
        return
    if limit < 1 or len(tools) <= limit:
        return
    wanted = [tool_name(body.get("tool_choice")), *called_tools(body)]
    rank = {name: place for place, name in reversed(list(enumerate(wanted))) if name}
    order = sorted(range(len(tools)), key=lambda place: (rank.get(tool_name(tools[place]), len(wanted)), place))
    kept = set(order[:limit])
    for place in order[limit:]:
        note(f"tools[{place}]", tool_name(tools[place]), None)
    body["tools"] = [tool for place, tool in enumerate(tools) if place in kept]


def called_tools(body: dict) -> list[str]:
    """Return the names of the tools that the conversation has called, latest first."""
    messages = reversed(body.get("messages") or ())
    return [tool_name(call) for message in messages for call in reversed(message.get("tool_calls") or ())]


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
    Rule("client.tool_choice_none", "request", (), allow_tools),
    Rule("client.tool_limit", "request", (), limit_tools),
    Rule("client.foreign_signature", "request", (), drop_foreign_signatures),
)
