"""Where one JSON value ends in a text that arrives in pieces, though the value may be written loosely.

It looks at each character once and builds nothing. Strings may stand in single quotes or backticks, hold raw line
breaks and, where what follows shows that it cannot be the end, their own quote unescaped (`"echo "hi""`): in sound
JSON a string is always followed by one of `: , } ]`, so that sound JSON is never read otherwise than a parser reads it.
"""

import re

from app.emulation.marks import Marks
from app.emulation.special_tokens import TOKENS

KEY, OBJECT_VALUE, ARRAY_VALUE, KEYWORD_VALUE = range(4)  # the places of a string
RUNNING, DONE, MARK, BROKEN = range(4)
OUTSIDE, INSIDE, CLOSING = range(3)

MAX_DEPTH = 200
OPENERS = {"}": "{", "]": "[", ")": "("}
# Tags that end a call wherever they stand outside a string, and tokens that mean nothing there.
ENDS = ("</tool_call", "</function", "<tool_call", "<function=", "<tool_result", "<tool_response")
STRUCTURE = Marks((*ENDS, *TOKENS))

_FOLLOWED_BY = {KEY: ":=", OBJECT_VALUE: ",}", ARRAY_VALUE: ",]}", KEYWORD_VALUE: ",)"}
QUOTES = "\"'`"  # JSON's, Python's, and JavaScript's for text of several lines
_OUTSIDE = re.compile(rf"[{QUOTES}{{}}\[\]()<,:=]")
_INSIDE = {quote: re.compile(rf"[{quote}\\]") for quote in QUOTES}
_BLANKS = re.compile(r"\s*")


def closes(place: int, quote: str, following: str, line_break: bool) -> bool:
    """Tell whether a quote ends its string, by the next character that is not blank ("" where the text ends).

    A quote on the next line begins the next string: a comma is missing.
    """
    return not following or following in _FOLLOWED_BY[place] or (line_break and following == quote and place != KEY)


class JsonScan:
    """Finds the end of the value that begins with the first `{`, `[` or `(` fed.

    `status` is RUNNING, DONE (the value has ended), MARK (a `<` outside a string: the caller decides) or BROKEN (nested
    too deep). `in_string` tells whether the text fed so far ends inside a string.
    """

    __slots__ = ("_at_start", "_escaped", "_expect_key", "_line_break", "_place", "_quote", "_stack", "_state", "status")

    def __init__(self) -> None:
        self.status = RUNNING
        self._stack: list[str] = []
        self._state = OUTSIDE
        self._expect_key = self._escaped = self._line_break = False
        self._at_start = True
        self._quote = '"'
        self._place = KEY

    @property
    def in_string(self) -> bool:
        return self._state == INSIDE

    def feed(self, text: str, at: int, final: bool = False) -> int:
        """Go on at `at`; return how far the value reaches, or how much is understood without the next piece."""
        self.status = RUNNING
        while at < len(text) and self.status == RUNNING:
            if self._state == INSIDE:
                at = self._inside(text, at)
            elif self._state == OUTSIDE:
                at = self._outside(text, at)
            else:
                stop = self._closing(text, at, final)
                if stop < 0:
                    return at
                at = stop
        return at

    def pass_mark(self) -> None:
        """The `<` at which the scan stopped was none of the caller's marks: it is passed over."""
        self._at_start = False

    def _inside(self, text: str, at: int) -> int:
        if self._escaped:
            self._escaped = False
            return at + 1
        found = _INSIDE[self._quote].search(text, at)
        if found is None:
            return len(text)
        if found[0] == "\\":
            self._escaped = True
        else:
            self._state, self._line_break = CLOSING, False
        return found.end()

    def _closing(self, text: str, at: int, final: bool) -> int:
        """A quote was read: end the string or go on inside it; -1 when that needs more text."""
        end = _BLANKS.match(text, at).end()  # type: ignore[union-attr]  # matches anything
        self._line_break = self._line_break or "\n" in text[at:end]
        if end == len(text):
            return end
        following = text[end]
        if following == "<":
            if STRUCTURE.begun(text, end) and not final:
                return end if end > at else -1
            ended = STRUCTURE.match(text, end) is not None
        else:
            ended = closes(self._place, self._quote, following, self._line_break)
        self._state = OUTSIDE if ended else INSIDE
        self._value_ends()
        return end

    def _outside(self, text: str, at: int) -> int:
        found = _OUTSIDE.search(text, at)
        until = found.start() if found else len(text)
        if self._at_start and until > at and not text[at:until].isspace():
            self._value_ends()
        if found is None:
            return until
        mark = found[0]
        if mark == "<":
            self.status = MARK
            return until
        if mark in QUOTES:
            self._open_string(mark)
        elif mark in "{[(":
            self._open(mark)
        elif mark in ",:=":
            self._expect_key = mark == "," and self._holds_keys()
            self._at_start = True
        else:
            self._close(mark)
        return until + 1

    def _open_string(self, quote: str) -> None:
        if quote != '"' and not self._at_start:
            return  # an apostrophe, a fence
        self._state, self._quote = INSIDE, quote
        top = self._stack[-1] if self._stack else "["
        if self._expect_key:
            self._place = KEY
        elif top == "{":
            self._place = OBJECT_VALUE
        else:
            self._place = KEYWORD_VALUE if top == "(" else ARRAY_VALUE

    def _open(self, bracket: str) -> None:
        self._stack.append(bracket)
        self._expect_key = self._holds_keys()
        self._at_start = True
        if len(self._stack) > MAX_DEPTH:
            self.status = BROKEN

    def _close(self, bracket: str) -> None:
        """Close the innermost bracket of this kind; one that was never opened is passed over."""
        opener = OPENERS[bracket]
        if opener in self._stack:
            while self._stack.pop() != opener:
                pass
        self._value_ends()
        if not self._stack:
            self.status = DONE

    def _value_ends(self) -> None:
        """Behind a word or a value stands a key, or a sign that says otherwise."""
        self._at_start = False
        self._expect_key = self._holds_keys()

    def _holds_keys(self) -> bool:
        """Whether keys stand in the innermost bracket: an object, or a call's `(name=value)`; a tuple is an array."""
        return self._stack[-1:] == ["{"] or self._stack == ["("]
