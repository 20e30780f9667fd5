"""The mock model: answers without key or network, word by word, the same every time; a script can make it misbehave.

It knows how an answer is cut into chunks and when they leave; what is said comes from mock_reply. Own options of its
provider (or of one model, under `gateway`) in opencode.json: `delay` (seconds between two words), `reply` (`echo` or
`canned`), `script` (a scenario or the path of a file with one).
"""

import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from app.call import UpstreamCall
from app.engines.mock_reply import Call, Choice, Reply, reply_to
from app.engines.mock_script import Scenario, Step, is_seconds, parse_scenario
from app.errors import (
    TYPES,
    ClientGone,
    ConfigError,
    InvalidRequest,
    UpstreamError,
    UpstreamTimeout,
    UpstreamTruncated,
    error_body,
)
from app.measures import ENGINE, UPSTREAM
from app.sse import DONE

if TYPE_CHECKING:
    from app.utils.model_resolver import Target

ROOT = Path(__file__).resolve().parents[2]
WORD = re.compile(r"\S+\s*|\s+")

Batch = list[dict[str, Any]]
Delta = tuple[dict[str, Any], str | None]


def complete(body: dict[str, Any], target: "Target", call: UpstreamCall) -> dict[str, Any]:
    """Return a whole answer. Raises InvalidRequest, ConfigError, ClientGone, and what a script tells it to raise.

    An answer takes as long as its words would in a stream.
    """
    reply = reply_to(body, target.options, scenario_for(target))
    step, words = reply.step, sum(len(deltas_of(choice, reply.step)) for choice in reply.choices)
    seconds = delay_of(step, target) * words + (step.seconds if step.stall_after is not None else 0)
    for _ in wait(seconds, call.timeouts.first_byte, call):
        pass
    if fails_after(step) is not None:
        raise scripted_error(step)
    if step.cut_after is not None:
        raise UpstreamTruncated("The upstream hung up before the answer was complete.")
    answer = step.raw_answer if step.raw_answer is not None else completion(reply, body)
    call.trace.note("upstream_response", orjson.dumps(answer))
    return answer


def stream(body: dict[str, Any], target: "Target", call: UpstreamCall) -> Iterator[Batch]:
    """Return the batches of an answer, one for each word; empty ones while it stalls.

    Raises InvalidRequest and ConfigError at once; the iterator raises ClientGone, and what a script tells it to raise.
    """
    reply = reply_to(body, target.options, scenario_for(target))
    return send(batches_of(reply, body), reply.step, delay_of(reply.step, target), call)


def send(batches: list[Batch], step: Step, delay: float, call: UpstreamCall) -> Iterator[Batch]:
    """Yield the batches in time, with the faults of a step at their places; tells `call` how the stream ended."""
    total = len(batches)
    places = (step.stall_after, fails_after(step), step.cut_after)
    stall, fail, cut = (at if at is None else min(at, total) for at in places)
    call.saw_done = False
    for number in range(total + 1):
        silence = call.timeouts.idle if number else call.timeouts.first_byte
        yield from wait((step.seconds if number == stall else 0) + (delay if number else 0), silence, call)
        if number == fail:
            error = scripted_error(step)
            if number:
                call.trace.raw([error_event(error)])
            raise error
        if number == cut:
            return
        if number < total:
            call.trace.raw([orjson.dumps(chunk) for chunk in batches[number]])
            yield batches[number]
    call.trace.raw([DONE])
    call.saw_done = True


def wait(seconds: float, limit: float, call: UpstreamCall) -> Iterator[Batch]:
    """Wait as an upstream would be waited for: an empty batch each `call.keep_alive` seconds, no longer than `limit`.

    Raises ClientGone as soon as the call is cancelled, UpstreamTimeout at the limit.
    """
    end, lap = time.monotonic() + min(seconds, limit), call.trace.measures.lap
    while True:
        left = end - time.monotonic() if seconds else 0
        if left > 0:
            lap(ENGINE)
            call.cancel.wait(min(left, call.keep_alive or left))
            lap(UPSTREAM)
        if call.cancel.cancelled:
            raise ClientGone("The client went away.")
        if left <= 0 or end - time.monotonic() <= 0:
            break
        yield []
    if seconds > limit:
        raise UpstreamTimeout(f"The mock was silent for {limit:g} seconds.")


def fails_after(step: Step) -> int | None:
    """Return after how many chunks a step fails, None when it does not."""
    return step.error_after if step.error_after is not None else (0 if step.error is not None else None)


def scripted_error(step: Step) -> UpstreamError:
    """Return the error that a script describes, as an upstream's refusal with that status, body and Retry-After."""
    said = step.error or {}
    status = said.get("status", 500)
    kind = said.get("type") or TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    headers = {"Retry-After": f"{said['retry_after']:g}"} if "retry_after" in said else {}
    fields = {"status": status, "type": kind, "code": said.get("code")}
    error = UpstreamError(said.get("message", "The mock was told to fail."), headers=headers, **fields)
    error.upstream_status, error.upstream_headers = status, headers
    error.upstream_body = orjson.dumps(error_body(error))
    return error


