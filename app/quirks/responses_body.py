"""A body in the shape of OpenAI's Responses API -> a chat completion request; knows shapes only, no client and no
upstream.
"""

from app.quirks.report import Note
from app.quirks.rule import Facts, Rule

# Fields of Responses that chat completions have not; the rest of the names are the same.
ONLY_RESPONSES = (
    "input",
    "instructions",
    "max_output_tokens",
    "reasoning",
    "text",
    "include",
    "previous_response_id",
    "truncation",
    "background",
    "conversation",
    "prompt",
    "max_tool_calls",
)
CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
CHAT_FIELDS = ("role", "name", "tool_calls", "tool_call_id", "extra_content")
OUTPUTS = ("function_call_output", "custom_tool_call_output")


def is_responses_body(body: dict) -> bool:
    """Tell whether a body sent to /chat/completions has the shape of /responses: `input` and no messages."""
    return not body.get("messages") and isinstance(body.get("input"), (str, list))


def from_responses(body: dict, facts: Facts, note: Note) -> None:
    """Cursor's agent mode sends Responses-shaped bodies to /chat/completions and expects chat chunks back
    (litellm#34029, CLIProxyAPI#658).
    """
    if not is_responses_body(body):
        return
    note("input", "Responses-shaped body", "messages")
    given = {name: body.pop(name) for name in ONLY_RESPONSES if name in body}
    body["messages"] = read_messages(given.get("instructions"), given["input"])
    limit = given.get("max_output_tokens")
    if limit is not None:
        if "max_tokens" in facts.defaulted:
            body.pop("max_tokens", None)
        if "max_tokens" not in body:
            body["max_completion_tokens"] = limit
    reasoning = given.get("reasoning")
    if isinstance(reasoning, dict) and isinstance(reasoning.get("effort"), str):
        body.setdefault("reasoning_effort", reasoning["effort"])
    text = given.get("text")
    response_format = read_format(text.get("format")) if isinstance(text, dict) else None
    if response_format:
        body.setdefault("response_format", response_format)


def read_format(given: object) -> dict | None:
    """Return `text.format` as `response_format`, None for plain text."""
    if not isinstance(given, dict) or given.get("type") not in ("json_schema", "json_object"):
        return None
    if given["type"] == "json_object":
        return {"type": "json_object"}
    named = {name: given[name] for name in ("name", "description", "schema", "strict") if name in given}
    return {"type": "json_schema", "json_schema": {"name": "answer", **named}}


def read_messages(instructions: object, given: str | list) -> list[dict]:
    """Return the items of `input` as chat messages; calls in a row belong to one assistant message."""
    messages: list[dict] = []
    if isinstance(instructions, str) and instructions:
        messages.append({"role": "system", "content": instructions})
    if isinstance(given, str):
        return [*messages, {"role": "user", "content": given}]
    for item in given:
        if isinstance(item, dict):
            read_item(item, messages)
        elif isinstance(item, str):
            messages.append({"role": "user", "content": item})
    return messages


def read_item(item: dict, messages: list[dict]) -> None:
    """Append what one item stands for; reasoning and references to stored items stand for nothing here."""
    kind = item.get("type", "message")
    if kind in CALLS:
        call = read_call(item, CALLS[kind])
        last = messages[-1] if messages else {}
        if last.get("role") == "assistant":
            last.setdefault("tool_calls", []).append(call)
        else:
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
    elif kind in OUTPUTS:
        output = item.get("output")
        messages.append({"role": "tool", "tool_call_id": item.get("call_id") or "", "content": read_content(output)})
    elif kind == "message" and isinstance(item.get("role"), str):
        fields = {name: value for name, value in item.items() if name in CHAT_FIELDS}
        messages.append({**fields, "content": read_content(item.get("content"))})


def read_call(item: dict, field: str) -> dict:
    """Return a call item as a tool call; a custom tool's free text becomes the argument `input`."""
    arguments = item.get(field)
    if field == "input":
        arguments = {"input": arguments}
    name = item.get("name") if isinstance(item.get("name"), str) else ""
    call = {"id": item.get("call_id") or item.get("id") or "", "type": "function"}
    return {**call, "function": {"name": name, "arguments": arguments}} | extra_of(item)


def extra_of(item: dict) -> dict:
    return {"extra_content": item["extra_content"]} if isinstance(item.get("extra_content"), dict) else {}


def read_content(content: object) -> object:
    """Return content as text where it is only text, else its parts (their names are put right later)."""
    if not isinstance(content, list):
        return content
    texts = [part.get("text") for part in content if isinstance(part, dict) and str(part.get("type")).endswith("text")]
    strings = [text for text in texts if isinstance(text, str)]
    return "\n".join(strings) if len(strings) == len(content) else content


RULES = (Rule("client.responses_body", "request", (), from_responses),)
