"""The shape of chunks, choices and deltas in OpenAI's dialect; knows no tool calls, finish reasons or usage."""

import re
from collections.abc import Collection
from itertools import count
from typing import Any

from app.quirks.ledger import Ledger, answer_rule

HEAD = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
NOT_TOP = frozenset({"choices", "usage", "error", "obfuscation"})
# Of a delta these pass by; content, reasoning and calls have their own ways.
PASSED: dict[str, type] = {
    "refusal": str, "reasoning_details": list, "annotations": list, "audio": dict, "images": list,
    "function_call": dict, "extra_content": dict,
}  # fmt: skip
TOP_TEXTS = ("system_fingerprint", "service_tier")
SPOKEN = ("content", "refusal", "audio", "images")
# What a message may bring beside the delta fields and is not passed on.
NOT_MESSAGE = frozenset({*PASSED, "role", "content", "tool_calls", "reasoning", "reasoning_content", "reasoning_text",
                         "thinking", "provider_specific_fields", "index"})  # fmt: skip
SURROGATE = re.compile("[\ud800-\udfff]")


def head_of(chunk: dict) -> dict:
    """Return the fields of a chunk that a chunk of our own repeats."""
    return {name: value for name, value in top_of(chunk).items() if name in HEAD and value is not None}


def top_of(chunk: dict) -> dict:
    """Return the top-level fields of a chunk that pass by."""
    top = {name: value for name, value in chunk.items() if name not in NOT_TOP}
    return top if has_sound_top(chunk) else {name: value for name, value in top.items() if name not in TOP_TEXTS}


def has_sound_top(chunk: dict) -> bool:
    """Tell whether the texts at the top level that reach the client are texts."""
    fingerprint, tier = chunk.get("system_fingerprint"), chunk.get("service_tier")
    return (fingerprint is None or type(fingerprint) is str) and (tier is None or type(tier) is str)


def error_in(chunk: object) -> object | None:
    """Return what says an error in place of a chunk: `{"error": …}`, a list of it (Gemini), or a bare error object."""
    if isinstance(chunk, list):
        return next((found for found in map(error_in, chunk) if found is not None), None)
    if not isinstance(chunk, dict):
        return chunk if isinstance(chunk, str) and chunk.strip() else None
    if chunk.get("error"):
        return chunk
    if "choices" in chunk or "usage" in chunk:
        return None
    named = isinstance(chunk.get("message"), str) and any(name in chunk for name in ("code", "status", "type"))
    return chunk if named or chunk.get("detail") else None


def list_choices(chunk: dict, ledger: Ledger) -> list[dict]:
    """`choices` is missing, null or no list: AI SDK and the naive loop break; such a chunk carries no choice."""
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        ledger.allows_once("stream.choices", "choices", choices, [])
        return []
    return [choice for choice in choices if isinstance(choice, dict)]


def choice_index(choice: dict, position: int) -> int:
    """Return the number of a choice: its own, else its place in the list."""
    index = choice.get("index")
    return index if isinstance(index, int) and not isinstance(index, bool) else position


def choice_number(number: int, taken: Collection[int], wanted: object, ledger: Ledger) -> int:
    """A choice has a number that was not asked for (1 without 0, -1): clients read the one with index 0."""
    asked = wanted if isinstance(wanted, int) and wanted > 0 else 1
    if 0 <= number < asked and number not in taken:
        return number
    free = next(index for index in count() if index not in taken)
    if free == number:
        return number
    return free if ledger.allows("stream.choice_index", "choices", number, free) else number


def find_delta(choice: dict, spoke: bool, ledger: Ledger, where: str) -> dict[str, Any]:
    """A choice has no `delta`: a relay sent a whole answer (`message`) or a completion (`text`) into the stream.

    A message after text is its summary (Perplexity) and says nothing new; a whole answer may bring an empty delta too.
    """
    delta, message = choice.get("delta"), choice.get("message")
    if isinstance(delta, dict):
        whole = not spoke and isinstance(message, dict) and any(raw_finish(choice))
        if not whole or any(value for name, value in delta.items() if name != "role"):
            return delta
    text = choice.get("text")
    found: dict[str, Any] = {"content": text} if isinstance(text, str) else {}
    if isinstance(message, dict) and not spoke:
        found = message
    return found if ledger.allows_once("stream.delta", where, delta, "delta") else {}


