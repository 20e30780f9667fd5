"""What both text dialects read from an OpenAI chat body: tools, choice, instructions, calls, results, texts.

It knows OpenAI's shapes and nothing of any prompt. What has the wrong type is left out, never an error: bodies that
reach it were checked and repaired before.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from app.emulation.harmony_schema import as_json

UNKNOWN_TOOL = "unknown_tool"


class Function(NamedTuple):
    """One offered tool; `parameters` is its JSON Schema, or None when it takes no arguments."""

    name: str
    description: str
    parameters: Any


class Choice(NamedTuple):
    """What the client asks of the model: "none", "auto" or "required"; `name` is the one tool that must be called."""

    mode: str
    name: str | None = None


class HistoryCall(NamedTuple):
    """One tool call of the history; `arguments` is JSON text, never encoded twice."""

    id: object
    name: str
    arguments: str


def functions(body: Mapping) -> list[Function]:
    """Return the functions that are offered; none when `tool_choice` is "none"."""
    tools = body.get("tools")
    if not isinstance(tools, list) or body.get("tool_choice") == "none":
        return []
    found = (function_of(tool) for tool in tools)
    return [function for function in found if function is not None]


def function_of(tool: object) -> Function | None:
    given = tool.get("function", tool) if isinstance(tool, Mapping) else None
    name = given.get("name") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or not isinstance(name, str) or not name:
        return None
    description = given.get("description")
    return Function(name, description if isinstance(description, str) else "", given.get("parameters") or None)


def choice(body: Mapping, offered: Iterable[Function]) -> Choice:
    """Return the choice among `offered`; a required choice of a single tool names it, an unknown name asks for any."""
    names = [function.name for function in offered]
    given = body.get("tool_choice")
    if not names:
        return Choice("none")
    if isinstance(given, Mapping):
        function = given.get("function", given)
        name = function.get("name") if isinstance(function, Mapping) else None
        return Choice("required", name if name in names else names[0] if len(names) == 1 else None)
    if given == "required":
        return Choice("required", names[0] if len(names) == 1 else None)
    return Choice("auto")


def instructions(messages: Iterable[Mapping]) -> list[str]:
    """Return the texts of the system and developer messages that have any."""
    texts = (text_of(message.get("content")) for message in messages if is_instruction(message))
    return [text for text in texts if text.strip()]


def is_instruction(message: Mapping) -> bool:
    return message.get("role") in ("system", "developer")


def messages_of(body: Mapping) -> list[Mapping]:
    messages = body.get("messages")
    return [one for one in messages if isinstance(one, Mapping)] if isinstance(messages, list) else []


def text_of(content: object) -> str:
    """Return the text of a content; parts are joined by line breaks, what is no text is a note in brackets."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        return as_json(content)
    return "\n".join(part_text(part) for part in content)


def part_text(part: object) -> str:
    """Return the text of one part of a content."""
    if not isinstance(part, Mapping):
        return part if isinstance(part, str) else ""
    for name in ("text", "refusal"):
        if isinstance(part.get(name), str):
            return part[name]
    kind = part.get("type")
    if kind == "image_url":
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, Mapping) else image
        return f"[image left out, this model reads text only{origin(url)}]"
    if kind == "file":
        file = part.get("file")
        title = file.get("filename") if isinstance(file, Mapping) else None
        return f"[file left out, this model reads text only{origin(title)}]"
    what = "audio" if kind == "input_audio" else "content"
    return f"[{what} left out, this model reads text only]"


def origin(url: object) -> str:
    """Return what a note says about an image or file: its address or name, or the media type of a data URL."""
    if not isinstance(url, str) or not url:
        return ""
    return f": {url[5:].partition(';')[0].partition(',')[0][:40]}" if url.startswith("data:") else f": {url[:200]}"


def said(message: Mapping) -> str:
    """Return what an assistant message says to the user: its content, or its refusal."""
    text = text_of(message.get("content"))
    refusal = message.get("refusal")
    return refusal if not text.strip() and isinstance(refusal, str) else text


def reasoning(message: Mapping) -> str:
    """Return the reasoning that a client sent back with an assistant message."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(message.get(name), str) and message[name].strip():
            return message[name]
    return ""


def calls(message: Mapping) -> list[HistoryCall]:
    """Return the tool calls of an assistant message, the older `function_call` too."""
    given = message.get("tool_calls")
    found = [call for call in given if isinstance(call, Mapping)] if isinstance(given, list) else []
    if not found and isinstance(message.get("function_call"), Mapping):
        found = [{"function": message["function_call"]}]
    return [read_call(call) for call in found]


def read_call(call: Mapping) -> HistoryCall:
    function = call.get("function", call)
    function = function if isinstance(function, Mapping) else {}
    name = function.get("name")
    sound = name if isinstance(name, str) and name else UNKNOWN_TOOL
    return HistoryCall(call.get("id"), sound, arguments_text(function.get("arguments")))


def arguments_text(given: object) -> str:
    """Return arguments as JSON text: a text as it is (unless it holds JSON encoded twice), an object written once."""
    if not isinstance(given, str):
        return "{}" if given is None else as_json(given)
    text = given.strip()
    if text.startswith('"'):
        try:
            inner = orjson.loads(text)
        except orjson.JSONDecodeError:
            return given
        return inner if isinstance(inner, str) and inner.lstrip().startswith("{") else given
    return given if text else "{}"


def with_callers(messages: Iterable[Mapping]) -> Iterator[tuple[Mapping, str]]:
    """Yield each message with the name of the tool whose result it is ("" when it is none).

    OpenAI's results carry the id of the call only; the name is looked up in the calls before them.
    """
    known: dict[object, str] = {}
    last = UNKNOWN_TOOL
    for message in messages:
        if message.get("role") not in ("tool", "function"):
            for call in calls(message) if message.get("role") == "assistant" else ():
                last = call.name
                if isinstance(call.id, str):
                    known[call.id] = call.name
            yield message, ""
            continue
        identifier, name = message.get("tool_call_id"), message.get("name")
        named = name if isinstance(name, str) and name else last
        yield message, known.get(identifier, named) if isinstance(identifier, str) else named
