"""An OpenAI chat body in the simplified dialect: blocks of `<|role|>`, a text and `<|end|>`, calls in marks of their own.

It is not Harmony, only called so by a proxy that made it up (LivioGama/gpt-oss-harmony-groq); no model was trained on it:

    <|system|>
    Be terse.
    <|end|>

    <|system|>
    Available tools:
    - get_time: The time of a city
      Parameters: {"type":"object","properties":{"city":{"type":"string"}}}

    To call a tool, write: <|tool_call|>function_name({"param": "value"})<|end_tool_call|>
    <|end|>

    <|user|>
    What time is it in Seoul?
    <|end|>

    <|assistant|>

Reasoning has no place in it. All system texts stand in the first block; results stand in `<|tool_result|>` blocks, a
line `Tool: name` above the result.
"""

from collections.abc import Iterator, Mapping

from app.emulation import harmony_body as read
from app.emulation.harmony_body import Function, HistoryCall
from app.emulation.harmony_guard import simple_guard as guard
from app.emulation.harmony_names import Names
from app.emulation.harmony_schema import as_json

DEFAULT = "You are a helpful assistant."
HOW_TO_CALL = 'To call a tool, write: <|tool_call|>function_name({"param": "value"})<|end_tool_call|>'
ANSWER = "<|assistant|>"


def render(body: Mapping, *, names: Names | None = None) -> str:
    """Return the prompt, which ends with an open `<|assistant|>`; stop at `<|end|>`. Never raises."""
    offered = read.functions(body)
    names = names or Names(function.name for function in offered)
    blocks = [block("system", guard("\n\n".join(read.instructions(read.messages_of(body)) or [DEFAULT])))]
    if offered:
        blocks.append(block("system", tools_text(body, offered, names)))
    if wanted := response_format(body):
        blocks.append(block("system", guard(wanted)))
    return "\n\n".join([*blocks, *conversation(body, names), ANSWER])


def prefill(body: Mapping, names: Names) -> str:
    """Return the opening of the one call that `tool_choice` asks for, "" when the model may choose."""
    name = read.choice(body, read.functions(body)).name
    return f"\n<|tool_call|>{names.sent(name)}(" if name else ""


def tools_text(body: Mapping, offered: list[Function], names: Names) -> str:
    """Return the list of tools and how to call them."""
    lines = ["Available tools:"]
    for function in offered:
        lines.append(guard(f"- {names.sent(function.name)}: {function.description or 'no description'}"))
        if function.parameters is not None:
            lines.append(guard(f"  Parameters: {as_json(function.parameters)}"))
    lines += ["", HOW_TO_CALL]
    chosen = read.choice(body, offered)
    if chosen.mode == "required":
        what = f"the tool {names.sent(chosen.name)}" if chosen.name else "at least one tool"
        lines.append(f"You must call {what} now.")
    return "\n".join(lines)


def response_format(body: Mapping) -> str:
    """Return the sentence that a structured output becomes."""
    given = body.get("response_format")
    kind = given.get("type") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or kind not in ("json_schema", "json_object"):
        return ""
    form = given.get("json_schema", given)
    schema = form.get("schema") if kind == "json_schema" and isinstance(form, Mapping) else None
    if not schema:
        return "Answer with one JSON object and nothing else."
    return f"Answer with nothing but JSON that fits this schema:\n{as_json(schema)}"


def conversation(body: Mapping, names: Names) -> Iterator[str]:
    """Yield the blocks of the history."""
    messages = [message for message in read.messages_of(body) if not read.is_instruction(message)]
    for message, caller in read.with_callers(messages):
        text = guard(read.text_of(message.get("content")))
        if caller:
            yield block("tool_result", f"Tool: {names.sent(caller)}\nResult: {text}")
        elif message.get("role") != "assistant":
            yield block("user", text)
        else:
            said = guard(read.said(message))
            lines = [said] if said.strip() else []
            if lines := lines + [call_text(call, names) for call in read.calls(message)]:
                yield block("assistant", "\n".join(lines))


def call_text(call: HistoryCall, names: Names) -> str:
    """Return a call of the history as the model is to write it."""
    return f"<|tool_call|>{names.sent(call.name)}({guard(call.arguments)})<|end_tool_call|>"


def block(role: str, text: str) -> str:
    return f"<|{role}|>\n{text}\n<|end|>"
