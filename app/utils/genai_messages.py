"""OpenAI messages in the shape that OpenTelemetry gives to prompts and answers on a span. Pure.

Shapes: gen-ai-input-messages.json and gen-ai-output-messages.json of the semantic conventions for generative AI: a message
is a role and parts. Pictures and sound are left out: their kind and size stay.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.utils.json_text import load

FINISH_REASONS = {"tool_calls": "tool_call", "function_call": "tool_call"}


def input_messages(messages: object) -> list[dict[str, Any]]:
    """Return the messages of a request; what is none is left out."""
    found = messages if isinstance(messages, list) else []
    return [_message(message) for message in found if isinstance(message, Mapping)]


def output_messages(answer: object) -> list[dict[str, Any]]:
    """Return one message for each choice of a whole answer."""
    choices = answer.get("choices") if isinstance(answer, Mapping) else None
    messages = []
    for choice in choices if isinstance(choices, list) else ():
        message = choice.get("message") if isinstance(choice, Mapping) else None
        if not isinstance(message, Mapping):  # a choice of the older text completions
            message = {"content": choice.get("text")} if isinstance(choice, Mapping) else {}
        reason = choice.get("finish_reason") if isinstance(choice, Mapping) else None
        finish = FINISH_REASONS.get(str(reason), str(reason or "error"))
        messages.append({"role": "assistant", "parts": list(_parts(message)), "finish_reason": finish})
    return messages


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    role = str(message.get("role") or "user")
    if role == "tool":
        part = {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": message.get("content")}
        return {"role": role, "parts": [part]}
    named = {"name": message["name"]} if isinstance(message.get("name"), str) else {}
    return {"role": role, **named, "parts": list(_parts(message))}


def _parts(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(reasoning, str) and reasoning:
        yield {"type": "reasoning", "content": reasoning}
    content = message.get("content")
    for part in _each(content if isinstance(content, list) else [content]):
        if isinstance(part, str) and part:
            yield {"type": "text", "content": part}
        elif isinstance(part, Mapping):
            yield _content_part(part)
    for call in _each(message.get("tool_calls")):
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            name = str(function.get("name") or "")
            arguments = _parsed(function.get("arguments"))
            yield {"type": "tool_call", "id": call.get("id"), "name": name, "arguments": arguments}


def _content_part(part: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(part.get("text"), str):
        return {"type": "text", "content": part["text"]}
    kind = str(part.get("type") or "unknown")
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if isinstance(url, str) and not url.startswith("data:"):
        return {"type": "uri", "modality": "image", "uri": url}
    return {"type": kind, "omitted": len(str(part))}


def _each(values: object) -> Iterable[Any]:
    return values if isinstance(values, list) else ()


def _parsed(arguments: object) -> object:
    try:
        return load(arguments.encode("utf-8", "replace")) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments
