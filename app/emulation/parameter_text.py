"""`<parameter=name>value</parameter>` … `</function>`: the arguments of a call as tags, in a text that comes in pieces.

Values are texts as they stand, without the line break at each end; types are the schema's business. A closing tag that
is not followed by the next parameter or the end of the call is part of the value.
"""

import re

from app.emulation.marks import Marks

OPEN, CLOSE = "<parameter=", "</parameter>"
ENDS = ("</function", "</tool_call")
LONGEST_NAME = 128

BETWEEN, NAME, VALUE, CLOSING = range(4)
_VALUE_MARKS = Marks((CLOSE, "</function"))
_NEXT = Marks((OPEN, *ENDS))
_AFTER_FUNCTION = Marks(("</tool_call",))
_BLANKS = re.compile(r"\s*")
_FEW_BLANKS = re.compile(r"\s{0,200}")  # what is looked over again with each piece of text has a limit
_FUNCTION_END = re.compile(r"</function\s{0,9}>")


class ParameterScan:
    """Reads parameters up to what ends the call, which is left to the caller. `whole` tells whether it ends well."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.done = False
        self.whole = True
        self.failed = False
        self._state = BETWEEN
        self._name = ""
        self._pieces: list[str] = []

    def feed(self, text: str, at: int, final: bool) -> int:
        """Go on at `at`; return how far the text is understood."""
        while not (self.done or self.failed):
            stop = (self._between, self._read_name, self._value, self._closing)[self._state](text, at, final)
            if stop < 0:
                return at
            at = stop
        return at

    def _between(self, text: str, at: int, final: bool) -> int:
        """Before a parameter: the next one, or the end; -1 when more text is needed, as in the other states."""
        end = _BLANKS.match(text, at).end()  # type: ignore[union-attr]  # matches anything
        if end > at:
            return end
        found = _NEXT.match(text, at)
        if found and found[0] == OPEN:
            self._state = NAME
            return found.end()
        if found:
            self.done = True
        elif at == len(text) or _NEXT.begun(text, at):
            if not final:
                return -1
            self.done, self.whole = True, False
        else:
            self.failed = True
        return at

    def _read_name(self, text: str, at: int, final: bool) -> int:
        end = text.find(">", at, at + LONGEST_NAME)
        if end < 0:
            if final or len(text) - at >= LONGEST_NAME:
                self.failed = True
                return at
            return -1
        self._name = text[at:end].strip().strip("\"'")
        self._state = VALUE
        return end + 1

    def _value(self, text: str, at: int, final: bool) -> int:
        found = _VALUE_MARKS.search(text, at)
        if found is None:
            until = len(text) if final else _VALUE_MARKS.held(text, at)
            self._pieces.append(text[at:until])
            if not final:
                return until if until > at else -1
            self._take()
            self.done, self.whole = True, False
            return until
        self._pieces.append(text[at : found.start()])
        self._state = CLOSING
        return found.start()

    def _closing(self, text: str, at: int, final: bool) -> int:
        """At a closing tag: does it end the value, or is it part of it?"""
        function = text.startswith("</function", at)
        head = _FUNCTION_END.match(text, at) if function else None
        after = head.end() if head else at + (len("</function") if function else len(CLOSE))
        blank = _FEW_BLANKS.match(text, after).end()  # type: ignore[union-attr]  # matches anything
        marks = _AFTER_FUNCTION if function else _NEXT
        over = blank == len(text) or marks.begun(text, blank)
        if over and not final:
            return -1
        if over or (marks.match(text, blank) and (head or not function)):
            self._take()
            self._state = BETWEEN
            return at if function else blank
        self._pieces.append(text[at : at + 1])
        self._state = VALUE
        return at + 1

    def _take(self) -> None:
        value = "".join(self._pieces)
        self.values[self._name] = value.removeprefix("\r").removeprefix("\n").removesuffix("\n").removesuffix("\r")
        self._pieces = []
