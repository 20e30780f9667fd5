"""Top-level parameters: what an upstream refuses, and what it said it refuses; knows names, not their defaults."""

import re

from app.quirks.report import Note
from app.quirks.rule import Facts, Rule
from app.utils.schema import walk

UNKNOWN_NAME = re.compile(r'Unknown name \\?"([^"\\]+)\\?"(?: at \\?\'([^\'\\]+)\\?\')?(.{0,40})')
# `…: Proto field is not repeating, cannot start list.` is about a name that is known.
KNOWN_NAME = ": Proto field"
# The same in other dialects: OpenAI, Groq ("property 'reasoning' is unsupported", rig#1134), pydantic servers (vLLM).
UNKNOWN_ELSEWHERE = (
    re.compile(r"Unrecognized request arguments? supplied: (?P<name>\w+)"),
    re.compile(r"Unknown parameter: '(?P<name>[\w.\[\]]+)'"),
    re.compile(r"Unsupported parameter: '(?P<name>\w+)'"),
    re.compile(r"property '(?P<name>[\w.]+)' is (?:unsupported|not supported)"),
    re.compile(r"`(?P<name>(?:include_)?reasoning\w*)` is not supported with this model"),
    re.compile(r"'loc': \('body', '(?P<name>\w+)'\)[^}]{0,80}(?:extra|Extra)"),
)
MAX_LEARN_TEXT = 20_000
NEVER_REMOVED = ("model", "messages")
NEEDED_IN_TOOLS = ("type", "function", "name", "parameters", "properties", "items", "anyOf", "any_of")
NEEDED_IN_MESSAGES = ("role", "content", "tool_calls", "tool_call_id", "function", "arguments", "id", "type", "text")
MESSAGE_PLACES = ("messages", "contents", "content", "system_instruction")


# Settings of ours in `options` (API_SPEC.md lists them); none is a field of any upstream.
OWN_SETTINGS = frozenset(
    """engine dialect gateway toolEmulation toolRepairTurns dropTools maxSystemCharacters
    maxPromptTokens topK messageIds harmonyDialect harmonyDate completionFields local
    repairs rawIds rawId mock script toolIds thinkTags thoughtTags onTruncated
    includeUsage developerRole customTools toolChoiceNone
    maxAssistantTools orphanToolResults maxTools toolNamePattern messageFields jsonWithTools schemaKeep
    schemaUnions schemaEmptyObject reasoningEfforts temperatureOn3 smallMaxTokens maxTokensFloor dummySignature
    dummySignatureEncoding dummySignatureOn signatureNamespace""".split()
)


def learn(error_text: str) -> list[tuple[str, str]]:
    """Read a 400's text; return (field, at) for each field that the upstream says it does not know.

    `at` is the path that the upstream names, "" for the top level. Give `learned_name` of each pair to `prepare` as
    `learned`, send the request once more, and remember it for this upstream.
    """
    text = error_text[:MAX_LEARN_TEXT]
    matches = [match for match in UNKNOWN_NAME.finditer(text) if not match[3].startswith(KNOWN_NAME)]
    found = [(match[1], match[2] or "") for match in matches]
    for pattern in UNKNOWN_ELSEWHERE:
        for match in pattern.finditer(text):
            path, _, name = match["name"].rpartition(".")
            at = path or ("messages" if "'messages." in text and "property" in match[0] else "")
            found.append((name, at))
    return [pair for pair in dict.fromkeys(found) if can_remove(*pair)]


def learned_name(field: str, at: str) -> str:
    """Return how a refused field is remembered: "store", "tools:pattern" or "messages:reasoning"."""
    if at.startswith("tools"):
        return f"tools:{field}"
    if at.startswith(MESSAGE_PLACES):
        return f"messages:{field}"
    return f"response_format:{field}" if at.startswith(("response_format", "generation_config")) else field


def can_remove(field: str, at: str) -> bool:
    """Tell whether a request still means something without the field."""
    name = learned_name(field, at)
    if name.startswith("tools:"):
        return field not in NEEDED_IN_TOOLS
    return field not in (NEEDED_IN_MESSAGES if name.startswith("messages:") else NEVER_REMOVED)