def content_text(content: object, ledger: Ledger, where: str) -> tuple[str, str]:
    """Content comes as a list of parts (Mistral) or another value; agents' schemas ask for a string.

    Returns (thoughts, text).
    """
    if isinstance(content, str):
        return "", content
    if not content:
        return "", ""
    thoughts, text = _read_parts(content)
    return (thoughts, text) if ledger.allows_once("stream.content", f"{where}.content", content, text) else ("", "")


def _read_parts(content: object) -> tuple[str, str]:
    thoughts: list[str] = []
    texts: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            (thoughts if part.get("thought") is True else texts).append(part["text"])
        elif isinstance(part, dict) and part.get("thinking"):
            inner = _read_parts(part["thinking"])
            thoughts.append(inner[0] + inner[1])
    return "".join(thoughts), "".join(texts)


def sound_text(text: str, ledger: Ledger, where: str) -> str:
    """Half of a surrogate pair stands in the text (a cut emoji): it cannot be written as UTF-8 and becomes U+FFFD."""
    if text.isascii() or not SURROGATE.search(text):
        return text
    sound = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return sound if ledger.allows_once("stream.surrogates", where, "lone surrogate", "U+FFFD") else text


def role_once(role: object, opened: bool, ledger: Ledger, where: str) -> None:
    """The role is missing, empty, null, `model`, or on each delta (Gemini): it leaves once, as `assistant`, first."""
    if role != "assistant" and role is not None or opened and role is not None:
        ledger.allows_once("stream.role", f"{where}.role", role, "assistant, in the first delta only")


def passed_fields(delta: dict) -> dict[str, Any]:
    """Return the fields of a delta that pass by untouched; nulls, empty values and values of a wrong type say nothing."""
    passed = {name: delta[name] for name, kind in PASSED.items() if delta.get(name) and isinstance(delta[name], kind)}
    called = passed.get("function_call")
    if isinstance(called, dict) and not any(called.values()):
        del passed["function_call"]
    audio = passed.get("audio")
    if isinstance(audio, dict) and not any(audio.values()):
        del passed["audio"]
    return passed


def logprobs_of(choice: dict) -> dict | None:
    """Return OpenAI's log probabilities; other vendors' legacy lists are not passed on."""
    found = choice.get("logprobs")
    if not isinstance(found, dict):
        return None
    lists = {name: found[name] for name in ("content", "refusal") if found.get(name) and _are_tokens(found[name])}
    return {"content": None, "refusal": None, **lists} if lists else None


def _are_tokens(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(item, dict) and "token" in item for item in found)


def raw_finish(choice: dict) -> tuple[str | None, str | None]:
    """Return (finish reason, the reason before a translator's hand) as they came."""
    raw = choice.get("finish_reason") or choice.get("finishReason")
    vendor = choice.get("provider_specific_fields")
    inner = vendor.get("native_finish_reason") if isinstance(vendor, dict) else None
    native = choice.get("native_finish_reason") or inner
    return (str(raw) if raw else None), (str(native) if native else None)


def says_something(chunks: list[dict]) -> bool:
    """Tell whether chunks of ours hold more than a role and reasoning: until then a turn can be asked again.

    Text and calls could not be taken back.
    """
    for chunk in chunks:
        for choice in chunk["choices"]:
            if choice["finish_reason"]:
                return True
            for name, value in choice["delta"].items():
                if value and name != "role" and name != "reasoning_content":
                    return True
    return False


def without_reasoning(chunks: list[dict]) -> list[dict]:
    """Take the reasoning out of chunks of ours, and the chunks that held nothing else."""
    for chunk in chunks:
        for choice in chunk["choices"]:
            choice["delta"].pop("reasoning_content", None)
    return [
        chunk
        for chunk in chunks
        if not chunk["choices"] or any(choice["delta"] or choice["finish_reason"] for choice in chunk["choices"])
    ]


RULES = (
    answer_rule("stream.choices", list_choices),
    answer_rule("stream.choice_index", choice_number),
    answer_rule("stream.delta", find_delta),
    answer_rule("stream.content", content_text),
    answer_rule("stream.surrogates", sound_text),
    answer_rule("stream.role", role_once),
)
