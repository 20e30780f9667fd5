"""What a model said where Groq refuses its tool call: a 400 or an error event with `tool_use_failed` (or, of gpt-oss,
`output_parse_failed`), and the model's own text in `failed_generation`.

Groq's own parser is strict where agents are not: it refuses Llama's `<function=read{"path": "a"}</function>`, names with
leaked Harmony tokens, arguments of a wrong type, and a call where `tool_choice` allows none. It knows neither streams
nor retries.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from app.emulation.events import Call, Event, Reasoning, Text
from app.quirks.ledger import Ledger, answer_rule
from app.quirks.rule import FIX
from app.quirks.sound_calls import mint_id
from app.quirks.tool_names import function_name
from app.utils.json_text import dump

REFUSED_CALLS = ("tool_use_failed", "output_parse_failed")
NOT_ALLOWED = "tool choice is none"  # "…, but model called a tool"
NOT_MADE = "did not call a tool"  # "Tool choice is required, but model …"
ONLY_ARGUMENTS = "parse tool call arguments"  # "Failed to … as JSON": the generation is what should be arguments
ALLOWED = "groq.tool_choice_none"
GROQS_OWN = "Tool use failed"  # Groq's words in place of the model's

# Groq's and Llama's spellings of a call -> `<function=NAME>{…}</function>`. What stands in a string is left alone.
_HEAD = re.compile(r"[<(]function[=/(]\s{0,9}([\w.:-]{1,128})\s{0,9}[=(,>\[\])]{0,3}\s{0,9}(?=\{)")
_TAIL = re.compile(r"\}\s{0,9}\)?\s{0,9}(?:>?\s{0,9}</function>(?=\s{0,99}(?:\Z|[<(]function))|>\s{0,9}\Z)")
_HEADLESS = re.compile(r"\A([\w.:-]{1,128})\s{0,9}\(?\s{0,9}(?=\{)")
_EMPTY = re.compile(r"<function=([\w.:-]{1,128})\s{0,9}(?:/>|\(\s{0,9}\)\s{0,9}>?\s{0,9}</function>)")
_BEFORE, _BEHIND = ("<tool-use>", "<|python_tag|>"), ("</tool-use>", "<|eom_id|>", "<|eot_id|>")
_LEAK = re.compile(r'("name"\s*:\s*"[^"<]*)<\|(?:start|channel|constrain|message|call|end)\|>[^"]*(?=")')
_HARMONY = re.compile(r"<\|(?:start|channel|message|constrain|call|end|return)\|>|\bto=functions\.")
_MARKUP = re.compile(
    r"</?(?:function|tool|invoke|parameter)|<\||\"(?:tool_calls|arguments|parameters)\"|\A\s*(?:```\w*\s*)?[\[{(]"
)
_CODE = re.compile(
    r"\A\s*(?:```|#!|import \w|from \w+ import|def \w+\(|class \w+\b.*:|async def|for \w+ in |while .*:\s*$|print\(|"
    r"[\w.\[\]'\"]+\s*=[^=]|[\w.]+\([^)]*\)\s*(?:$|;))",
    re.MULTILINE,
)


class Refusal(NamedTuple):
    """What Groq says of a call that it refuses, and the model's own text ("" where it says none)."""

    message: str
    generation: str

    @property
    def not_allowed(self) -> bool:
        """Whether the model called although `tool_choice` was none."""
        return NOT_ALLOWED in self.message.lower()

    @property
    def not_made(self) -> bool:
        """Whether the model answered in words although it had to call."""
        return NOT_MADE in self.message


class Generation(NamedTuple):
    """What the model said, read."""

    text: str
    reasoning: str
    calls: tuple[Call, ...]


class Outcome(NamedTuple):
    """What becomes of a refusal: a choice that stands for the generation, or none, and whether to ask once more."""

    choice: dict[str, Any] | None
    again: bool = False