def remove_learned(body: dict, facts: Facts, note: Note) -> None:
    """This upstream said that it does not know a field (`Unknown name "x"`); it is left out from then on."""
    for name in sorted(facts.learned):
        place, _, field = name.rpartition(":")
        if place == "messages":
            remove_from_messages(body, field, note)
        elif place == "tools":
            remove_from_tools(body, field, note)
        elif field in body and field not in NEVER_REMOVED:
            note(field, body.pop(field), None)
            facts.dropped.append(field)


def remove_from_messages(body: dict, field: str, note: Note) -> None:
    for position, message in enumerate(body["messages"]):
        holders = [message, *(message.get("tool_calls") or ())]
        holders += [call["function"] for call in message.get("tool_calls") or ()]
        content = message.get("content")
        holders += content if isinstance(content, list) else []
        for holder in holders:
            if field in holder and field not in NEEDED_IN_MESSAGES:
                note(f"messages[{position}].{field}", holder.pop(field), None)


def remove_from_tools(body: dict, field: str, note: Note) -> None:
    """Remove a keyword from every tool, its function and every schema in it (not from the names of parameters)."""
    if field in NEEDED_IN_TOOLS or not isinstance(body.get("tools"), list):
        return

    def without(schema: dict) -> dict:
        return {keyword: value for keyword, value in schema.items() if keyword != field}

    for position, tool in enumerate(body["tools"]):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict):
            continue
        plain = without(function)
        if "parameters" in plain:
            plain["parameters"] = walk(plain["parameters"], without)
        changed = without(tool) | {"function": plain}
        if changed != tool:
            note(f"tools[{position}]", field, None)
            body["tools"][position] = changed


def keep_own_settings(body: dict, facts: Facts, note: Note) -> None:
    """OpenCode sends a model entry's `options` in the request body: the gateway's own settings end here."""
    for name in OWN_SETTINGS & body.keys():
        if name == "mock" and not facts.host:
            continue  # the mock's scenario, on its way to the mock
        note(name, body.pop(name), None)


def drop_nulls(body: dict, facts: Facts, note: Note) -> None:
    """Parameters set to null mean "not given" to OpenAI; strict upstreams refuse them."""
    for name in [name for name, value in body.items() if value is None]:
        del body[name]
        note(name, None, None)


def one_token_limit(body: dict, facts: Facts, note: Note) -> None:
    """`max_tokens` and `max_completion_tokens` together are refused by OpenAI and ambiguous elsewhere (hermes-
    agent#87209); one goes on.
    """
    if "max_tokens" not in body or "max_completion_tokens" not in body:
        return
    limit = body["max_completion_tokens"]
    if "max_completion_tokens" in facts.defaulted and "max_tokens" not in facts.defaulted:
        limit = body["max_tokens"]
    # Every server knows the older name, OpenAI's own reasoning models only the newer.
    kept, other = ("max_tokens", "max_completion_tokens")
    if facts.host.endswith("openai.com"):
        kept, other = other, kept
    note(other, body.pop(other), None)
    body[kept] = limit


def stream_options_only_in_streams(body: dict, facts: Facts, note: Note) -> None:
    """`stream_options` without `stream` is refused by OpenAI and vLLM."""
    if "stream_options" in body and not body.get("stream"):
        note("stream_options", body.pop("stream_options"), None)


def tool_choice_needs_tools(body: dict, facts: Facts, note: Note) -> None:
    """`tools: []`, and `tool_choice` or `parallel_tool_calls` without tools, are refused ("only allowed when tools
    are specified").
    """
    if body.get("tools"):
        return
    for name in ("tools", "tool_choice", "parallel_tool_calls"):
        if name in body:
            note(name, body.pop(name), None)


RULES = (
    Rule("parameter.own_settings", "request", (), keep_own_settings),
    Rule("parameter.null", "request", (), drop_nulls),
    Rule("parameter.one_token_limit", "request", (), one_token_limit),
    Rule("parameter.stream_options", "request", (), stream_options_only_in_streams),
)
LATE_RULES = (
    Rule("parameter.learned", "request", (), remove_learned),
    Rule("parameter.tool_choice", "request", (), tool_choice_needs_tools),
)
