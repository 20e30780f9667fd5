"""Tools and their history as plain text, for a model that knows neither; `tool_call_xml` reads what it answers.

The same request always gives the same text, so that an upstream's prompt cache holds.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from app.emulation import loose_json
from app.emulation.events import Call
from app.utils.json_text import dump, replace_surrogates
from app.utils.schema import DEFINITIONS, inline_refs, walk

LONGEST_SUMMARY = 120
MAX_NESTING = 4
PLACEHOLDERS: dict[str, Any] = {"integer": 1, "number": 1, "boolean": True}
OPEN = "..."  # stands for a text
TEXT_KEYS = ("text", "refusal")  # of a content's part
KEPT = ("type", "enum", "required")  # what a compact schema keeps of a schema, beside what is inside it

HOW = """# Tools

You can use the tools below. To use one, write a block of exactly this form:
{example}

- "name" is the exact name of a tool. "arguments" is a JSON object with the parameters of that tool.
- Give every required parameter; those marked ? are optional. Write no comments in the JSON.
- To use several tools, write several blocks, one after the other.
- Stop after the last block. You then get the results in <tool_result> blocks; never write these yourself.
- When no tool is needed, answer in plain text without a block."""
MUST = "You must use at least one tool in this answer."
MUST_NAMED = "You must use the tool {name} in this answer."
_SENTENCE = re.compile(r"(.+?[.!?。])(?:\s|$)", re.DOTALL)
_BREAKS_OUT = re.compile(r"<(?=/?tool_|\|)", re.IGNORECASE)


def tools_section(tools: Sequence[Mapping[str, Any]], tool_choice: object) -> str:
    """Return what the system prompt says of the tools; "" when there are none or `tool_choice` is "none"."""
    functions = [function for tool in tools if (function := _function(tool)) is not None]
    if not functions or tool_choice == "none":
        return ""
    name = _chosen(tool_choice)
    known = any(function["name"] == name for function in functions)
    return _section(dump(functions), name if known else "", tool_choice == "required" or bool(name))


@lru_cache(maxsize=64)
def _section(written: bytes, name: str, must: bool) -> str:
    """Write the section once for a conversation, whose tools stay the same."""
    functions = orjson.loads(written)
    lines = [HOW.format(example=_call_block(*_example(functions, name)))]
    if name:
        lines.append(f"- {MUST_NAMED.format(name=name)}")
    elif must:
        lines.append(f"- {MUST}")
    lines += ["", *map(_line, functions), "", "<tools>"]
    lines += [_json(_brief(function), (",", ":")) for function in functions]
    return "\n".join((*lines, "</tools>"))


def _function(tool: object) -> Mapping[str, Any] | None:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    named = isinstance(function, Mapping) and isinstance(function.get("name"), str)
    return function if named and isinstance(function, Mapping) else None


def _chosen(tool_choice: object) -> str:
    function = tool_choice.get("function") if isinstance(tool_choice, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    return name if isinstance(name, str) else ""


def example_call(tools: Sequence[Mapping[str, Any]], tool_choice: object) -> tuple[str, dict[str, Any]] | None:
    """Return name and arguments of the section's example, None where they might be meant: no text in them is left open."""
    functions = [function for tool in tools if (function := _function(tool)) is not None]
    found = _example(functions, _chosen(tool_choice)) if functions else ("", {})
    return found if OPEN in found[1].values() else None


def _example(functions: Sequence[Mapping[str, Any]], chosen: str) -> tuple[str, dict[str, Any]]:
    """Make a call of the first tool that is easy to write: one or two parameters that must be given, none nested."""

    def effort(function: Mapping[str, Any]) -> tuple[bool, bool]:
        needed = [_placeholder(sub) for sub in _needed(_schema(function)).values()]
        return any(isinstance(value, list | dict) for value in needed), not 0 < len(needed) < 3

    function = min([known for known in functions if known["name"] == chosen] or functions, key=effort)
    needed = _needed(_schema(function))
    return function["name"], {name: _placeholder(sub) for name, sub in needed.items()}


