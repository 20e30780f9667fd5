"""One call in the text of an answer, from behind its opening tag to the end of its value; it comes in pieces.

What stands there is JSON, a name with JSON or `(key=value)` behind it, or `<function=name>` with JSON or parameters. What
is none of these is no call: `taken` is then the text as it stood.
"""

import re
from collections.abc import Callable

from app.emulation.declared_tools import CUT_OFF, DeclaredTools, Written
from app.emulation.json_scan import BROKEN, DONE, MARK, STRUCTURE, JsonScan
from app.emulation.marks import Marks
from app.emulation.parameter_text import OPEN as PARAMETER
from app.emulation.parameter_text import ParameterScan
from app.emulation.special_tokens import TOKENS
from app.emulation.written_calls import Found, read_calls

TOOL_CALL, FUNCTION, PYTHON_TAG = "<tool_call", "<function=", "<|python_tag|>"
OPENERS = (TOOL_CALL, FUNCTION, PYTHON_TAG)
READING, READ, FAILED = range(3)
LONGEST_HEADER = 200

_BLANKS = re.compile(r"\s*")
_NAME = re.compile(r"[\w.:/-]{1,128}")
_BEHIND_NAME = re.compile(r"\s{0,40}")
_ATTRIBUTE = re.compile(r"name\s{0,9}=\s{0,9}[\"']?([\w.:/-]{1,128})[\"']?(?=[\s>{])")
_FUNCTION_NAME = re.compile(r"\s{0,9}[\"']?([\w.:/-]{1,128})[\"']?(?:\s{0,9}>|(?=\{))")
_FENCE = re.compile(r"```\w{0,12}\s")
_INSIDE_FUNCTION = Marks((PARAMETER, "</function"))


