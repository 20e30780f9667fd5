"""The strictest reading of Gemini's OpenAI-compatible endpoint: what it would refuse in a request, in sentences.

Written from error texts, not from the repairs, and kept simple on purpose: it is what the repairs are measured by.
"""

import json
import re

SCHEMA_KEYS = {
    "type", "format", "description", "nullable", "enum", "items", "properties", "required", "minimum", "maximum",
    "anyOf"
}  # fmt: skip
TYPES = {"string", "integer", "number", "boolean", "object", "array"}
TOP = {
    "model", "messages", "tools", "tool_choice", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop",
    "stream", "stream_options", "response_format", "reasoning_effort", "extra_body",
}  # fmt: skip
FIELDS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls", "extra_content"},
    "tool": {"role", "content", "tool_call_id", "name"},
}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


def refusals(body: dict, *, signatures: bool = True) -> list[str]:
    """Return what strict Gemini would say to `body`; empty when it would take it."""
    found = [f'Unknown name "{name}": Cannot find field.' for name in body if name not in TOP]
    if "max_tokens" in body and "max_completion_tokens" in body:
        found.append("both token limits")
    found += tool_refusals(body)
    found += message_refusals(body["messages"])
    if signatures:
        found += missing_signatures(body["messages"])
    return found


def tool_refusals(body: dict) -> list[str]:
    tools = body.get("tools", [])
    found = ["tools are empty"] if "tools" in body and not tools else []
    found += ["too many tools"] if len(tools) > 512 else []
    names = [tool["function"]["name"] for tool in tools]
    found += ["duplicate declaration"] if len(set(names)) != len(names) else []
    for tool in tools:
        function = tool["function"]
        found += [f"unknown in tool: {name}" for name in tool if name not in ("type", "function")]
        found += [f"unknown in function: {key}" for key in function if key not in ("name", "description", "parameters")]
        found += [] if NAME.fullmatch(function["name"]) else [f"bad name {function['name']}"]
        if "parameters" in function:
            found += [] if function["parameters"].get("type") == "object" else ["parameters are no object"]
            found += schema_refusals(function["parameters"], function["name"])
    return found


def schema_refusals(schema: object, path: str) -> list[str]:
    if not isinstance(schema, dict):
        return [f"{path}: not a schema"]
    found = [f'Unknown name "{key}" at {path!r}: Cannot find field.' for key in schema if key not in SCHEMA_KEYS]
    if "anyOf" in schema:
        found += [] if len(schema["anyOf"]) > 1 else [f"{path}: union of one"]
        for variant in schema["anyOf"]:
            found += schema_refusals(variant, f"{path}.any_of")
        return found + [
            f"{path}: fields beside any_of" for key in schema if key not in ("anyOf", "description", "nullable")
        ]
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        return [*found, f"{path}: type {kind!r}"]
    found += [f"{path}: enum"] if "enum" in schema and not is_enum(schema) else []
    for bound in ("minimum", "maximum"):
        found += [f"{path}: {bound}"] if bound in schema and not is_bound(schema, bound) else []
    if schema.get("format") not in {"string": ("enum", "date-time")}.get(
        kind, ("int32", "int64", "float", "double")
    ) + (None,):
        found.append(f"{path}: format {schema['format']}")
    if kind == "array":
        found += schema_refusals(schema.get("items"), f"{path}.items")
    if kind == "object":
        found += [] if schema.get("properties") else [f"{path}: should be non-empty for OBJECT type"]
        for name, sub in schema.get("properties", {}).items():
            found += schema_refusals(sub, f"{path}.properties.{name}")
        missing = [name for name in schema.get("required", []) if name not in schema.get("properties", {})]
        found += [f"{path}: required {name} is not defined" for name in missing]
    return found


def is_enum(schema: dict) -> bool:
    values = schema["enum"]
    return schema["type"] == "string" and bool(values) and all(isinstance(value, str) and value for value in values)


def is_bound(schema: dict, bound: str) -> bool:
    value = schema[bound]
    return schema["type"] in ("integer", "number") and not isinstance(value, bool) and abs(value) < 2**53 - 1


def message_refusals(messages: list[dict]) -> list[str]:
    roles = [message["role"] for message in messages]
    found = ["contents is not specified"] if not {"user", "tool"} & set(roles) else []
    found += ["system message ignored"] if "system" in roles[1:] else []
    found += ["ends with the assistant"] if roles[-1] == "assistant" else []
    found += [
        f"{role} twice in a row" for role, after in zip(roles, roles[1:], strict=False) if role == after != "tool"
    ]
    for message in messages:
        found += [f"{message['role']}.{field}" for field in message if field not in FIELDS.get(message["role"], ())]
        found += content_refusals(message)
    return found + pairing_refusals(messages)


def content_refusals(message: dict) -> list[str]:
    content = message.get("content")
    if message.get("tool_calls") and "content" not in message:
        return []
    if not content:
        return ["contents.parts must not be empty"]
    if isinstance(content, str):
        return []
    if message["role"] == "tool":
        return ["tool content is an array"]
    empty = [part for part in content if part.get("type") == "text" and not part.get("text")]
    odd = [part for part in content if "cache_control" in part or part.get("type") == "file"]
    return ["empty part" for _ in empty] + ["odd part" for _ in odd]


def pairing_refusals(messages: list[dict]) -> list[str]:
    found: list[str] = []
    expected: list[tuple[str, str]] = []
    seen: set[str] = set()
    for before, message in zip([{"role": ""}, *messages], messages, strict=False):
        if message["role"] == "tool":
            if not expected or expected.pop(0) != (message.get("tool_call_id"), message.get("name")):
                found.append("function response without its call")
            continue
        found += ["number of function response parts"] if expected else []
        expected = []
        for call in message.get("tool_calls", ()):
            found += ["call after no user turn"] if before["role"] not in ("user", "tool") else []
            found += [] if call["id"] and call["id"] not in seen else ["ids"]
            found += [] if NAME.fullmatch(call["function"]["name"]) else ["call's name"]
            found += [] if is_object(call["function"]["arguments"]) else ["arguments"]
            found += [key for key in call if key not in ("id", "type", "function", "extra_content")]
            seen.add(call["id"])
            expected.append((call["id"], call["function"]["name"]))
    return found + (["number of function response parts"] if expected else [])


def is_object(text: object) -> bool:
    return isinstance(text, str) and isinstance(json.loads(text), dict)


def missing_signatures(messages: list[dict]) -> list[str]:
    firsts = [message["tool_calls"][0] for message in messages if message.get("tool_calls")]
    return [
        f"Function call is missing a thought_signature: {call['function']['name']}"
        for call in firsts
        if not call.get("extra_content", {}).get("google", {}).get("thought_signature")
    ]