def _needed(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the required parameters, or else the first one."""
    properties = _properties(schema)
    needed = {name: sub for name, sub in properties.items() if name in _required(schema)}
    return needed or dict(list(properties.items())[:1])


def _placeholder(schema: object, nesting: int = 0) -> Any:
    if isinstance(schema, Mapping) and isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    kind = _type(schema)
    if kind.endswith("[]") and isinstance(schema, Mapping) and nesting < MAX_NESTING:
        return [_placeholder(schema.get("items"), nesting + 1)]
    if kind == "object" and isinstance(schema, Mapping) and nesting < MAX_NESTING:
        return {name: _placeholder(sub, nesting + 1) for name, sub in _needed(schema).items()}
    return PLACEHOLDERS.get(kind.partition("|")[0], OPEN)


def _schema(function: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = function.get("parameters")
    if isinstance(schema, Mapping) and any(keyword in schema for keyword in DEFINITIONS):
        schema = inline_refs(dict(schema))
    schema = walk(schema, _in_known_words)
    return schema if isinstance(schema, Mapping) else {}


def _in_known_words(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with what `allOf` adds to it, and with a `const` as the one value that is listed."""
    parts = schema.pop("allOf", None)
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, Mapping):
            properties, required = {**_properties(part), **_properties(schema)}, [*_required(part), *_required(schema)]
            schema = {**part, **schema}
            schema |= {"properties": properties} if properties else {}
            schema |= {"required": list(dict.fromkeys(required))} if required else {}
    return {**schema, "enum": [schema["const"]]} if "const" in schema else schema


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _required(schema: Mapping[str, Any]) -> list[str]:
    required = schema.get("required")
    return [name for name in required if isinstance(name, str)] if isinstance(required, list) else []


def _line(function: Mapping[str, Any]) -> str:
    """Write `name(p: type, opt?: type) — what it does`."""
    schema = _schema(function)
    required = _required(schema)
    parts = [f"{name}{'' if name in required else '?'}: {_type(sub)}" for name, sub in _properties(schema).items()]
    summary = _summary(function.get("description"))
    return f"{function['name']}({', '.join(parts)})" + (f" — {summary}" if summary else "")


def _summary(description: object) -> str:
    """Return the first sentence, at most 120 characters."""
    text = " ".join(description.split()).lstrip("-*# ") if isinstance(description, str) else ""
    sentence = _SENTENCE.match(text)
    text = sentence[1] if sentence else text
    return text if len(text) <= LONGEST_SUMMARY else text[: LONGEST_SUMMARY - 1].rstrip() + "…"


def _type(schema: object, nesting: int = 0) -> str:
    """Name a type as a person would: string, string[], integer|null, any."""
    if not isinstance(schema, Mapping) or nesting > MAX_NESTING:
        return "any"
    given = schema.get("type")
    if isinstance(given, list):
        return "|".join(name for name in given if isinstance(name, str)) or "any"
    if given == "array":
        return f"{_type(schema.get('items'), nesting + 1)}[]"
    if isinstance(given, str):
        return given
    for keyword in ("anyOf", "oneOf"):
        if isinstance(schema.get(keyword), list) and schema[keyword]:
            return "|".join(dict.fromkeys(_type(sub, nesting + 1) for sub in schema[keyword]))
    return "object" if _properties(schema) else "any"


def _brief(function: Mapping[str, Any]) -> dict[str, Any]:
    schema = _schema(function)
    return {"name": function["name"], "parameters": {**_compact_schema(schema), "type": "object"}}


def _compact_schema(schema: object, nesting: int = 0) -> dict[str, Any]:
    """Keep types, listed values, what is required, and the same of what is inside."""
    if not isinstance(schema, Mapping) or nesting > 2 * MAX_NESTING:
        return {}
    kept = {keyword: schema[keyword] for keyword in KEPT if keyword in schema}
    if properties := _properties(schema):
        kept["properties"] = {name: _compact_schema(sub, nesting + 1) for name, sub in properties.items()}
    if isinstance(schema.get("items"), Mapping):
        kept["items"] = _compact_schema(schema["items"], nesting + 1)
    for keyword in ("anyOf", "oneOf"):
        if isinstance(schema.get(keyword), list):
            variants = [_compact_schema(sub, nesting + 1) for sub in schema[keyword]]
            if all(isinstance(variant.get("type"), str) and len(variant) == 1 for variant in variants):
                kept["type"] = [variant["type"] for variant in variants]
            else:
                kept[keyword] = variants
    return kept