def error_event(error: UpstreamError) -> bytes:
    """Return an error as an upstream says it in the middle of a stream, where there is no status but in its code."""
    said = {"message": str(error), "type": error.type, "code": error.code or error.upstream_status}
    return orjson.dumps({"error": said})


# --- settings -------------------------------------------------------------------------------------------------------


def scenario_for(target: "Target") -> Scenario | None:
    """Return the scenario that the configuration names, None without one. Raises ConfigError when it is bad."""
    named = target.options.get("script")
    if not named:
        return None
    try:
        return parse_scenario(named if isinstance(named, Mapping) else read_json(named))
    except InvalidRequest as error:
        place = "option script of the mock" if isinstance(named, Mapping) else named
        raise ConfigError(f"{place}: {error}") from None


def read_json(named: object) -> object:
    """Read the JSON file at a path, relative to the gateway's folder. Raises ConfigError."""
    path = ROOT / Path(str(named)).expanduser()
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"scenario {path} cannot be read: {error}") from None


def delay_of(step: Step, target: "Target") -> float:
    """Return the seconds between two chunks. Raises ConfigError for an option that is no number of seconds."""
    delay = step.delay if step.delay is not None else target.options.get("delay", 0)
    if not is_seconds(delay):
        raise ConfigError(f"option delay of the mock is {delay!r}; it must be a number of seconds")
    return float(delay)


# --- whole answers and chunks ---------------------------------------------------------------------------------------


def heading(body: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the fields that an answer, and each chunk of a stream, begins with."""
    return {
        "id": f"chatcmpl-{secrets.token_hex(6)}",
        "object": kind,
        "created": int(time.time()),
        "model": body.get("model"),
    }


def completion(reply: Reply, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a reply as a chat.completion."""
    choices = [
        {
            "index": index,
            "message": message_of(choice),
            "logprobs": None,
            "finish_reason": choice.finish_reason,
        }
        for index, choice in enumerate(reply.choices)
    ]
    answer = {**heading(body, "chat.completion"), "choices": choices}
    return answer if reply.usage is None else {**answer, "usage": dict(reply.usage)}


def message_of(choice: Choice) -> dict[str, Any]:
    """Return a choice as an assistant message."""
    message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
    if choice.reasoning is not None:
        message["reasoning_content"] = choice.reasoning
    if choice.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in choice.calls
        ]
    return message


def batches_of(reply: Reply, body: Mapping[str, Any]) -> list[Batch]:
    """Return a reply as batches of chat.completion.chunk; the n choices advance side by side."""
    step = reply.step
    if step.raw_chunks is not None:
        return [list(item) if isinstance(item, list) else [item] for item in step.raw_chunks]
    head = heading(body, "chat.completion.chunk")
    columns = zip_longest(*(deltas_of(choice, step) for choice in reply.choices))
    batches = [
        [
            {**head, "choices": [{"index": index, "delta": delta[0], "finish_reason": delta[1]}]}
            for index, delta in enumerate(column)
            if delta is not None
        ]
        for column in columns
    ]
    options = body.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage") and reply.usage is not None:
        batches.append([{**head, "choices": [], "usage": dict(reply.usage)}])
    return batches


def deltas_of(choice: Choice, step: Step) -> list[Delta]:
    """Return the deltas of one choice, each with its finish_reason: role, thoughts, text, tool calls, the end."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "" if choice.text is not None else None}]
    deltas += [{"reasoning_content": piece} for piece in pieces_of(choice.reasoning or "", step.chunk)]
    deltas += [{"content": piece} for piece in pieces_of(choice.text or "", step.chunk)]
    for index, call in enumerate(choice.calls):
        deltas += call_deltas(call, index, step)
    sent: list[Delta] = [(delta, None) for delta in deltas]
    return sent if choice.finish_reason is None else [*sent, ({}, choice.finish_reason)]


def call_deltas(call: Call, index: int, step: Step) -> list[dict[str, Any]]:
    """Return the deltas of one tool call: id and name first, then the arguments; all at once for `chunk: whole`."""
    size = step.arguments_pieces
    if size is None:
        pieces = pieces_of(call.arguments, step.chunk)
    else:
        pieces = [call.arguments[start : start + size] for start in range(0, len(call.arguments), size)]
    first = pieces.pop(0) if step.chunk == "whole" and pieces else ""
    opening = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": first}}
    calls: list[dict[str, Any]] = [opening, *({"function": {"arguments": piece}} for piece in pieces)]
    return [{"tool_calls": [{"index": index, **delta}]} for delta in calls]


def pieces_of(text: str, chunk: str) -> list[str]:
    """Cut a text so that the pieces join to it again: words with the space behind them, characters, or the whole."""
    if chunk == "word":
        return WORD.findall(text)
    return list(text) if chunk == "char" else [text] * bool(text)