def read_refusal(body: bytes | None) -> Refusal | None:
    """Return what an error body says of a refused call, None when it is about anything else."""
    if not body or not any(code.encode() in body for code in REFUSED_CALLS):
        return None
    try:
        whole = orjson.loads(body)
    except ValueError:
        return None
    error = whole.get("error", whole) if isinstance(whole, dict) else None
    if not isinstance(error, dict) or error.get("code") not in REFUSED_CALLS:
        return None
    generation = error.get("failed_generation")
    if isinstance(generation, dict | list):
        generation = dump(generation).decode()
    return Refusal(str(error.get("message") or ""), generation if isinstance(generation, str) else "")


def may_allow(body: Mapping[str, Any], options: Mapping[str, Any], mode: str) -> bool:
    """Tell whether a request forbids its tools and may be asked again with `tool_choice: auto`."""
    forbidden = bool(body.get("tools")) and body.get("tool_choice") in ("none", {"type": "none"})
    return forbidden and mode == FIX and options.get("toolChoiceNone") != "keep"


def settle(
    refusal: Refusal, body: Mapping[str, Any], ledger: Ledger, *, sent: bool, spoke: bool, last: bool, allowing: bool
) -> Outcome:
    """Decide what becomes of a refusal of `body`, the request as it was sent.

    `sent`: something has left for the client already; `spoke`: text was among it. `last`: it was asked again before.
    `allowing`: a refusal because of `tool_choice: none` is asked again with auto, by whoever asks.
    """
    again = not sent and not last
    forbidden = body.get("tool_choice") == "none" or not body.get("tools")
    if refusal.not_allowed and not sent and (allowing or not forbidden):
        return Outcome(None)  # asked with auto next, or has been
    found = None if refusal.not_allowed and not allowing else read_generation(refusal, body)
    if found is None:
        words = spoke and refusal.not_made and not again and failed_generation(refusal, "stop", ledger)
        return Outcome(_choice("", (), "stop")) if words else Outcome(None, again)
    unsure = any(call.problem for call in found.calls) or (refusal.not_made and not found.calls)
    if again and unsure:
        return Outcome(None, again)
    if not failed_generation(refusal, [call.name for call in found.calls] or "text", ledger):
        return Outcome(None, again)
    finish = "tool_calls" if found.calls else "stop"
    choice = _choice("" if spoke else found.text, found.calls, finish)
    if found.reasoning and not sent:
        choice["delta"]["reasoning_content"] = found.reasoning
    return Outcome(choice)


