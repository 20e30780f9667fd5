"""OpenAI chunks whose text holds calls -> OpenAI chunks with tool calls: one ToolCallReader for each choice.

A finish reason is held back to the end, where calls that do not fit their tool may still be corrected.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.emulation.declared_tools import CUT_OFF
from app.emulation.events import Call, Text
from app.emulation.tool_call_xml import ToolCallReader
from app.utils.tokens import content_texts

COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class Choice:
    """What is known of one choice of an answer."""

    __slots__ = ("broken", "calls", "finish", "head", "index", "open", "reader", "said")

    def __init__(self, index: int, tools: Sequence[Mapping[str, Any]], single: bool) -> None:
        self.index = index
        self.reader = ToolCallReader(tools, single=single)
        self.said: list[str] = []
        self.broken: list[Call] = []
        self.calls = 0
        self.finish: object = None
        self.head: dict[str, Any] = {}
        self.open = True


class AnswerReader:
    """Feed it an answer's chunks, or a whole answer; it returns chunks. One for each upstream answer.

    `broken` are calls that do not fit their tool, held back for `correct`; `made` is what left, with its place.
    """

    def __init__(self, tools: Sequence[Mapping[str, Any]], single: bool = False) -> None:
        self._tools, self._single = tools, single
        self._choices: dict[int, Choice] = {}
        self._usage: dict[str, Any] | None = None
        self.made: list[tuple[str, Call]] = []
        self.complete = False

    @property
    def broken(self) -> list[Call]:
        return [call for choice in self._choices.values() for call in choice.broken]

    @property
    def problems(self) -> list[str]:
        return [f"{call.name}: {call.problem}" for call in self.broken]

    @property
    def undeclared(self) -> list[str]:
        """Names that were called and that nobody declared; their text stayed text."""
        return [name for choice in self._choices.values() for name in choice.reader.undeclared]

    @property
    def dropped(self) -> int:
        """Characters behind the end of the answers: results that the model made up itself."""
        return sum(choice.reader.dropped for choice in self._choices.values())

    @property
    def correctable(self) -> bool:
        """Whether the answer is whole: what an output limit or a lost connection cut would be cut again."""
        return self.complete and not any(choice.finish == "length" for choice in self._choices.values())

    @property
    def called(self) -> bool:
        """Whether a call left already."""
        return bool(self.made)

    @property
    def said(self) -> str:
        """The first choice's text as the model wrote it, calls included."""
        first = self._choices.get(min(self._choices, default=0))
        return "".join(first.said) if first else ""

    def take(self, chunk: Any) -> list[Any]:
        """Return what leaves of one chunk, which is taken over; what is no chunk of a choice passes as it is."""
        if not isinstance(chunk, dict) or not isinstance(chunk.get("choices"), list) or not chunk["choices"]:
            if isinstance(chunk, dict) and isinstance(chunk.get("usage"), dict):
                self._usage = chunk["usage"]
            return [chunk]
        if isinstance(chunk.get("usage"), dict):
            self._usage = chunk["usage"]
        out: list[Any] = []
        kept = []
        for position, entry in enumerate(chunk["choices"]):
            delta = entry.get("delta", entry.get("message")) if isinstance(entry, dict) else None
            if not isinstance(delta, dict):
                kept.append(entry)
                continue
            choice = self._choice(entry.get("index", position))
            choice.head = {name: value for name, value in chunk.items() if name not in ("choices", "usage")}
            out += self._take_delta(choice, entry, delta)
        if kept or (not out and "usage" in chunk):
            out.append({**chunk, "choices": kept})
        elif out and "usage" in chunk:
            out[-1]["usage"] = chunk["usage"]
        return out

    def _choice(self, index: object) -> Choice:
        number = index if isinstance(index, int) else 0
        if number not in self._choices:
            self._choices[number] = Choice(number, self._tools, self._single)
        return self._choices[number]

    def _take_delta(self, choice: Choice, entry: dict, delta: dict) -> list[dict]:
        choice.finish = entry.get("finish_reason") or choice.finish
        content = delta.pop("content", None)
        text = content if isinstance(content, str) else "".join(content_texts(content))
        out = []
        if any(value is not None for value in delta.values()):
            out.append(_chunk(choice, delta))  # the role, reasoning, native calls
        if text:
            choice.said.append(text)
            out += self._events(choice, choice.reader.feed(text))
        return out

    def _events(self, choice: Choice, events: Iterable[Text | Call]) -> list[dict]:
        out = []
        for event in events:
            if isinstance(event, Text):
                out.append(_chunk(choice, {"content": event.text}))
            elif event.problem:
                choice.broken.append(event)
            else:
                out.append(self._call(choice, event))
        return out

    def _call(self, choice: Choice, call: Call) -> dict:
        self.made.append((f"choices[{choice.index}].tool_calls[{choice.calls}]", call))
        # A half call leaves as the model wrote it, which is no JSON: whoever repairs the answer sees that it is broken.
        function = {"name": call.name, "arguments": call.raw if call.problem == CUT_OFF else call.arguments}
        # 96 random bits: unique without asking anybody
        made = {"index": choice.calls, "id": "call_" + os.urandom(12).hex(), "type": "function", "function": function}
        choice.calls += 1
        return _chunk(choice, {"tool_calls": [made]})

    def end(self, done: bool) -> list[dict]:
        """Return what was held back; of an answer that broke off only its text, for a half call must not be run."""
        out: list[dict] = []
        finished = [bool(choice.finish) for choice in self._choices.values()]
        self.complete = done or (bool(finished) and all(finished))
        for choice in self._choices.values():
            if choice.open:
                events = choice.reader.end()
                out += self._events(choice, [event for event in events if self.complete or isinstance(event, Text)])
                choice.open = False
        return out

    def take_whole(self, answer: dict[str, Any], done: bool) -> list[Any]:
        """Return a whole answer, or `{"chunks": […]}`, as chunks; its finish reasons come with `finish`."""
        if isinstance(answer.get("chunks"), list):
            parts, complete = answer["chunks"], done
        else:
            parts, complete = [{name: value for name, value in answer.items() if name != "object"}], True
        return [made for part in parts for made in self.take(part)] + self.end(complete)

    def correct(self, second: "AnswerReader") -> None:
        """Put the calls of a second answer in the place of the broken ones; without any, the first ones stay."""
        better = [call for _, call in second.made] or second.broken
        for choice in self._choices.values():
            if better and (choice.broken or not choice.calls):
                wanted = len(choice.broken) or len(better)
                choice.broken, better = better[:wanted], better[wanted:]
        if self._usage is not None and second._usage is not None:
            self._usage = {
                **self._usage,
                **{name: _sum(self._usage.get(name), second._usage.get(name)) for name in COUNTS},
            }
        elif second._usage is not None:
            self._usage = second._usage

    def finish(self) -> list[dict]:
        """Return the calls that were held back, the finish reasons and the usage."""
        out: list[dict] = []
        for choice in self._choices.values():
            for call in choice.broken:
                out.append(self._call(choice, call))
            if choice.finish:
                out.append({**_chunk(choice, {}), "choices": [_entry(choice, {}, choice.finish)]})
        if out and self._usage is not None:
            out[-1]["usage"] = self._usage
        return out


def _sum(first: object, second: object) -> object:
    return first + second if isinstance(first, int) and isinstance(second, int) else first


def _chunk(choice: Choice, delta: dict[str, Any]) -> dict[str, Any]:
    return {**choice.head, "choices": [_entry(choice, delta, None)]}


def _entry(choice: Choice, delta: dict[str, Any], finish: object) -> dict[str, Any]:
    return {"index": choice.index, "delta": delta, "finish_reason": finish}
