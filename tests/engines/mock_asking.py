"""Ask the mock engine directly, in both modes, and read what it said as one message."""

from app.call import UpstreamCall
from app.config import Settings
from app.engines import mock
from app.trace import Trace
from app.utils.model_resolver import resolve_model

MODES = (False, True)
FUNCTION = {
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}, "more": {}},
        "required": ["city", "days"],
    },
}
TOOLS = [{"type": "function", "function": {"name": "other"}}, {"type": "function", "function": FUNCTION}]
WRITE = {"name": "write", "arguments": {"path": "a b", "content": "x"}}


def target_with(**options):
    provider = {"mock": {"options": {"engine": "mock", **options}, "models": {"mock-model": {}}}}
    return resolve_model("mock-model", Settings.load({}, dotenv=False, opencode={"provider": provider}))


def new_call(**fields):
    return UpstreamCall(Trace("POST", "/v1/chat/completions"), **fields)


def request(text="Hello!", **fields):
    return {"model": "mock-model", "messages": [{"role": "user", "content": text}], **fields}


def streamed(body, call=None, **options):
    """Stream an answer; return its chunks."""
    return [chunk for batch in mock.stream(body, target_with(**options), call or new_call()) for chunk in batch]


def answered(body, stream=False, call=None, **options):
    """Ask in one of the two modes; return texts, thoughts, tool calls and finish_reason of each choice, and usage."""
    if not stream:
        answer = mock.complete(body, target_with(**options), call or new_call())
        choices = [{**choice["message"], "finish_reason": choice["finish_reason"]} for choice in answer["choices"]]
        return choices, answer.get("usage")
    chunks = streamed({**body, "stream_options": {"include_usage": True}}, call, **options)
    return [assembled(chunks, index) for index in sorted(indexes(chunks))], chunks[-1].get("usage")


def indexes(chunks):
    return {choice["index"] for chunk in chunks for choice in chunk["choices"]}


def assembled(chunks, index):
    message = {"content": None, "finish_reason": None}
    for choice in (choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index):
        for name in ("content", "reasoning_content"):
            if choice["delta"].get(name) is not None:
                message[name] = (message.get(name) or "") + choice["delta"][name]
        for call in choice["delta"].get("tool_calls", ()):
            calls = message.setdefault("tool_calls", [])
            if call["index"] == len(calls):
                calls.append({"id": call["id"], "type": call["type"], "function": dict(call["function"])})
            else:
                calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
        message["finish_reason"] = message["finish_reason"] or choice["finish_reason"]
    return message


def only(body, stream=False, **options):
    choices, _ = answered(body, stream, **options)
    assert len(choices) == 1
    return choices[0]
