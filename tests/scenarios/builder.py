"""Builds one assistant turn as a given upstream would say it, in chunks and as a whole; every oddity is a knob."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.upstream_answers import Answer, Event, json_answer, sse_answer

Call = tuple[str, dict]
USAGE: dict[str, object] = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
SIGNATURE = "EpwCCpkCAXLI2nwMdJvMR"


@dataclass(frozen=True)
class Odd:
    """How an upstream says its turn. The defaults are OpenAI's own way."""

    ids: str = "good"  # good | empty | null | missing | same
    index: str = "good"  # good | zero | missing
    packing: str = (
        "split"  # split: arguments over several chunks | per_call: one whole call a chunk | one_chunk: all in one
    )
    type: bool = True
    arguments: str = "text"  # text | object | empty | null | missing
    repeat: str = ""  # fields each further delta of a call repeats: "name", "id", "id name"
    name_at: int = 0  # the delta of a call that carries its name
    prefix: str = ""  # put before each function's name
    role: str = "first"  # first | every | never | empty
    content_key: bool = True  # content: null beside calls and in the last chunk
    finish: str | None = "right"  # right: what OpenAI would say; None: null; otherwise the raw word
    finish_at: str = "own"  # own | same | every | role_only (a later role-only delta) | never
    finish_key: str = "finish_reason"
    usage_at: str = "own"  # own | every | ride (on the last chunk) | no_choices | null | never
    usage: Mapping[str, object] | None = field(default_factory=lambda: dict(USAGE))
    signatures: bool = False  # Gemini 3: a thought signature on the first call
    reasoning: str = ""
    reasoning_as: str = "reasoning_content"  # or "reasoning", or "thought" for flagged <thought> text
    envelope: tuple[str, ...] = ("id", "object", "created", "model")


PLAIN = Odd()


def right_finish(calls: Iterable[Call], odd: Odd) -> str | None:
    """Say the finish reason of this turn under `odd`."""
    return odd.finish if odd.finish != "right" else "tool_calls" if list(calls) else "stop"


def encode_call(number: int, call: Call, odd: Odd) -> dict:
    """Write one whole call as it stands in an answer (its index included)."""
    name, arguments = call
    ids = {"good": f"call_{number}", "empty": "", "null": None, "same": "call_0"}
    texts = {"text": json.dumps(arguments), "object": arguments, "empty": "", "null": None}
    encoded: dict = {} if odd.index == "missing" else {"index": 0 if odd.index == "zero" else number}
    if odd.ids != "missing":
        encoded["id"] = ids[odd.ids]
    if odd.type:
        encoded["type"] = "function"
    encoded["function"] = {"name": odd.prefix + name}
    if odd.arguments != "missing":
        encoded["function"]["arguments"] = texts[odd.arguments]
    if odd.signatures and number == 0:
        encoded["extra_content"] = {"google": {"thought_signature": SIGNATURE}}
    return encoded


def split_call(call: dict, odd: Odd) -> list[dict]:
    """Cut one whole call into its deltas: the head with empty arguments, then the arguments in three pieces."""
    name, text = call["function"]["name"], call["function"].get("arguments")
    if not isinstance(text, str) or len(text) < 3:
        return [call]
    third = len(text) // 3
    deltas: list[dict] = [{**call, "function": {"arguments": ""}}]
    for piece in (text[:third], text[third : 2 * third], text[2 * third :]):
        delta = {key: call[key] for key in ("index", "id") if key in call and (key == "index" or "id" in odd.repeat)}
        deltas.append({**delta, "function": {"arguments": piece}})
    for number, delta in enumerate(deltas):
        if number == odd.name_at or (number > odd.name_at and "name" in odd.repeat):
            delta["function"] = {"name": name, **delta["function"]}
    return deltas


def call_deltas(calls: Iterable[Call], odd: Odd) -> list[dict]:
    """List the deltas that carry the calls."""
    whole = [encode_call(number, call, odd) for number, call in enumerate(calls)]
    if odd.packing == "one_chunk":
        return [{"tool_calls": whole}] if whole else []
    split = odd.packing == "split" and odd.arguments == "text"
    return [{"tool_calls": [part]} for call in whole for part in (split_call(call, odd) if split else [call])]


