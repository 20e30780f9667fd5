"""Put the chunks of a stream together to the answer a client would build: knows OpenAI's chunk, repairs nothing."""

from collections.abc import Iterable


def assemble(chunks: Iterable[object]) -> dict:
    """Return `{"choices": [{"index", "message", "finish_reason"}], "usage"?, "model"?, "id"?}` from chunks in order.

    What is not a chunk is passed over; unknown texts in a delta are joined, other unknown values kept as last seen.
    """
    answer: dict = {}
    choices: dict[object, dict] = {}
    for chunk in chunks:
        if not isinstance(chunk, dict):
            continue
        for key in ("id", "model", "usage", "error"):
            if chunk.get(key):
                answer[key] = chunk[key]
        for choice in _dicts(chunk.get("choices")):
            index = choice.get("index", 0) if isinstance(choice.get("index", 0), int) else 0
            _add_choice(choices.setdefault(index, {"index": index, "message": {}, "finish_reason": None}), choice)
    answer["choices"] = [_with_lists(choices[index]) for index in sorted(choices, key=str)]
    return answer


def _add_choice(whole: dict, choice: dict) -> None:
    delta = choice.get("delta")
    if isinstance(delta, dict):
        _join(whole["message"], delta)
    if isinstance(choice.get("text"), str):
        whole["text"] = whole.get("text", "") + choice["text"]
    if choice.get("finish_reason"):
        whole["finish_reason"] = choice["finish_reason"]


def _join(message: dict, delta: dict) -> None:
    for key, value in delta.items():
        if key == "tool_calls":
            calls = message.setdefault("tool_calls", {})
            for call in _dicts(value):
                _join_call(calls, call)
        elif isinstance(value, str) and key != "role":
            previous = message.get(key)
            message[key] = previous + value if isinstance(previous, str) else value
        elif value is not None or key not in message:
            message[key] = value


def _join_call(calls: dict, call: dict) -> None:
    index = call.get("index", len(calls))
    whole = calls.setdefault(index if isinstance(index, int) else len(calls), {"function": {}})
    for key, value in call.items():
        if key == "function" and isinstance(value, dict):
            arguments = whole["function"].get("arguments") or ""
            whole["function"].update({name: item for name, item in value.items() if item is not None})
            if isinstance(value.get("arguments"), str):
                whole["function"]["arguments"] = arguments + value["arguments"]
        elif value is not None and key != "index":
            whole[key] = value


def _with_lists(choice: dict) -> dict:
    calls = choice["message"].get("tool_calls")
    if isinstance(calls, dict):
        choice["message"]["tool_calls"] = [calls[index] for index in sorted(calls)]
    return choice


def _dicts(value: object) -> list[dict]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
