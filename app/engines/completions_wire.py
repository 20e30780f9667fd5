"""Reads text completions (`choices[].text`) as chat chunks, one text reader for each choice; knows no HTTP, no prompt.

An answer that leaves the client with nothing to go on from is told as broken, by a finish reason or in words: agents take
a turn without calls for the last one, and end in silence.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from app.emulation.events import Call, End, Event, Reasoning, Text
from app.quirks.finish import ENDED, FULL, kind_of

CUT = "length"  # what a text reader is told of an end that was none
# How others say that a turn's calls are not to be used (see quirks/finish.py): it is asked again, or that is said.
BROKEN, UNDECLARED = "malformed_function_call", "unexpected_tool_call"
WORDS_UNDECLARED = "[gateway: the model called the tool `{}`, which was not offered]"
MAX_NAME = 64


class TextReader(Protocol):
    """Turns a model's text, fed in pieces, into events. Tells what it left out, and what it tolerated.

    `unanswered` is the tool that the model called last, where nobody declared it and nothing else answers; else "".
    """

    @property
    def unanswered(self) -> str: ...
    @property
    def dropped(self) -> Sequence[Call]: ...
    @property
    def repairs(self) -> Mapping[str, str]: ...
    def feed(self, text: str) -> Sequence[Event]: ...
    def end(self, finish: str | None) -> Sequence[Event]: ...


class Choice:
    """What is known of one choice of an answer. `said` is how its text says it ended, `finish` what the server says."""

    __slots__ = ("calls", "finish", "index", "reader", "said", "spoke")

    def __init__(self, index: int, reader: TextReader) -> None:
        self.index, self.reader = index, reader
        self.calls = 0
        self.spoke = False
        self.said: str | None = None
        self.finish: str | None = None


class CompletionReader:
    """Feed it the chunks of one streamed text completion, then end it; both return chat.completion.chunk dicts.

    A whole text_completion counts as one chunk. What is no completion (an error) passes as it is. `again` tells whether
    the answer may still be asked for once more, `streamed` whether the client sees at once what it says. `notes` are the
    repairs of calls: the call's place, its text, what was done.
    """

    def __init__(
        self, make_reader: Callable[[], TextReader], model: str, *, again: bool = False, streamed: bool = True
    ) -> None:
        self._make_reader, self._model = make_reader, model
        self._again, self._streamed = again, streamed
        self.notes: list[tuple[str, str, str]] = []
        self._choices: dict[int, Choice] = {}
        self._head: dict[str, Any] = {}

    @property
    def finished(self) -> bool:
        """Whether each choice that began has come to its end, by its text's word or the server's."""
        return bool(self._choices) and all(choice.finish or choice.said for choice in self._choices.values())

    @property
    def tolerated(self) -> dict[str, list[str]]:
        """What was odd in the texts: what was tolerated and where it was first seen, and the calls that were left out."""
        found: dict[str, list[str]] = {}
        for choice in self._choices.values():
            for name, seen in choice.reader.repairs.items():
                found.setdefault(name, []).append(seen)
            for call in choice.reader.dropped:
                found.setdefault("dropped", []).append(f"{call.name}: {call.problem}: {call.raw}")
        return found

    def take(self, chunk: Any) -> list[Any]:
        """Return what one chunk says."""
        if not isinstance(chunk, dict) or chunk.get("error") or not isinstance(chunk.get("choices"), list):
            return [chunk]
        head = self._head or self._begin(chunk)
        out: list[Any] = []
        for position, entry in enumerate(chunk["choices"]):
            if isinstance(entry, dict):
                out += self._take_entry(entry, position)
        if isinstance(chunk.get("usage"), dict):
            out.append({**head, "choices": [], "usage": chunk["usage"]})
        return out

    def end(self, broken: bool = False) -> list[dict[str, Any]]:
        """Return what was held back; of a `broken` answer no call that was not complete yet."""
        out: list[dict[str, Any]] = []
        for choice in self._choices.values():
            if choice.finish is None:
                rest = choice.reader.end(None)
                out += self._say(choice, [event for event in rest if not broken or isinstance(event, Text | Reasoning)])
                if choice.said:
                    out += self._conclude(choice, None)
        return out

    def _begin(self, chunk: dict[str, Any]) -> dict[str, Any]:
        given = {name: chunk[name] for name in ("id", "created", "system_fingerprint") if chunk.get(name)}
        self._head = {
            "id": f"cmpl-{os.urandom(12).hex()}",
            "created": int(time.time()),
            **given,
            "object": "chat.completion.chunk",
            "model": self._model,
        }
        return self._head

    def _take_entry(self, entry: dict[str, Any], position: int) -> list[dict[str, Any]]:
        index = entry.get("index")
        number = index if isinstance(index, int) else position
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = Choice(number, self._make_reader())
        if choice.finish is not None:
            return []  # nothing counts behind the end
        text, finish = entry.get("text"), entry.get("finish_reason")
        out = self._say(choice, choice.reader.feed(text)) if isinstance(text, str) and text else []
        return out + self._finish(choice, finish) if finish and isinstance(finish, str) else out

    def _finish(self, choice: Choice, finish: str) -> list[dict[str, Any]]:
        """End a choice; a reason that is neither an end nor a limit is passed on for others to judge."""
        kind = kind_of(finish)
        told = "stop" if kind == ENDED else CUT
        out = self._say(choice, choice.reader.end(told))
        if kind in (ENDED, FULL):
            return out + self._conclude(choice, told)
        choice.finish = finish
        return [*out, self._chunk(choice, {}, finish)]

    def _conclude(self, choice: Choice, told: str | None) -> list[dict[str, Any]]:
        """Say how a choice ended, whose server was `told` to have ended it so; None where it said nothing."""
        choice.finish = choice.said or told or "stop"
        name = choice.reader.unanswered
        out = []
        if choice.finish == CUT and told == "stop":  # the model stopped within a header, or within the name of a tool
            choice.finish = BROKEN
        elif name and self._again and not (self._streamed and choice.spoke):
            choice.finish = UNDECLARED
        elif name:
            words = WORDS_UNDECLARED.format(name[:MAX_NAME])
            out.append(self._chunk(choice, {"content": f"\n\n{words}" if choice.spoke else words}))
        return [*out, self._chunk(choice, {}, choice.finish)]

    def _say(self, choice: Choice, events: Iterable[Event]) -> list[dict[str, Any]]:
        out = []
        for event in events:
            if isinstance(event, Text):
                choice.spoke = True
                out.append(self._chunk(choice, {"content": event.text}))
            elif isinstance(event, Reasoning):
                out.append(self._chunk(choice, {"reasoning_content": event.text}))
            elif isinstance(event, Call):
                out.append(self._chunk(choice, {"tool_calls": [self._call(choice, event)]}))
            elif isinstance(event, End):
                choice.said = event.finish
        return out

    def _call(self, choice: Choice, call: Call) -> dict[str, Any]:
        function = {"name": call.name, "arguments": call.arguments}
        place = f"choices[{choice.index}].tool_calls[{choice.calls}]"
        self.notes += [(place, call.raw, note) for note in call.notes]
        made = {"index": choice.calls, "id": "call_" + os.urandom(12).hex(), "type": "function", "function": function}
        choice.calls += 1
        return made

    def _chunk(self, choice: Choice, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**self._head, "choices": [{"index": choice.index, "delta": delta, "finish_reason": finish}]}


def completion_of(chunks: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Put the chunks of a CompletionReader together to a chat.completion."""
    texts: dict[int, dict[str, list[str]]] = {}
    choices: dict[int, dict[str, Any]] = {}
    answer: dict[str, Any] = {}
    for chunk in chunks:
        answer = answer or {name: value for name, value in chunk.items() if name not in ("choices", "usage")}
        answer.update({"usage": chunk["usage"]} if "usage" in chunk else {})
        for entry in chunk["choices"]:
            index, delta = entry["index"], entry["delta"]
            choice = choices.setdefault(index, {"index": index, "message": {"role": "assistant", "content": None}})
            for name in ("content", "reasoning_content"):
                if name in delta:
                    texts.setdefault(index, {}).setdefault(name, []).append(delta[name])
            for call in delta.get("tool_calls", ()):
                bare = {name: value for name, value in call.items() if name != "index"}
                choice["message"].setdefault("tool_calls", []).append(bare)
            choice["finish_reason"] = entry["finish_reason"] or choice.get("finish_reason")
    for index, parts in texts.items():
        choices[index]["message"].update({name: "".join(pieces) for name, pieces in parts.items()})
    return {**answer, "object": "chat.completion", "choices": [choices[index] for index in sorted(choices)]}
