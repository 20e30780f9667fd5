"""Shimmy's /api/generate in terms of a chat: prompt or messages in, text out. Pure.

The shapes are those of its description, which its own server did not keep to; what it took besides is taken too.
"""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from app.errors import InvalidRequest
from app.utils.request_check import NUMBER, TEXT, check_chat_request, check_fields

FIELDS: dict[str, tuple[type, ...]] = {
    "model": TEXT,
    "prompt": TEXT,
    "messages": (list,),
    "system": TEXT,
    "max_tokens": (int,),
    "temperature": NUMBER,
    "top_p": NUMBER,
    "top_k": (int,),
    "stream": (bool,),
}
DEFAULTS = {"max_tokens": 100, "temperature": 0.7}
RANGES = {"max_tokens": (1, 131_072), "temperature": (0, 2), "top_p": (0, 1), "top_k": (0, 1_000_000)}
NOT_PASSED = frozenset({"prompt", "messages", "system", "stream", "stream_options"})
Events = list[dict[str, Any]]


def check_generate_request(body: object) -> dict[str, Any]:
    """Return `body` if it can be asked as a chat. Raises InvalidRequest."""
    if not isinstance(body, dict):
        raise InvalidRequest("The request body must be a JSON object.", code="invalid_type")
    check_fields(body, FIELDS)
    if not body.get("model"):
        raise InvalidRequest("`model` is required.", param="model", code="missing_required_parameter")
    if not body.get("prompt") and not body.get("messages"):
        raise InvalidRequest("`prompt` is required.", param="prompt", code="missing_required_parameter")
    if body.get("prompt") and body.get("messages"):
        raise InvalidRequest("Send `prompt` or `messages`, not both.", param="messages", code="invalid_value")
    for name, (low, high) in RANGES.items():
        if body.get(name) is not None and not low <= body[name] <= high:
            raise InvalidRequest(f"`{name}` must be from {low} to {high}.", param=name, code="invalid_value")
    check_chat_request(as_chat(body))
    return body


def as_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chat request that asks for the same, with this API's defaults. Streams always count their tokens."""
    messages = list(body.get("messages") or [{"role": "user", "content": body["prompt"]}])
    if body.get("system"):
        messages.insert(0, {"role": "system", "content": body["system"]})
    given = {name: value for name, value in body.items() if name not in NOT_PASSED and value is not None}
    chat = {**DEFAULTS, **given, "messages": messages}
    return chat | ({"stream": True, "stream_options": {"include_usage": True}} if body.get("stream") else {})


def format_generation(answer: Mapping[str, Any], requested: str) -> dict[str, Any]:
    """Return a chat.completion as {"model", "choices", "usage", "response"}; `response` is the first text."""
    choices = [
        {
            "text": choice["message"].get("content") or "",
            "index": choice["index"],
            "finish_reason": finish(choice.get("finish_reason")),
        }
        for choice in answer["choices"]
    ]
    text = choices[0]["text"] if choices else ""
    return {"model": requested, "choices": choices, "usage": answer.get("usage"), "response": text}


def generation_events(batches: Iterator[Events]) -> Generator[Events, None, None]:
    """Turn chat chunks into {"choices": [{"text", "index"}]}; the last event has the finish reasons and the usage."""
    ends: dict[int, str] = {}
    usage = None
    try:
        for chunks in batches:
            events = []
            for chunk in chunks:
                usage = chunk.get("usage") or usage
                for choice in chunk["choices"]:
                    if text := choice["delta"].get("content"):
                        events.append({"choices": [{"text": text, "index": choice["index"]}]})
                    if choice.get("finish_reason"):
                        ends[choice["index"]] = finish(choice["finish_reason"])
            yield events
    finally:
        if (close := getattr(batches, "close", None)) is not None:
            close()
    last = [{"text": "", "index": index, "finish_reason": reason} for index, reason in sorted(ends.items())]
    yield [{"choices": last or [{"text": "", "index": 0, "finish_reason": "stop"}], "usage": usage}]


def frame_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event as a frame of the WebSocket: {"token": text}, or the last one, {"done": true, …}."""
    choice = event["choices"][0]
    if "finish_reason" not in choice:
        return {"token": choice["text"]}
    return {"done": True, "finish_reason": choice["finish_reason"], "usage": event["usage"]}


def finish(reason: object) -> str:
    """Return one of this API's reasons: `stop`, `length`, `content_filter`."""
    return str(reason) if reason in ("length", "content_filter") else "stop"