def render_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return messages of the roles system, user and assistant, their contents texts.

    Calls follow the text of their message as `<tool_call>` blocks; results become `<tool_result>` blocks in one user
    message. Messages that are plain already come back as they are.
    """
    names: dict[str, str] = {}
    rendered: list[dict[str, Any]] = []
    results: list[str] = []
    for message in messages:
        if message.get("role") in ("tool", "function"):
            results.append(_result(message, names))
            continue
        if results:
            rendered.append({"role": "user", "content": "\n".join(results)})
            results = []
        rendered.append(_plain(message, names))
    if results:
        rendered.append({"role": "user", "content": "\n".join(results)})
    return rendered


def _plain(message: Mapping[str, Any], names: dict[str, str]) -> dict[str, Any]:
    role = {"developer": "system"}.get(str(message.get("role")), message.get("role"))
    text = text_of(message.get("content"))
    if role != "assistant":
        return {"role": role if role == "system" else "user", "content": text}
    calls = list(_calls(message))
    for call in calls:
        names[str(call.get("id"))] = _name(call)
    return {"role": role, "content": "\n".join([*([text] if text or not calls else []), *map(call_text, calls)])}


def _calls(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    calls = message.get("tool_calls")
    yield from (call for call in (calls if isinstance(calls, list) else ()) if isinstance(call, Mapping))
    if isinstance(message.get("function_call"), Mapping):
        yield {"function": message["function_call"]}


def _name(call: Mapping[str, Any]) -> str:
    inner = call.get("function")
    if not isinstance(inner, Mapping):
        inner = call.get("custom")
    return str(inner.get("name") or "") if isinstance(inner, Mapping) else ""


def _result(message: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Write one result; its content cannot end the block."""
    call_id = message.get("tool_call_id")
    name = message.get("name") or names.get(str(call_id))
    known = {key: value for key, value in (("name", name), ("tool_call_id", call_id)) if value}
    return f"<tool_result>\n{_json({**known, 'content': text_of(message.get('content'))})}\n</tool_result>"


def others_in(messages: Sequence[Mapping[str, Any]]) -> int:
    """Count the parts of messages that are no texts: images, sounds, files."""
    contents = [message["content"] for message in messages if isinstance(message.get("content"), list)]
    return sum(1 for content in contents for part in content if is_other(part))


def is_other(part: object) -> bool:
    """Tell whether a part of a content is no text."""
    return isinstance(part, Mapping) and not any(isinstance(part.get(key), str) for key in TEXT_KEYS)


def text_of(content: object) -> str:
    """Join the texts of a content; what is no text is named in brackets."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "\n".join(map(_part_text, parts))


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        return ""
    for key in TEXT_KEYS:
        if isinstance(part.get(key), str):
            return str(part[key])
    kind = {"image_url": "image", "input_image": "image", "input_audio": "audio"}.get(str(part.get("type")), "file")
    return f"[{kind} left out: this model reads text only]"


def call_text(call: Mapping[str, Any]) -> str:
    """Write one OpenAI tool call as the model should have written it."""
    inner = call.get("function")
    if isinstance(inner, Mapping):
        return _call_block(_name(call), _arguments(inner.get("arguments")))
    inner = call.get("custom")
    return _call_block(_name(call), inner.get("input") if isinstance(inner, Mapping) else {})


def _call_block(name: str, arguments: object) -> str:
    return f"<tool_call>\n{_json({'name': name, 'arguments': arguments})}\n</tool_call>"


def _arguments(given: object) -> object:
    if not isinstance(given, str):
        return {} if given is None else given
    try:
        return orjson.loads(given)
    except ValueError:
        pass
    try:
        return loose_json.read(given).value
    except ValueError:
        return given if given.strip() else {}


def _json(value: object, separators: tuple[str, str] = (", ", ": ")) -> str:
    """Write JSON in which no tag and no control token stands."""
    text = replace_surrogates(json.dumps(value, ensure_ascii=False, separators=separators, default=str))
    return _BREAKS_OUT.sub(r"\\u003c", text)


def repair_message(calls: Sequence[Call], others: bool = False) -> str:
    """Write the user message that asks for these calls once more; `others` of the same answer were sound."""
    begin = "Nothing was run, because these tool calls are not valid:"
    end = "Write them again, complete and corrected, as <tool_call> blocks and nothing else."
    if others:
        begin = "These tool calls are not valid and were not run; the others of your answer were:"
        end = "Write only these again, complete and corrected, as <tool_call> blocks and nothing else."
    lines = [f"- {call.name or 'a call'}: {call.problem or 'not valid'}" for call in calls]
    return "\n".join((begin, *lines, end))