def _choice(text: str, calls: Sequence[Call], finish: str) -> dict[str, Any]:
    delta: dict[str, Any] = {"content": text} if text else {}
    if calls:
        delta["tool_calls"] = [
            {
                "index": index,
                "id": mint_id(),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for index, call in enumerate(calls)
        ]
    return {"index": 0, "delta": delta, "finish_reason": finish}


def read_generation(refusal: Refusal, body: Mapping[str, Any]) -> Generation | None:
    """Return the calls of declared tools, or the words, of a refused generation; None when it is neither.

    Not read are calls of undeclared tools, code, JSON that is cut, and Groq's own words.
    """
    text = refusal.generation.strip()
    if not text or text.startswith(GROQS_OWN):
        return None
    for spelling in (text, _unescaped(text)):
        found = _read(spelling, body) if spelling else None
        if found is not None:
            return found
    if refusal.not_made and (call := _forced_call(text, body)):
        return Generation("", "", (call,))
    if ONLY_ARGUMENTS in refusal.message or _MARKUP.search(text) or _HARMONY.search(text):
        return None
    words = any(map(str.isalpha, text)) and (refusal.not_made or not _CODE.search(text))
    return Generation(text, "", ()) if words else None


def _unescaped(text: str) -> str:
    """Return a text that was escaped once more than it should be, "" when it was not."""
    if "\\n" not in text and '\\"' not in text:
        return ""
    try:
        found = json.loads(f'"{text}"', strict=False)
    except ValueError:
        return ""
    return found.strip() if isinstance(found, str) else ""


def _read(text: str, body: Mapping[str, Any]) -> Generation | None:
    """Read calls, and the words before them; None where there is none, or where something is left that is neither."""
    harmony = _HARMONY.search(text) and not text.startswith(("{", "["))
    events = _harmony_events(text, body) if harmony else _tagged_events(_spelled(text), body)
    calls = tuple(event for event in events if isinstance(event, Call))
    said = "".join(event.text for event in events if isinstance(event, Text)).strip()
    thoughts = "".join(event.text for event in events if isinstance(event, Reasoning)).strip()
    if not calls or _MARKUP.search(said) or not all(map(_is_whole, calls)):
        return None
    return Generation(said, thoughts, calls)


def _spelled(text: str) -> str:
    """Return a text with its calls as `<function=NAME>{…}</function>` or JSON, names without what leaked into them."""
    for mark in _BEFORE:
        text = text.removeprefix(mark).lstrip()
    for mark in _BEHIND:
        text = text.removesuffix(mark).rstrip()
    if text.startswith(("{", "[", "```")):
        return _LEAK.sub(r"\1", text)
    if "<function" not in text and text.endswith(("</function>", "}", "})")):
        text = _HEADLESS.sub(r"<function=\1>", text)
    text = _HEAD.sub(r"<function=\1>", text) if "{" in text else _EMPTY.sub(r"<function=\1>{}</function>", text)
    return _TAIL.sub("}</function>", text) if "<function=" in text else text


def _tools(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    tools = body.get("tools")
    return [tool for tool in tools if function_name(tool)] if isinstance(tools, list) else []


def _tagged_events(text: str, body: Mapping[str, Any]) -> Sequence[Event]:
    from app.emulation.tool_call_xml import ToolCallReader

    reader = ToolCallReader(_tools(body), body.get("parallel_tool_calls") is False)
    events = [*reader.feed(text), *reader.end()]
    return [] if reader.undeclared else events


def _harmony_events(text: str, body: Mapping[str, Any]) -> Sequence[Event]:
    from app.emulation.harmony_text import HarmonyReader

    tools = _tools(body)
    reader = HarmonyReader({function_name(tool): function_name(tool) for tool in tools}, tools=tools)
    events = [*reader.feed(text), *reader.end("stop")]
    return [] if reader.dropped else events


def _forced_call(text: str, body: Mapping[str, Any]) -> Call | None:
    """Read an answer that is the arguments of the one tool that had to be called, and nothing else."""
    from app.emulation.tool_schema import fit_arguments

    named = function_name(body.get("tool_choice"))
    asked = [tool for tool in _tools(body) if not named or function_name(tool) == named]
    try:
        value = orjson.loads(text)
    except ValueError:
        return None
    if len(asked) != 1 or not isinstance(value, dict):
        return None
    fitted = fit_arguments(value, asked[0]["function"].get("parameters"))
    arguments = dump(fitted.arguments).decode()
    return None if fitted.problem else Call(function_name(asked[0]), arguments, None, fitted.notes, text)


def _is_whole(call: Call) -> bool:
    """Tell whether a call's arguments are an object and all of it, whatever its schema says of them."""
    try:
        return isinstance(orjson.loads(call.arguments), dict) and not (call.problem or "").endswith("cut off")
    except ValueError:
        return False


def failed_generation(refusal: Refusal, after: object, ledger: Ledger) -> bool:
    """Groq refuses a tool call that can be read (`tool_use_failed`): Llama's spelling, leaked tokens, a type that does
    not fit (litellm#21242, smolagents#1119). The calls of declared tools, or the words, in `failed_generation` are the
    answer.
    """
    return ledger.allows("groq.failed_generation", "choices[0]", refusal.generation, after)


def allow_tools(body: dict[str, Any], note: Any) -> dict[str, Any]:
    """The model called a tool although `tool_choice` was none, which Groq refuses (litellm#21242, OpenHands#11725): asked
    once more with auto.

    Setting: options.toolChoiceNone "keep".
    """
    note(ALLOWED, "tool_choice", "none", "auto")
    return {**body, "tool_choice": "auto"}


RULES = (
    answer_rule("groq.failed_generation", failed_generation),
    answer_rule(ALLOWED, allow_tools),
)
