"""An OpenAI chat body as a Harmony prompt: the text that a raw completion of gpt-oss continues.

The text is that of the official library (openai-harmony 0.0.8) to the byte, also where the chat template has another
(`<|constrain|>json`, results as they are, empty properties, nested objects). It differs from the library here:

- Reasoning goes by the chat template's rule, which is the documentation's: it stays with calls that no final answer
  follows, and is dropped everywhere else. (The library drops only what stands before the first answer, and brings it
  back while a later call is open.)
- Control tokens in any text are broken by a zero-width joiner behind `<`; the library encodes them as ordinary text,
  which a text prompt cannot say.
- The content of a message with calls is a preamble on the commentary channel; the template raises or calls it analysis.
- An assistant message without text and calls is left out. Null content, lists of parts, tools without description,
  several system messages (joined by blank lines) and results without a call are all rendered; each of several calls
  is a message of its own, followed by the results in their order. The template raises or loses them.
- `parameters: {}` is a tool without arguments, like no parameters.
- Schemas: see harmony_schema.

`tool_choice` "none" leaves the tools out; "required" and a named tool become a sentence in the instructions, because
a completion cannot be forced. Nearly forced it can be: `prefill` is the text to send behind the prompt.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson

from app.emulation import harmony_body as read
from app.emulation.harmony_body import Function
from app.emulation.harmony_guard import harmony_guard as guard
from app.emulation.harmony_names import Names
from app.emulation.harmony_schema import as_json, typescript
from app.utils.json_text import dump

IDENTITY = "You are ChatGPT, a large language model trained by OpenAI."
CHANNELS = "# Valid channels: analysis, commentary, final. Channel must be included for every message."
CALLS_GO_TO = "Calls to these tools must go to the commentary channel: 'functions'."
EFFORTS = {"none": "low", "minimal": "low", "low": "low", "high": "high", "xhigh": "high", "max": "high"}
ANSWER = "<|start|>assistant"

# Bytes of tools whose section is kept, and how many sections: agents send the same tools with every request.
LARGEST_KEPT = 256 * 1024
KEPT = 32


def render(
    body: Mapping,
    *,
    date: str,
    names: Names | None = None,
    knowledge_cutoff: str = "2024-06",
    identity: str = IDENTITY,
) -> str:
    """Return the prompt, which ends with `<|start|>assistant`. `date` is YYYY-MM-DD, "" for none; never raises.

    `names` gives the tools' identifiers (default: those of the offered tools). Stop at `<|return|>` and `<|call|>`.
    """
    offered = read.functions(body)
    names = names or names_for(body)
    head = [identity, f"Knowledge cutoff: {knowledge_cutoff}"] + ([f"Current date: {date}"] if date else [])
    channels = f"{CHANNELS}\n{CALLS_GO_TO}" if offered else CHANNELS
    system = "\n\n".join(("\n".join(head), f"Reasoning: {effort(body)}", channels))
    parts = [message_text("system", guard(system))]
    if sections := developer_sections(body, offered, names):
        parts.append(message_text("developer", "\n\n".join(sections)))
    parts += conversation(body, names)
    return "".join([*parts, ANSWER])


def names_for(body: Mapping) -> Names:
    """Return the names of the offered tools."""
    return Names(function.name for function in read.functions(body))


def prefill(body: Mapping, names: Names) -> str:
    """Return the header of the one call that `tool_choice` asks for, "" when the model may choose.

    Sent behind the prompt it leaves the model nothing but to write the arguments; it does not reason then. The
    reader of the completion gets it first.
    """
    name = read.choice(body, read.functions(body)).name
    return f"<|channel|>commentary to=functions.{names.sent(name)} <|constrain|>json<|message|>" if name else ""


def effort(body: Mapping) -> str:
    """Return low, medium or high; Harmony knows no other."""
    reasoning = body.get("reasoning")
    given = body.get("reasoning_effort") or (reasoning.get("effort") if isinstance(reasoning, Mapping) else None)
    return EFFORTS.get(given, "medium") if isinstance(given, str) else "medium"


def developer_sections(body: Mapping, offered: list[Function], names: Names) -> list[str]:
    """Return the sections of the developer message: instructions, tools, response format."""
    texts = read.instructions(read.messages_of(body)) + choice_lines(body, offered, names)
    sections = ["# Instructions", guard("\n\n".join(texts))] if texts else []
    if offered:
        sections.append(tools_section(offered, names))
    return sections + response_format(body)


def choice_lines(body: Mapping, offered: list[Function], names: Names) -> list[str]:
    """Return the sentence that a required or named `tool_choice` becomes."""
    chosen = read.choice(body, offered)
    if chosen.mode != "required":
        return []
    what = f"the function functions.{names.sent(chosen.name)}" if chosen.name else "at least one of the functions"
    return [f"Your next message must be a call to {what}. Do not answer before it."]


def tools_section(offered: list[Function], names: Names) -> str:
    """Return the section that declares the tools as types of the namespace `functions`."""
    identifiers = tuple(names.sent(function.name) for function in offered)
    declared = [(function.description, function.parameters) for function in offered]
    try:
        key = dump(declared)
    except RecursionError:  # nested too deep to be written; what is shown of it is cut anyway
        return declare(declared, identifiers)
    return _kept(key, identifiers) if len(key) <= LARGEST_KEPT else declare(declared, identifiers)


@lru_cache(maxsize=KEPT)
def _kept(declared: bytes, identifiers: tuple[str, ...]) -> str:
    return declare(orjson.loads(declared), identifiers)


def declare(declared: Iterable[tuple[str, Any]], identifiers: tuple[str, ...]) -> str:
    """Return the tools section of descriptions and parameters."""
    lines = ["# Tools\n\n## functions\n\nnamespace functions {\n"]
    for name, (description, parameters) in zip(identifiers, declared, strict=True):
        lines += comment(description)
        arguments = f"_: {typescript(parameters)}" if parameters is not None else ""
        lines.append(f"type {name} = ({arguments}) => any;\n")
    lines.append("} // namespace functions")
    return guard("\n".join(lines))


def comment(text: str) -> list[str]:
    """Return a text as comment lines."""
    return [f"// {line}" for line in text.replace("\r\n", "\n").removesuffix("\n").split("\n")] if text else []


def response_format(body: Mapping) -> list[str]:
    """Return the section of a structured output: its name, its description as a comment, its JSON Schema."""
    given = body.get("response_format")
    kind = given.get("type") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or kind not in ("json_schema", "json_object"):
        return []
    found = given.get("json_schema", given) if kind == "json_schema" else {"schema": {"type": "object"}}
    form = found if isinstance(found, Mapping) else {}
    name = " ".join(str(form.get("name") or "response").split())
    described = form.get("description")
    schema = as_json(form.get("schema") or {"type": "object"})
    lines = comment(described) if isinstance(described, str) else []
    return ["# Response Formats", guard(f"## {name}"), guard("\n".join([*lines, schema]))]


def conversation(body: Mapping, names: Names) -> Iterator[str]:
    """Yield the messages of the history."""
    messages = [message for message in read.messages_of(body) if not read.is_instruction(message)]
    answered = max((at for at, message in enumerate(messages) if is_answer(message)), default=-1)
    for at, (message, caller) in enumerate(read.with_callers(messages)):
        if caller:
            header = f"functions.{names.sent(caller)} to=assistant<|channel|>commentary"
            yield message_text(header, guard(read.text_of(message.get("content"))))
        elif message.get("role") == "assistant":
            yield from assistant(message, at > answered, names)
        else:
            yield message_text("user", guard(read.text_of(message.get("content"))))


def is_answer(message: Mapping) -> bool:
    """Tell whether an assistant message ends its turn."""
    return message.get("role") == "assistant" and not read.calls(message)


def assistant(message: Mapping, open_turn: bool, names: Names) -> Iterator[str]:
    """Yield the messages that one assistant message becomes: reasoning, preamble and calls, or the answer."""
    called = read.calls(message)
    said = read.said(message)
    thought = read.reasoning(message) if called and open_turn else ""
    if thought:
        yield message_text("assistant<|channel|>analysis", guard(thought))
    if said.strip():
        yield message_text(f"assistant<|channel|>{'commentary' if called else 'final'}", guard(said))
    for call in called:
        header = f"assistant to=functions.{names.sent(call.name)}<|channel|>commentary <|constrain|>json"
        yield f"<|start|>{header}<|message|>{guard(call.arguments)}<|call|>"


def message_text(header: str, text: str) -> str:
    return f"<|start|>{header}<|message|>{text}<|end|>"
