"""OpenAI chunks whose text holds calls -> OpenAI chunks with tool calls: one ToolCallReader for each choice.

A finish reason is held back to the end, where calls that do not fit their tool may still be corrected.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.emulation.declared_tools import CUT_OFF
from app.emulation.events import Call, Text
from app.emulation.json_fence import FenceReader, Reader, TextReader
from app.emulation.tool_call_xml import ToolCallReader
from app.utils.json_text import load
from app.utils.tokens import content_texts

COPIED = "this is the example; give the arguments that you mean"
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class Choice:
    """What is known of one choice of an answer."""

    __slots__ = ("broken", "calls", "finish", "head", "index", "open", "reader", "said")

    def __init__(self, index: int, reader: Reader) -> None:
        self.index = index
        self.reader = reader
        self.said: list[str] = []
        self.broken: list[Call] = []
        self.calls = 0
        self.finish: object = None
        self.head: dict[str, Any] = {}
        self.open = True


class AnswerReader:
    """Feed it an answer's chunks, or a whole answer; it returns chunks. One for each upstream answer.

    `wants_json`: the answer was asked to be JSON; a fence around it is left out. `example` is the call that the prompt
    shows: a model that repeats it does not mean it.
    `broken` are calls that do not fit their tool, held back for `correct`; `made` is what left, with its place.
    """

    def __init__(
        self,
        tools: Sequence[Mapping[str, Any]],
        single: bool = False,
        wants_json: bool = False,
        example: tuple[str, dict[str, Any]] | None = None,
    ) -> None:
        self._tools, self._single, self._wants_json = tools, single, wants_json
        self._example = example
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
    def unfenced(self) -> bool:
        """Whether a code fence was left out."""
        return any(getattr(choice.reader, "unfenced", False) for choice in self._choices.values())

    @property
    def correctable(self) -> bool:
        """Whether the answer is whole: what an output limit or a lost connection cut would be cut again."""
        return self.complete and not any(choice.finish == "length" for choice in self._choices.values())

    @property
    def called(self) -> bool:
        """Whether a call left already."""
        return any(choice.calls for choice in self._choices.values())

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
            self._choices[number] = Choice(number, self._make_reader())
        return self._choices[number]

    def _make_reader(self) -> Reader:
        reader = ToolCallReader(self._tools, single=self._single) if self._tools else TextReader()
        return FenceReader(reader) if self._wants_json else reader

    def _take_delta(self, choice: Choice, entry: dict, delta: dict) -> list[dict]:
        choice.finish = entry.get("finish_reason") or choice.finish
        content = delta.pop("content", None)
        text = content if isinstance(content, str) else "".join(content_texts(content))
        out = []
        _count_native(choice, delta.get("tool_calls"))
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
            elif event.problem or self._is_example(event):
                choice.broken.append(event if event.problem else event._replace(problem=COPIED))
            else:
                out.append(self._call(choice, event))
        return out

    def _is_example(self, call: Call) -> bool:
        return self._example is not None and (call.name, load(call.arguments.encode())) == self._example

    def _call(self, choice: Choice, call: Call) -> dict:
        self.made.append((f"choices[{choice.index}].tool_calls[{choice.calls}]", call))
        # A half call leaves as the model wrote it, which is no JSON, and the example without its name: whoever repairs
        # the answer sees that they are broken.
        name = "" if call.problem == COPIED else call.name
        function = {"name": name, "arguments": call.raw if call.problem == CUT_OFF else call.arguments}
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
        """Put the calls of a second answer in the place of the broken ones; without any, the first ones stay.

        A model may write all its calls again; those that have left are not to be run twice.
        """
        better = [call for _, call in second.made] or second.broken
        for _, made in self.made:
            again = next((call for call in better if call[:2] == made[:2]), None)
            better = [call for call in better if call is not again]
        for choice in self._choices.values():
            if better and (choice.broken or not choice.calls):
                chosen = _chosen(better, choice.broken)
                better = [call for call in better if not any(call is taken for taken in chosen)]
                choice.broken = chosen
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


def _chosen(better: list[Call], broken: list[Call]) -> list[Call]:
    """Choose what takes the place of broken calls: of too many the last ones, of the same tools if there are enough."""
    if not broken or len(better) <= len(broken):
        return better
    names = {call.name for call in broken}
    alike = [call for call in better if call.name in names]
    return (alike if len(alike) >= len(broken) else better)[-len(broken) :]


def _sum(first: object, second: object) -> object:
    return first + second if isinstance(first, int) and isinstance(second, int) else first


def _count_native(choice: Choice, calls: object) -> None:
    """Count calls that the upstream made itself, so that those of the text follow them."""
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and function.get("name"):
            index = call.setdefault("index", choice.calls)
            choice.calls = max(choice.calls, index + 1) if isinstance(index, int) else choice.calls


def _chunk(choice: Choice, delta: dict[str, Any]) -> dict[str, Any]:
    return {**choice.head, "choices": [_entry(choice, delta, None)]}


def _entry(choice: Choice, delta: dict[str, Any], finish: object) -> dict[str, Any]:
    return {"index": choice.index, "delta": delta, "finish_reason": finish}
