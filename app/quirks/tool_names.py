"""Tool names and tool lists: a reversible renaming, duplicates and limits; knows what each dialect takes as a name."""

import re
from hashlib import blake2b

from app.quirks.report import Note
from app.quirks.rule import Facts, Rule

MAX_NAME = 64
KEPT = 55
# Gemini: older error texts lack the colon, so it is renamed too (gemini-cli#2966; digit-led names: OmniRoute#13752).
PATTERNS = {
    "gemini": re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}"),
    "groq": re.compile(r"[A-Za-z0-9_-]{1,64}"),
    "gpt-oss": re.compile(r"[A-Za-z0-9_-]{1,64}"),
}
ANY_NAME = re.compile(r"[^\s\x00-\x1f]{1,64}")
FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
# Declarations in one request: gemini-cli#19083; Groq's documentation.
LIMITS = {"gemini": 512, "groq": 128}


def rename(name: str) -> str:
    """Return the name that stands for `name` upstream: its first 55 characters, `_`, 8 hex digits of its hash."""
    digest = blake2b(name.encode("utf-8", "replace"), digest_size=4).hexdigest()
    plain = FOREIGN.sub("_", name)[:KEPT]
    return f"{plain if plain[:1].isalpha() or plain[:1] == '_' else '_' + plain[: KEPT - 1]}_{digest}"


def pattern_for(facts: Facts) -> re.Pattern[str]:
    """Return what a tool's name must match: options.toolNamePattern, else the family's."""
    own = facts.options.get("toolNamePattern")
    return compiled(own) if isinstance(own, str) and own else PATTERNS.get(facts.family, ANY_NAME)


def compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error:
        return ANY_NAME


def rename_tools(body: dict, facts: Facts, note: Note) -> None:
    """Tool names have at most 64 letters, digits, `_` or `-` (Gemini: and no leading digit); longer MCP names are
    renamed and named back in the answer (cline#7339).

    Setting: options.toolNamePattern, a regular expression. The way back is `report.renames` (sent -> the client's).
    """
    pattern = pattern_for(facts)
    for position, tool in enumerate(body.get("tools") or ()):
        name = function_name(tool)
        if name and not pattern.fullmatch(name):
            body["tools"][position] = with_name(tool, renamed(name, facts))
            note(f"tools[{position}].function.name", name, function_name(body["tools"][position]))
    chosen = function_name(body.get("tool_choice"))
    if chosen and not pattern.fullmatch(chosen):
        body["tool_choice"] = with_name(body["tool_choice"], renamed(chosen, facts))
    sound: set[object] = {""}
    for message in body["messages"]:
        for call in message.get("tool_calls") or ():
            rename_in(call["function"], pattern, facts, sound)
        if message["role"] == "tool":
            rename_in(message, pattern, facts, sound)


def function_name(tool: object) -> str:
    """Return the name in a tool or in a `tool_choice`, "" when there is none."""
    function = tool.get("function") if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""


def with_name(tool: dict, name: str) -> dict:
    return {**tool, "function": {**tool["function"], "name": name}}


def rename_in(holder: dict, pattern: re.Pattern[str], facts: Facts, sound: set[object]) -> None:
    """Rename in the history; `sound` collects the names already found to be good."""
    name = holder.get("name")
    if not isinstance(name, str) or name in sound:
        return
    if pattern.fullmatch(name):
        sound.add(name)
    else:
        holder["name"] = renamed(name, facts)


def renamed(name: str, facts: Facts) -> str:
    new = rename(name)
    facts.renames[new] = name
    return new


def unique_tools(body: dict, facts: Facts, note: Note) -> None:
    """Two tools of one name, and tools without a name, are refused; the first of a name stays."""
    tools = body.get("tools")
    if not isinstance(tools, list):
        return
    seen: set[str] = set()
    kept = []
    for position, tool in enumerate(tools):
        name = function_name(tool)
        if isinstance(tool, dict) and (name and name not in seen or "function" not in tool):
            seen.add(name)
            kept.append(tool)
        else:
            note(f"tools[{position}]", name, None)
    body["tools"] = kept


def limit_tools(body: dict, facts: Facts, note: Note) -> None:
    """At most 512 declarations are taken by Gemini (gemini-cli#19083), 128 by Groq; the first ones stay.

    Setting: options.maxTools.
    """
    tools = body.get("tools")
    own = facts.options.get("maxTools")
    limit = own if isinstance(own, int) and own > 0 else LIMITS.get(family_or_host(facts))
    if not limit or not isinstance(tools, list) or len(tools) <= limit:
        return
    chosen = function_name(body.get("tool_choice"))
    forced = [tool for tool in tools[limit:] if chosen and function_name(tool) == chosen][:1]
    body["tools"] = tools[: limit - len(forced)] + forced
    note("tools", len(tools), limit)


def family_or_host(facts: Facts) -> str:
    """Return "groq" for any model behind Groq, else the family."""
    return "groq" if facts.host.endswith("groq.com") else facts.family


RULES = (
    Rule("tool.unique", "request", (), unique_tools),
    Rule("tool.limit", "request", (), limit_tools),
    Rule("tool.long_name", "request", (), rename_tools),
)
