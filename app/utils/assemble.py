"""Put the chunks of a stream together to the answer a client would build: knows OpenAI's chunk, repairs nothing."""

from collections.abc import Iterable


def assemble(chunks: Iterable[object]) -> dict:
    """Return `{"choices": [{"index", "message", "finish_reason"}], "usage"?, "model"?, "id"?}` from chunks in order.

    What is not a chunk is passed over; unknown texts in a delta are joined, other unknown values kept as last seen.
    """
    answer: dict = {}
    choices: dict[int, dict] = {}
    for chunk in chunks:
        if not isinstance(chunk, dict):
            continue
        for key in ("id", "model", "usage", "error"):
            if chunk.get(key):
                answer[key] = chunk[key]
        for choice in _dicts(chunk.get("choices")) or _frame(chunk):
            index = choice.get("index", 0) if isinstance(choice.get("index", 0), int) else 0
            _add_choice(choices.setdefault(index, {"index": index, "message": {}, "finish_reason": None}), choice)
    answer["choices"] = [_whole(choices[index]) for index in sorted(choices)]
    return answer


class _Pieces(list[str]):
    """A text that grows: joined once, at the end, so that an answer of any length takes linear time."""


def _add_choice(whole: dict, choice: dict) -> None:
    delta = choice.get("delta")
    if isinstance(delta, dict):
        _join(whole["message"], delta)
    if isinstance(choice.get("text"), str):
        _join_text(whole, "text", choice["text"])
    if choice.get("finish_reason"):
        whole["finish_reason"] = choice["finish_reason"]
    if isinstance(choice.get("logprobs"), dict):
        _extend(whole.setdefault("logprobs", {}), choice["logprobs"])


def _extend(whole: dict, piece: dict) -> None:
    for key, value in piece.items():
        if isinstance(value, list):
            whole.setdefault(key, []).extend(value)


def _join(message: dict, delta: dict) -> None:
    for key, value in delta.items():
        if key == "tool_calls":
            calls = message.setdefault("tool_calls", {})
            for call in _dicts(value):
                _join_call(calls, call)
        elif isinstance(value, str) and key != "role":
            _join_text(message, key, value)
        elif value is not None or key not in message:
            message[key] = value


def _join_call(calls: dict, call: dict) -> None:
    index = call.get("index", len(calls))
    whole = calls.setdefault(index if isinstance(index, int) else len(calls), {"function": {}})
    for key, value in call.items():
        if key == "function" and isinstance(value, dict):
            for name, item in value.items():
                if name == "arguments" and isinstance(item, str):
                    _join_text(whole["function"], name, item)
                elif item is not None:
                    whole["function"][name] = item
        elif value is not None and key != "index":
            whole[key] = value


def _join_text(whole: dict, key: str, text: str) -> None:
    pieces = whole.get(key)
    if isinstance(pieces, _Pieces):
        pieces.append(text)
    else:
        whole[key] = _Pieces([text])


def _whole(choice: dict) -> dict:
    """Return a choice with its texts joined and its calls in a list; one of a text completion has no message."""
    calls = choice["message"].get("tool_calls")
    if isinstance(calls, dict):
        for call in calls.values():
            call["function"] = _joined(call["function"])
        choice["message"]["tool_calls"] = [calls[index] for index in sorted(calls)]
    choice["message"] = _joined(choice["message"])
    if "text" in choice and not choice["message"]:
        del choice["message"]
    return _joined(choice)


def _joined(value: dict) -> dict:
    return {key: "".join(item) if isinstance(item, _Pieces) else item for key, item in value.items()}


def _frame(chunk: dict) -> list[dict]:
    """Return what a frame of the WebSocket says ({"token": text}, {"done": true, …}) as a choice."""
    if isinstance(chunk.get("token"), str):
        return [{"text": chunk["token"]}]
    return [{"text": "", "finish_reason": chunk.get("finish_reason")}] if chunk.get("done") is True else []


def _dicts(value: object) -> list[dict]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
