"""What a chat request must look like before anything is done with it. Pure: it checks and changes nothing.

Only what would make no sense to any upstream is refused here (types, missing fields); ranges are the upstream's business.
Names and types are those of OpenAI's CreateChatCompletionRequest.
"""

from collections.abc import Mapping
from typing import Any

from app.errors import InvalidRequest

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
NUMBER, TEXT, LIST, OBJECT = (int, float), (str,), (list,), (dict,)
FIELDS: dict[str, tuple[type, ...]] = {
    "model": TEXT,
    "messages": LIST,
    "temperature": NUMBER,
    "top_p": NUMBER,
    "n": (int,),
    "max_tokens": (int,),
    "max_completion_tokens": (int,),
    "presence_penalty": NUMBER,
    "frequency_penalty": NUMBER,
    "seed": (int,),
    "stream": (bool,),
    "stream_options": OBJECT,
    "stop": (str, list),
    "tools": LIST,
    "tool_choice": (str, dict),
    "parallel_tool_calls": (bool,),
    "response_format": OBJECT,
    "reasoning_effort": TEXT,
    "logit_bias": OBJECT,
    "logprobs": (bool,),
    "top_logprobs": (int,),
    "user": TEXT,
    "functions": LIST,
    "function_call": (str, dict),
    "modalities": LIST,
    "audio": OBJECT,
    "prediction": OBJECT,
}
NAMES = {str: "a string", int: "an integer", float: "a number", bool: "a boolean", list: "an array", dict: "an object"}
POSITIVE = ("max_tokens", "max_completion_tokens", "n")
MOST_CHOICES = 128


def check_chat_request(body: object) -> dict[str, Any]:
    """Return `body` if it is a chat request (without a check of the model's name). Raises InvalidRequest."""
    if not isinstance(body, dict):
        raise InvalidRequest("The request body must be a JSON object.", code="invalid_type")
    check_fields(body, FIELDS)
    if not body.get("messages"):
        raise InvalidRequest(
            "`messages` is required and must be a non-empty array.", param="messages", code="missing_required_parameter"
        )
    for position, message in enumerate(body["messages"]):
        _check_message(message, f"messages[{position}]")
    for position, tool in enumerate(body.get("tools") or ()):
        _check_tool(tool, f"tools[{position}]")
    return body


def check_fields(body: Mapping[str, Any], fields: Mapping[str, tuple[type, ...]]) -> None:
    """Raise InvalidRequest for a field of the wrong type. `null` counts as absent."""
    for name in [name for name in fields if name in body]:
        value, types = body[name], fields[name]
        if value is not None and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
            wanted = " or ".join(NAMES[kind] for kind in types if not (kind is int and float in types))
            raise InvalidRequest(f"`{name}` must be {wanted}.", param=name, code="invalid_type")
    for name in POSITIVE:
        if name in fields and isinstance(body.get(name), int) and body[name] < 1:
            raise InvalidRequest(f"`{name}` must be 1 or more.", param=name, code="invalid_value")
    if isinstance(body.get("n"), int) and body["n"] > MOST_CHOICES:
        raise InvalidRequest(f"`n` must be {MOST_CHOICES} or less.", param="n", code="invalid_value")


def _check_message(message: object, where: str) -> None:
    if not isinstance(message, dict):
        raise InvalidRequest(f"`{where}` must be an object.", param=where, code="invalid_type")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        known = ", ".join(sorted(ROLES))
        raise InvalidRequest(f"`{where}.role` must be one of {known}.", param=f"{where}.role", code="invalid_value")
    content = message.get("content")
    if content is not None and not isinstance(content, str | list):
        raise InvalidRequest(
            f"`{where}.content` must be a string or an array.", param=f"{where}.content", code="invalid_type"
        )
    for index, part in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(part, dict | str):
            raise InvalidRequest(
                f"`{where}.content[{index}]` must be an object.", param=f"{where}.content[{index}]", code="invalid_type"
            )
    _check_calls(message.get("tool_calls"), f"{where}.tool_calls")


def _check_calls(calls: object, where: str) -> None:
    if calls is None:
        return
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise InvalidRequest(f"`{where}` must be an array of objects.", param=where, code="invalid_type")
    for index, call in enumerate(calls):
        if call.get("type", "function") == "function" and not isinstance(call.get("function"), dict):
            raise InvalidRequest(
                f"`{where}[{index}].function` must be an object.",
                param=f"{where}[{index}].function",
                code="invalid_type",
            )


def _check_tool(tool: object, where: str) -> None:
    if not isinstance(tool, dict):
        raise InvalidRequest(f"`{where}` must be an object.", param=where, code="invalid_type")
    function = tool.get("function")
    if function is None:
        return  # flat and custom tools are a matter of `quirks`
    if not isinstance(function, dict):
        raise InvalidRequest(f"`{where}.function` must be an object.", param=f"{where}.function", code="invalid_type")
    if not isinstance(function.get("name"), str) or not function["name"]:
        raise InvalidRequest(
            f"`{where}.function.name` must be a non-empty string.", param=f"{where}.function.name", code="invalid_value"
        )
    if not isinstance(function.get("parameters"), dict | None):
        raise InvalidRequest(
            f"`{where}.function.parameters` must be an object.",
            param=f"{where}.function.parameters",
            code="invalid_type",
        )
