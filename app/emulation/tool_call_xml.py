"""`<tool_call>{"name": …, "arguments": {…}}</tool_call>` in the text of a model without tools -> calls, as the text comes.

Text goes out at once; held back is only what may still be markup. A call goes out when it is complete. What small
models make of the format is read as well: see `call_body` and, for answers that are bare JSON, `whole_answer`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.emulation.call_body import FAILED, OPENERS, READING, CallBody
from app.emulation.declared_tools import CUT_OFF, NOTHING, DeclaredTools
from app.emulation.event_list import EventList
from app.emulation.events import Call, Text
from app.emulation.loose_json import is_sound
from app.emulation.marks import Marks
from app.emulation.special_tokens import TOKENS
from app.emulation.whole_answer import find_start
from app.emulation.written_calls import Found, read_calls
from app.utils.json_text import dump

RESULTS = ("<tool_result", "<tool_response")
MAX_RESUMED = 8
LONGEST_CLOSER = 40
LEAST_OPENER = 6  # characters; "<tool_"
FENCE_WORDS = ("", "xml", "json", "text", "plaintext", "html", "tool_call", "tool_code")
START, THINKING, TEXT, BODY, BEHIND, WHOLE, BEHIND_WHOLE, DROPPING = range(8)

_MARKS = Marks((*OPENERS, *RESULTS, *TOKENS, "```"))
_OPENING = Marks(OPENERS)
_THINK, _END_THINK, _TOKENS = Marks(("<think>",)), Marks(("</think>",)), Marks(TOKENS)
_CLOSING = Marks(("</tool_call", "</function"))
_AFTER_WHOLE = Marks((*OPENERS, *RESULTS, "</tool_call"))
_CLOSER = re.compile(r"</(?:tool_calls?|function(?:_calls?)?)\s{0,9}>")
_CUT_CLOSER = re.compile(r"</(?:tool_calls?|function(?:_calls?)?)\s*\Z")
_FENCE = re.compile(r"```([\w-]{0,16})(\s{0,40})")
_BLANKS = re.compile(r"\s*")
# A closing tag with something behind it that shows that it was meant as one.
_SWALLOWED = re.compile(r"</tool_calls?>\s{0,40}(?:(?=<tool_|<function=|<\|)|\Z)")


class ToolCallReader:
    """Reads one answer: `feed` each piece, then `end`. Never raises; how the text is cut makes no difference.

    `single` keeps the first call and ends the answer there. `undeclared` are names that models called and nobody
    declared (the call's text stays text); `dropped` counts the characters behind the end of the answer: results that
    the model made up itself, and what follows them.
    """

    def __init__(self, tools: Sequence[Mapping[str, Any]], single: bool = False) -> None:
        self._tools = DeclaredTools(tools)
        self._single = single
        self._events = EventList()
        self._state = START
        self._buffer = ""
        self._at = 0
        self._final = False
        self._body = CallBody(self._tools)
        self._whole: list[tuple[Found, str]] = []
        self._held: list[str] = []
        self._inside = self._fenced = False
        self._resumed = 0
        self.dropped = 0
        self.undeclared: list[str] = []

    def feed(self, text: str) -> list[Text | Call]:
        """Return what is known after the next piece of the text."""
        if self._state == TEXT and not self._buffer and self._events.idle and "<" not in text and "`" not in text:
            if text and not text[-1].isspace():
                self._events.spoke = True
                return [Text(text)]
        self._buffer += text
        return self._run()

    def end(self) -> list[Text | Call]:
        """Return what was still held back when the answer ended."""
        self._final = True
        return self._run()

    def _run(self) -> list[Text | Call]:
        while _STEPS[self._state](self):
            pass
        self._buffer, self._at = self._buffer[self._at :], 0
        return self._events.take(self._final)

    def _say_to(self, until: int) -> bool:
        """Let the text up to `until` go out; tell whether that was any."""
        text = self._buffer[self._at : until]
        self._events.say(text)
        self._at = until
        return bool(text)

    def _say_blanks(self) -> str:
        """Pass blanks; return the next character, "" when there is none yet."""
        self._say_to(_BLANKS.match(self._buffer, self._at).end())  # type: ignore[union-attr]  # matches anything
        return self._buffer[self._at : self._at + 1]

    def _to(self, state: int) -> bool:
        self._state = state
        return True

    def _start(self) -> bool:
        """At the beginning of the answer, or behind its thoughts."""
        first = self._say_blanks()
        if not first:
            return False
        if first == "<":
            if token := _TOKENS.match(self._buffer, self._at):
                self._at = token.end()
                return True
            if _THINK.match(self._buffer, self._at):
                return self._to(THINKING)
            begun = _THINK.begun(self._buffer, self._at) or _TOKENS.begun(self._buffer, self._at)
            return not (begun and not self._final) and self._to(TEXT)
        start = find_start(self._buffer, self._at, self._tools, self._final)
        if start is None:
            return False
        if start.at < 0:
            return self._to(TEXT)
        self._held = []
        self._whole = []
        self._fenced = start.fenced
        self._begin_whole(start.at, start.name)
        return True

    def _thinking(self) -> bool:
        found = _END_THINK.search(self._buffer, self._at)
        if found:
            self._state = START
            return self._say_to(found.end())
        self._say_to(len(self._buffer) if self._final else _END_THINK.held(self._buffer, self._at))
        return False

    def _text(self) -> bool:
        found = _MARKS.search(self._buffer, self._at)
        if found is None:
            held = _MARKS.held(self._buffer, self._at)
            if self._final and _is_cut_opener(self._buffer[held:]):
                self._say_to(held)
                return self._cut_off()
            if self._say_to(len(self._buffer) if self._final else held):
                self._fenced = False
            return False
        if self._say_to(found.start()):
            self._fenced = False
        mark = found[0]
        if mark in TOKENS:
            self._at = found.end()
            return True
        if mark in OPENERS:
            return self._open(mark, self._at)
        if mark == "```":
            return self._fence()
        if self._events.calls:
            return self._end()
        return self._say_to(found.end())

    def _open(self, mark: str, at: int) -> bool:
        """Begin a call whose opening tag stands at `at`, maybe behind a fence."""
        self._body = CallBody(self._tools, mark, self._buffer[self._at : at])
        self._at = at + len(mark)
        return self._to(BODY)

    def _fence(self) -> bool:
        """At a fence: one around a call is left out with it."""
        found = _FENCE.match(self._buffer, self._at)
        if found and any(known.startswith(found[1].lower()) for known in FENCE_WORDS):
            end = found.end()
            opener = _OPENING.match(self._buffer, end) if found[2] else None
            if opener:
                return self._open(opener[0], end)
            begun = end == len(self._buffer) or (found[2] and _OPENING.begun(self._buffer, end))
            if begun and not self._final:
                return False
        return self._say_to(self._at + 3)

    def _read_body(self) -> bool:
        body = self._body
        self._at = body.feed(self._buffer, self._at, self._final)
        if body.status == READING:
            return False
        swallowed = _swallowed(body.json) if body.status != FAILED else None
        if swallowed and self._resumed < MAX_RESUMED:
            return self._resume(body.json, swallowed.start())
        found = body.found() if body.status != FAILED and not swallowed else None
        if body.undeclared:
            self.undeclared.append(body.undeclared)
        if found is None:
            if body.cut:
                return self._cut_off(body.text)
            self._events.say(_TOKENS.remove(body.text))
            return self._to(TEXT)
        self._inside = True
        self._fenced = self._fenced or body.fenced or body.text.startswith("```")
        self._emit(found, body.raw)
        return self._to(BEHIND)

    def _resume(self, raw: str, end: int) -> bool:
        """A string has swallowed the closing tag at `end`: cut the call there, and read again what follows."""
        self._resumed += 1
        found = read_calls(raw[:end], "", self._tools, closed=False, tagged=True)
        if found is None:
            self._events.say(_TOKENS.remove(raw[:end]))
        else:
            self._emit(found, raw[:end])
        self._buffer, self._at = raw[end:] + self._buffer[self._at :], 0
        self._inside = True
        return self._to(BEHIND)

    def _emit(self, found: Found, raw: str) -> None:
        for position, written in enumerate(found.calls):
            last = position == len(found.calls) - 1
            text = raw if len(found.calls) == 1 else dump(written.whole).decode()
            problem = found.problem if last else None
            call = self._tools.make(written, text, found.notes, problem)
            if call is None and problem == CUT_OFF and written.arguments is NOTHING and self._tools.begins(written.name):
                self._cut_off(text)
            elif call is None:
                self.undeclared.append(written.name)
                self._events.say(_TOKENS.remove(text))
            elif not (self._single and self._events.calls):
                self._events.call(call)

    def _cut_off(self, read: str = "") -> bool:
        """The answer ended before a call had its whole name: there is nothing to show, and nothing to run."""
        self._events.call(Call("", "{}", CUT_OFF, (), read + self._buffer[self._at :]))
        self._at = len(self._buffer)
        return self._to(TEXT)

    def _behind(self) -> bool:
        """Behind a call: blanks, its closing tag and stray brackets are left out."""
        first = self._say_blanks()
        if not first:
            return False
        if first == "<":
            return self._behind_mark()
        if first == "`" and self._fenced:
            if self._buffer.startswith("```", self._at):
                self._fenced = False
                self._at += 3
                return True
            if "```".startswith(self._buffer[self._at :]) and not self._final:
                return False
        if self._inside and first in "}]),;":
            self._at += 1
            return True
        if self._single and self._events.calls:
            return self._end()
        if self._inside and first in "{[":
            self._body = CallBody(self._tools)
            self._body.wrapped = True
            return self._to(BODY)
        return self._to(TEXT)

    def _behind_mark(self) -> bool:
        closer = _CLOSER.match(self._buffer, self._at)
        if closer:
            self._inside = self._inside and self._body.wrapped and closer[0].startswith("</function")
            self._at = closer.end()
            return True
        if token := _TOKENS.match(self._buffer, self._at):
            self._at = token.end()
            return True
        begun = _CLOSING.begun(self._buffer, self._at)
        if self._final and self._inside and (begun or _CUT_CLOSER.match(self._buffer, self._at)):
            self._at = len(self._buffer)
            return True
        short = len(self._buffer) - self._at < LONGEST_CLOSER
        begun = begun or _MARKS.begun(self._buffer, self._at)
        if not self._final and (begun or (short and _CLOSING.match(self._buffer, self._at))):
            return False
        return self._end() if self._single and self._events.calls else self._to(TEXT)

    def _begin_whole(self, at: int, name: str = "") -> None:
        """Read the next value of an answer that may be nothing but calls; it is held back in `_held`."""
        self._body = CallBody(self._tools, "", self._buffer[self._at : at])
        self._body.begin_json(name)
        self._at = at
        self._state = WHOLE

    def _read_whole(self) -> bool:
        body = self._body
        self._at = body.feed(self._buffer, self._at, self._final)
        if body.status == READING:
            return False
        self._held.append(body.text)
        found = body.found() if body.status != FAILED else None
        if found is None or any(self._tools.find(c.name) is None or c.arguments is NOTHING for c in found.calls):
            return self._release()
        self._whole.append((found, body.raw))
        return self._to(BEHIND_WHOLE)

    def _release(self) -> bool:
        """It is no call as a whole: read it as text."""
        self._buffer, self._at = "".join(self._held) + self._buffer[self._at :], 0
        self._fenced = False
        return self._to(TEXT)

    def _behind_whole(self) -> bool:
        """Behind a value that may be a call: nothing but more of them, or the end, may follow."""
        text = self._buffer
        end = _BLANKS.match(text, self._at).end()  # type: ignore[union-attr]  # matches anything
        self._held.append(text[self._at : end])
        self._at = end
        first = text[end : end + 1]
        if not first:
            return self._final and self._commit()
        if first in ",;" or (first == "`" and self._fenced and text.startswith("```", end)):
            size = 1 if first in ",;" else 3
            self._fenced = self._fenced and size == 1
        elif token := _TOKENS.match(text, end):
            size = len(token[0])
        elif first in "{[":
            self._begin_whole(end)
            return True
        elif _AFTER_WHOLE.match(text, end):
            return self._commit()
        else:
            fence = self._fenced and "```".startswith(text[end:])
            begun = fence or _TOKENS.begun(text, end) or _AFTER_WHOLE.begun(text, end)
            return False if begun and not self._final else self._release()
        self._held.append(text[end : end + size])
        self._at = end + size
        return True

    def _commit(self) -> bool:
        """The answer is nothing but calls."""
        for found, raw in self._whole:
            self._emit(found, raw)
        self._inside = True
        return self._to(BEHIND)

    def _end(self) -> bool:
        """The answer is over, whatever follows."""
        self._events.forget_blanks()
        return self._to(DROPPING)

    def _drop(self) -> bool:
        self.dropped += len(self._buffer) - self._at
        self._at = len(self._buffer)
        return False


def _is_cut_opener(text: str) -> bool:
    """Tell whether what ends an answer can be nothing but the beginning of an opening tag."""
    return len(text) >= LEAST_OPENER and _OPENING.begun(text, 0)


def _swallowed(raw: str) -> re.Match[str] | None:
    """Find a closing tag inside of JSON that is not sound: what was read as a string is more than one call."""
    found = _SWALLOWED.search(raw)
    return found if found and not is_sound(raw) else None


_STEPS = (
    ToolCallReader._start,
    ToolCallReader._thinking,
    ToolCallReader._text,
    ToolCallReader._read_body,
    ToolCallReader._behind,
    ToolCallReader._read_whole,
    ToolCallReader._behind_whole,
    ToolCallReader._drop,
)