class CallBody:
    """Reads one call (or one JSON value that holds several). `status`: READING, READ or FAILED."""

    def __init__(self, tools: DeclaredTools, opener: str = "", before: str = "") -> None:
        self.status = READING
        self.taken = [before, opener]
        self.wrapped = opener == TOOL_CALL  # a closing tag of its own may follow what is read
        self.fenced = False
        self.undeclared = ""
        self.name = ""
        self._tools = tools
        self._bare = not opener
        self._raw: list[str] = []
        self._scan = JsonScan()
        self._parameters = ParameterScan()
        self._tag_open = self._tagged = self._empty = False
        self.cut = False  # the answer ended before the value did
        self._state = BEHIND_OPENER.get(opener, CallBody._json)

    @property
    def raw(self) -> str:
        """The text of the call as the model wrote it: JSON without its tags, anything else with them."""
        return self.text.strip() if self.name else "".join(self._raw)

    @property
    def text(self) -> str:
        """All that was read, with its opening tag."""
        return "".join(self.taken)

    @property
    def json(self) -> str:
        """The JSON that was read, "" where there is a name before it."""
        return "" if self.name or self._state is not CallBody._json else "".join(self._raw)

    def feed(self, text: str, at: int, final: bool) -> int:
        """Go on at `at`; return how far the text is understood."""
        while self.status == READING:
            stop = self._state(self, text, at, final)
            if stop < 0:
                return at
            if stop > at:
                self.taken.append(text[at:stop])
            at = stop
        return at

    def found(self) -> Found | None:
        """Return the calls that were read."""
        if self._empty:
            return Found([Written(self.name, {}, {})])
        if self._state is CallBody._read_parameters:
            written = Written(self.name, dict(self._parameters.values), None)
            return Found([written], (), None if self._parameters.whole else CUT_OFF)
        closed = self._scan.status == DONE
        return read_calls("".join(self._raw), self.name, self._tools, closed=closed, tagged=self._tagged)

    def begin_json(self, name: str = "") -> None:
        """What follows is JSON, or `(key=value)`."""
        self.name = name
        self._state = CallBody._json

    def _fail(self, at: int) -> int:
        self.status = FAILED
        return at

    def _wait(self, at: int, final: bool) -> int:
        self.cut = final
        return self._fail(at) if final else -1

    def _header(self, text: str, at: int, final: bool) -> int:
        """Right behind `<tool_call`: an s, and what shows that the name of the tag ends here."""
        plural = text.startswith("s", at)
        following = text[at + plural : at + plural + 1]
        if not following:
            return self._wait(at, final)
        if not (following.isspace() or following in ">{["):
            return self._fail(at)
        self._tag_open = True
        self._state = CallBody._start
        return at + plural

    def _start(self, text: str, at: int, final: bool) -> int:
        """Before the value."""
        end = _BLANKS.match(text, at).end()  # type: ignore[union-attr]  # matches anything
        if end > at:
            return end
        first = text[at : at + 1]
        if not first:
            return self._wait(at, final)
        if first == ">" and self._tag_open:
            self._tag_open = False
            return at + 1
        if first in "{[":
            self.begin_json(self.name)
            return at
        if first == "<":
            return self._start_mark(text, at, final)
        if first == "`":
            fence = _FENCE.match(text, at)
            short = len(text) - at < 16 and not fence and "```".startswith(text[at : at + 3])
            self.fenced = bool(fence)
            return fence.end() if fence else self._wait(at, final) if short else self._fail(at)
        return self._start_name(text, at, final)

    def _start_mark(self, text: str, at: int, final: bool) -> int:
        found = STRUCTURE.match(text, at)
        if found is None:
            return self._wait(at, final) if STRUCTURE.begun(text, at) else self._fail(at)
        if found[0] in TOKENS:
            return found.end()
        if found[0] not in OPENERS:
            return self._fail(at)
        self._tag_open = False
        self.wrapped = self.wrapped or found[0] == TOOL_CALL
        self._state = BEHIND_OPENER[found[0]]
        return found.end()

    def _start_name(self, text: str, at: int, final: bool) -> int:
        """A tool's name before its arguments, or the name as an attribute of the tag."""
        found = _NAME.match(text, at)
        if found is None:
            return self._fail(at)
        word, end = found[0], found.end()
        attribute = self._tag_open and "name".startswith(word)
        if end == len(text):
            return self._wait(at, final) if attribute or self._tools.begins(word.rstrip(":"), ".call") else self._fail(at)
        if attribute and word == "name":
            return self._attribute(text, at, final)
        name = self._tools.find(word.rstrip(":").removesuffix(".call"))
        if name is None:
            return self._fail(at)
        return self._behind_name(name, text, at, end, final)

    def _behind_name(self, name: str, text: str, at: int, end: int, final: bool) -> int:
        after = _BEHIND_NAME.match(text, end).end()  # type: ignore[union-attr]  # matches anything
        first = text[after : after + 1]
        if not first or (STRUCTURE.begun(text, after) and not final):
            return self._wait(at, final)
        if first in "{(":
            self.begin_json(name)
        elif text.startswith("</tool_call", after):
            self.name, self._empty, self.status = name, True, READ
        else:
            return self._fail(at)
        return after

    def _attribute(self, text: str, at: int, final: bool) -> int:
        found = _ATTRIBUTE.match(text, at)
        if found is None:
            waits = ">" not in text[at : at + LONGEST_HEADER] and len(text) - at < LONGEST_HEADER
            return self._wait(at, final) if waits else self._fail(at)
        name = self._tools.find(found[1])
        if name is None:
            self.undeclared = found[1]
            return self._fail(at)
        self.name = name
        return found.end()

    def _function_name(self, text: str, at: int, final: bool) -> int:
        """Right behind `<function=`."""
        found = _FUNCTION_NAME.match(text, at, at + LONGEST_HEADER)
        if found is None:
            waits = ">" not in text[at : at + LONGEST_HEADER] and len(text) - at < LONGEST_HEADER
            return self._wait(at, final) if waits else self._fail(at)
        name = self._tools.find(found[1])
        if name is None:
            self.undeclared = found[1]
            return self._fail(at)
        self.name = name
        self._state = CallBody._function_body
        return found.end()

    def _function_body(self, text: str, at: int, final: bool) -> int:
        end = _BLANKS.match(text, at).end()  # type: ignore[union-attr]  # matches anything
        if end > at:
            return end
        if text.startswith("{", at):
            self.begin_json(self.name)
            return at
        found = _INSIDE_FUNCTION.match(text, at)
        if found is None:
            return self._wait(at, final) if at == len(text) or _INSIDE_FUNCTION.begun(text, at) else self._fail(at)
        if found[0] == PARAMETER:
            self._state = CallBody._read_parameters
        else:
            self._empty, self.status = True, READ
        return at

    def _read_parameters(self, text: str, at: int, final: bool) -> int:
        stop = self._parameters.feed(text, at, final)
        self._raw.append(text[at:stop])
        if self._parameters.failed:
            self.status = FAILED
        elif self._parameters.done:
            self.status = READ
        elif stop == at:
            return -1
        return stop

    def _json(self, text: str, at: int, final: bool) -> int:
        if at == len(text):
            if final:
                self.status, self.cut = READ, True
            return at if final else -1
        stop = self._scan.feed(text, at, final)
        self._raw.append(text[at:stop])
        if self._scan.status == DONE:
            self.status = READ
        elif self._scan.status == BROKEN:
            self.status = FAILED
        elif self._scan.status == MARK:
            return self._json_mark(text, at, stop, final)
        elif stop == at:
            return -1
        return stop

    def _json_mark(self, text: str, at: int, stop: int, final: bool) -> int:
        """At a `<` outside a string: a token is left out, a tag ends the value, anything else is passed over."""
        found = STRUCTURE.match(text, stop)
        if found and found[0] in TOKENS:
            return found.end()
        if found:
            self._tagged, self.status = True, READ
            return stop
        if STRUCTURE.begun(text, stop) and not final:
            return stop if stop > at else -1
        if self._bare:
            return self._fail(stop)
        self._scan.pass_mark()
        self._raw.append("<")
        return stop + 1


# Functions, not methods bound to their body: bodies would be cycles, left to the garbage collector.
BEHIND_OPENER: dict[str, Callable[[CallBody, str, int, bool], int]] = {
    TOOL_CALL: CallBody._header,
    FUNCTION: CallBody._function_name,
    PYTHON_TAG: CallBody._start,
}