def text_deltas(text: str, odd: Odd) -> list[dict]:
    """List the deltas that carry reasoning and text; a text goes out in two halves."""
    flag = {"extra_content": {"google": {"thought": True}}}
    deltas: list[dict] = []
    if odd.reasoning and odd.reasoning_as == "thought":
        deltas = [{"content": f"<thought>{odd.reasoning}", **flag}]
        text = f"</thought>{text}"
    elif odd.reasoning:
        deltas = [{odd.reasoning_as: odd.reasoning}]
    half = (len(text) + 1) // 2 if odd.reasoning_as != "thought" else len(text)
    return deltas + [{"content": part} for part in (text[:half], text[half:]) if part]


def wrap(choices: list[dict] | None, odd: Odd, **more: object) -> dict:
    """Put the envelope of a chunk around its choices (None: no such key)."""
    values = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "upstream-model"}
    chunk: dict = {key: values[key] for key in odd.envelope}
    return {**chunk, **({} if choices is None else {"choices": choices}), **more}


def _finished_deltas(deltas: list[dict], word: str | None, odd: Odd) -> list[dict]:
    """Give each delta its choice, and the finish reason its place."""
    choices: list[dict] = [{"index": 0, "delta": delta, odd.finish_key: None} for delta in deltas]
    if odd.finish_at == "every":
        for choice in choices:
            choice[odd.finish_key] = word
    elif odd.finish_at == "same" and choices:
        choices[-1][odd.finish_key] = word
    elif odd.finish_at != "never":
        last = {"role": "assistant"} if odd.finish_at == "role_only" else {}
        choices.append({"index": 0, "delta": last, odd.finish_key: word})
    return choices


def build_chunks(text: str = "", calls: Iterable[Call] = (), odd: Odd = PLAIN) -> list[dict]:
    """Say a turn as a list of chunks, in order."""
    calls = list(calls)
    deltas = text_deltas(text, odd) + call_deltas(calls, odd)
    for number, delta in enumerate(deltas):
        if odd.content_key and "tool_calls" in delta:
            delta.setdefault("content", None)
        if odd.role != "never" and (number == 0 or odd.role == "every"):
            deltas[number] = {"role": "" if odd.role == "empty" else "assistant", **delta}
    choices = _finished_deltas(deltas, right_finish(calls, odd), odd)
    chunks = [wrap([choice], odd) for choice in choices]
    if odd.usage_at == "every":
        chunks = [{**chunk, "usage": odd.usage} for chunk in chunks]
    elif odd.usage_at == "ride" and chunks:
        chunks[-1]["usage"] = odd.usage
    elif odd.usage_at == "null":
        chunks = [{**chunk, "usage": None} for chunk in chunks]
    elif odd.usage_at == "own":
        chunks.append(wrap([], odd, usage=odd.usage))
    elif odd.usage_at == "no_choices":
        chunks.append(wrap(None, odd, usage=odd.usage))
    return chunks


def build_completion(text: str = "", calls: Iterable[Call] = (), odd: Odd = PLAIN) -> dict:
    """Say the same turn as a whole answer."""
    calls = list(calls)
    message: dict = {} if odd.role == "never" else {"role": "" if odd.role == "empty" else "assistant"}
    if odd.reasoning and odd.reasoning_as == "thought":
        text = f"<thought>{odd.reasoning}</thought>{text}"
        message["extra_content"] = {"google": {"thought": True}}
    elif odd.reasoning:
        message[odd.reasoning_as] = odd.reasoning
    if text or odd.content_key:
        message["content"] = text or None
    if calls:
        encoded = [encode_call(number, call, odd) for number, call in enumerate(calls)]
        kept = {"index"} if odd.index == "zero" else set()
        message["tool_calls"] = [{k: v for k, v in call.items() if k != "index" or k in kept} for call in encoded]
    choice: dict = {"index": 0, "message": message}
    if odd.finish_at != "never":
        choice[odd.finish_key] = right_finish(calls, odd)
    answer = wrap([choice], odd)
    if "object" in answer:
        answer["object"] = "chat.completion"
    return answer if odd.usage_at == "never" else {**answer, "usage": None if odd.usage_at == "null" else odd.usage}


def stream_of(chunks: Iterable[Event], **options: object) -> Answer:
    """Answer with these chunks as server-sent events."""
    return sse_answer(chunks, **options)  # type: ignore[arg-type]


def answer_of(value: object, status: int = 200, **headers: str) -> Answer:
    """Answer with this JSON."""
    return json_answer(value, status, {name.replace("_", "-"): text for name, text in headers.items()})
