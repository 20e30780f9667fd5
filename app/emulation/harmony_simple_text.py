"""The simplified dialect's answer in pieces -> text, calls, the end; `harmony_simple` writes the prompt to it.

A call is `<|tool_call|>name({json})<|end_tool_call|>`. Its marks are plain text to the model, so inside a string of the
arguments they are text, as long as the string may still end. A call leaves when its object ends; one that is no sound JSON
waits for its mark.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from app.emulation import loose_json
from app.emulation.events import Call, End, Event, Text
from app.emulation.harmony_calls import REPAIRED, HarmonyTools, is_cut
from app.emulation.harmony_guard import HARMONY, SIMPLE
from app.emulation.harmony_json import is_object
from app.emulation.json_end import JsonEnd
from app.emulation.marks import Marks
from app.utils.json_text import dump

CALL, END_CALL = "<|tool_call|>", "<|end_tool_call|>"
OTHERS = ("<|system|>", "<|user|>", "<|tool_result|>")
MARKS = Marks(f"<|{name}|>" for name in dict.fromkeys(SIMPLE + HARMONY) if name.isidentifier())

SAYING, NAMING, READING, LOOSE, CLOSING, DONE = range(6)
MAX_NAME = 200
MAX_RESUMED = 8
CLOSED = "closed"
_CLOSED_CALL = re.compile(rf"\)\s*{re.escape(END_CALL)}")


class SimpleReader:
    """Reads one answer; the interface is HarmonyReader's. Calls of tools that were not declared stay text."""

    unanswered = ""

    def __init__(self, declared: Mapping[str, str], *, tools: Sequence[Mapping[str, Any]] = ()) -> None:
        self.dropped: list[Call] = []
        self.repairs: dict[str, str] = {}
        self._tools = HarmonyTools(declared, tools)
        self._out: list[Event] = []
        self._state = SAYING
        self._held = ""  # may become a mark
        self._blank: list[str] = []  # white space that is text only if text follows
        self._said = self._marked = self._begun = self._whole = False
        self._name = ""
        self._body: list[str] = []
        self._scan = JsonEnd()
        self._calls = 0

    def feed(self, text: str) -> list[Event]:
        """Return what the next piece completes."""
        if self._state == SAYING and self._said and "<" not in text and text[-1:].strip():
            if not (self._held or self._blank or self._begun):
                self._whole = False
                return [Text(text)]
        text, self._held = self._held + text, ""
        at = 0
        while at < len(text) and self._state != DONE:
            found = MARKS.search(text, at)
            end = found.start() if found else MARKS.held(text, at)
            while at < end and self._state != DONE:
                at = self._take(text, at, end)
            if found is None:
                self._held = text[end:]
                break
            self._mark(found[0])
            at = found.end()
        taken, self._out = self._out, []
        return taken

    def end(self, finish: str | None = None) -> list[Event]:
        """Return what was held back, then `End`: "length" when a call was cut, or when the upstream says so.

        A call that is open was cut, unless `finish` says that the model was done: then it is broken, and passed on.
        """
        told = finish not in (None, "length")
        cut = False
        events: list[Event] = []
        for _ in range(MAX_RESUMED):
            rest = self._cut_at_mark(told, finish)
            if rest is None:
                break
            events += self.feed(rest)
        held, self._held = self._held, ""
        if self._state == SAYING and held:
            self._say(held)
        if self._state == READING and self._scan.quoted:
            self._body.append(held)
        if self._state in (NAMING, READING, LOOSE):
            cut = not self._finish_call(told, marked=False) and not (told and self._calls)
        if cut or (finish == "length" and not self._whole and self._state != DONE):
            ended = "length"
        elif self._calls:
            ended = "tool_calls"
        else:
            ended = "length" if held and finish is None else "stop"
        self._state = DONE
        taken, self._out = self._out, []
        return [*events, *taken, End(ended)]

    def _cut_at_mark(self, told: bool, finish: str | None) -> str | None:
        """A string that never ended has swallowed the call's mark: end the call there, return what follows.

        Of an answer that was cut off, nothing is known of the marks in its last string, unless it ends with one.
        """
        if self._state != READING or not self._scan.quoted:
            return None
        text = "".join(self._body)
        if not told and (finish is not None or self._held or not text.rstrip().endswith(END_CALL)):
            return None
        closed = _CLOSED_CALL.search(text)
        at = closed.end() - len(END_CALL) if closed else text.find(END_CALL)
        if at < 0:
            return None
        rest, self._held = text[at + len(END_CALL) :] + self._held, ""
        self._body = [text[:at]]
        self._finish_call(True)
        self._mark_text(END_CALL)
        return rest

    def _take(self, text: str, at: int, end: int) -> int:
        """Take `text` from `at`, no mark before `end`; return how far it was taken."""
        if self._state == NAMING:
            return self._take_name(text, at, end)
        if self._state == READING:
            return self._take_object(text, at, end)
        if self._state == CLOSING:
            return self._take_closing(text, at, end)
        if self._state == LOOSE:
            self._body.append(text[at:end])
        else:
            self._say(text[at:end])
        return end

    def _say(self, run: str) -> None:
        """Let text out, but for white space at its end and at the beginning of the answer."""
        solid = run.rstrip()
        if not solid:
            self._blank.append(run)
            return
        text = "".join((*self._blank, solid))
        self._blank = [run[len(solid) :]] if len(run) > len(solid) else []
        if not self._said:
            text = text.lstrip() if self._marked else text.lstrip("\r\n")
        self._out.append(Text(text))
        self._said, self._whole = True, False
        self._begun = MARKS.held(solid, 0) < len(solid)

    def _take_name(self, text: str, at: int, end: int) -> int:
        stop = min((place for sign in "({" if (place := text.find(sign, at, end)) >= 0), default=end)
        self._name += text[at:stop]
        if stop == end and len(self._name) <= MAX_NAME:
            return end
        declared = self._tools.find(self._name) is not None
        if stop < end and (declared or (text[stop] == "{" and not self._name.strip())):
            self._state, self._body, self._scan = READING, [], JsonEnd()
            return stop + (text[stop] == "(")
        self._state = SAYING
        self.repairs.setdefault("harmony.undeclared", self._name[:MAX_NAME])
        self._say(self._name)
        return stop

    def _take_object(self, text: str, at: int, end: int) -> int:
        if not self._body:
            at += len(text[at:end]) - len(text[at:end].lstrip())
            if at < end and text[at] != "{":
                self._state, self._body = LOOSE, ["("]
            if at == end or self._state == LOOSE:
                return at
        run = text[at:end]
        stop = self._scan.feed(run)
        run = run if stop < 0 else run[:stop]
        self._body.append(run)
        if stop >= 0:
            self._finish_sound("".join(self._body))
        return at + len(run)

    def _take_closing(self, text: str, at: int, end: int) -> int:
        """Pass the bracket behind a call."""
        run = text[at:end].lstrip()
        self._blank.append(text[at : end - len(run)])
        if not run:
            return end
        self._state = SAYING
        return end - len(run) + (run[0] == ")")

    def _mark(self, mark: str) -> None:
        if self._state == READING and self._scan.quoted:
            self._body.append(mark)
            self._scan.feed(mark)
            return
        if self._state in (NAMING, READING, LOOSE):
            self._finish_call(True)
        self._mark_text(mark)

    def _mark_text(self, mark: str) -> None:
        """Take a mark outside calls. What follows an answer in another's name is invented."""
        if self._begun:
            self._blank.append(" ")  # or what is left on both sides of the mark would read as one
        self._begun, self._marked = False, True
        if mark == CALL:
            self._state, self._name, self._body = NAMING, "", []
        elif mark in OTHERS and (self._said or self._calls):
            self._state = DONE
            self.repairs.setdefault("harmony.role", mark)
        else:
            self._state = SAYING

    def _finish_sound(self, text: str) -> None:
        """Let a call out whose object is sound JSON; one that is not waits for its mark."""
        self._state = LOOSE
        if not loose_json.is_sound(text):
            return
        self._state = CLOSING
        if self._name.strip():
            self._call(self._name, text)
            return
        self._call_inside(orjson.loads(text), text)

    def _call_inside(self, value: object, text: str, notes: tuple[str, ...] = ()) -> bool:
        """Let the call out that an object holds, `{"name": …, "arguments": …}` as other dialects have it, else its text."""
        found = value if isinstance(value, dict) else {}
        name, arguments = found.get("name"), found.get("arguments", found.get("parameters", {}))
        if isinstance(name, str) and self._tools.find(name) is not None:
            return self._call(name, arguments if isinstance(arguments, str) else dump(arguments).decode(), notes)
        self._state = SAYING
        self._say(_without_marks(text))
        return True

    def _finish_call(self, whole: bool, marked: bool = True) -> bool:
        """End a call that has not ended by itself; return False when it is cut and `whole` does not say otherwise."""
        text = "".join(self._body)
        if self._state == NAMING or not text:
            declared = self._tools.find(self._name) is not None
            if marked and declared:
                return self._call(self._name, "")
            if marked:
                self._say(self._name)
                return True
            return self._drop(text)
        inner = text[1:].rstrip().removesuffix(")") if text[0] == "(" else text
        is_open = is_cut(text) if text[0] == "{" else inner == text[1:].rstrip()
        if is_open and not whole:
            return self._drop(text)
        if not self._name.strip():
            return self._finish_inside(text)
        if text[0] == "(" and (not inner.strip() or loose_json.is_sound(inner)):
            return self._call(self._name, inner)
        found = _read_loosely(text)
        if found.cut and text[0] == "{":  # the bracket of the call stands in the place of the object's
            found = _read_loosely(text.rstrip().removesuffix(")"))
        if found.cut and not marked and not whole:
            return self._drop(text)
        if not found.value or found.cut or END_CALL in text or CALL in text:  # two calls cannot be told apart
            bare = inner.rstrip().removesuffix(")")
            return self._call(self._name, bare if is_object(bare) else inner)
        self._call(self._name, dump(found.value).decode(), (REPAIRED, CLOSED) if is_open else (REPAIRED,))
        if not marked and text[0] == "{" and not is_open:
            self._say(text[JsonEnd().feed(text) :].lstrip().removeprefix(")"))
        return True

    def _finish_inside(self, text: str) -> bool:
        """End an object that should hold a call; one that is cut and names a tool is a broken call."""
        loose = _read_loosely(text)
        name = loose.value.get("name") if loose.cut and isinstance(loose.value, dict) else None
        if isinstance(name, str) and self._tools.find(name) is not None:
            return self._call(name, text)
        return self._call_inside(None if loose.cut else loose.value, text, (REPAIRED,))

    def _call(self, name: str, arguments: str, notes: tuple[str, ...] = ()) -> bool:
        own = self._tools.find(name) or name.strip()
        raw = f"{CALL}{self._name}({''.join(self._body).removeprefix('(')}"
        self._out.append(self._tools.call(own, arguments, raw, notes))
        self._calls += 1
        self._whole = True
        return True

    def _drop(self, text: str) -> bool:
        name = self._name.strip()
        self.repairs.setdefault("harmony.cut", name)
        self.dropped.append(Call(name, text, "cut off", raw=f"{CALL}{name}({text.removeprefix('(')}"))
        return False


def _read_loosely(text: str) -> loose_json.Loose:
    try:
        return loose_json.read(text)
    except ValueError:
        return loose_json.Loose(None)


def _without_marks(text: str) -> str:
    parts, at = [], 0
    while found := MARKS.search(text, at):
        parts.append(text[at : found.start()])
        at = found.end()
    return " ".join((*parts, text[at:]))
