"""JSON as small models write it -> values: single quotes, trailing commas, Python's words, missing brackets, raw lines.

It reads a whole text; sound JSON is left to the parser. What it reads, `json_scan` has found: both end strings alike.
"""

import re
from typing import NamedTuple

import orjson

from app.emulation.json_scan import ARRAY_VALUE, KEY, KEYWORD_VALUE, OBJECT_VALUE, OPENERS, QUOTES, closes

MAX_DEPTH = 100
WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None, "NaN": None}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "'": "'", "`": "`", "\\": "\\", "/": "/"}

_STRING = {quote: re.compile(rf"[{quote}\\]") for quote in QUOTES}
_BLANKS = re.compile(r"\s*")
_WORD = re.compile(r"[^,\]}\)\n]*")
_BARE_KEY = re.compile(r"[^\s:=,\[\]{}()\"'`]+")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_UNICODE = re.compile(r"\\u([0-9a-fA-F]{4})(?:\\u([dD][c-fC-F][0-9a-fA-F]{2}))?")


class Loose(NamedTuple):
    """A value; whether it was no sound JSON; whether its text ends in the middle of something."""

    value: object
    repaired: bool = False
    cut: bool = False


def read(text: str, ended: bool = False) -> Loose:
    """Read one value; `name(key=value)` without the name is an object. Raises ValueError where there is none.

    A text that ends before its brackets are closed is `repaired`; one that ends in a string, a number or before a value
    is also `cut`: what it holds is not all that was meant. `ended`: the text is known to be whole, so a number is, too.
    """
    try:
        return Loose(orjson.loads(text))
    except ValueError:
        pass
    parser = _Parser(text, ended)
    parser.skip_blanks()
    if text[parser.at : parser.at + 1] not in ("{", "[", "("):
        raise ValueError("no JSON")
    value = parser.value(OBJECT_VALUE)
    return Loose(value, True, parser.cut)


def is_sound(text: str) -> bool:
    """Tell whether a text is JSON as it should be."""
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


class _Parser:
    """Walks over the text once; every loop goes on by a character at least."""

    def __init__(self, text: str, ended: bool) -> None:
        self.text = text
        self.at = 0
        self.cut = False
        self._open: list[str] = []
        self._ended = ended
        self._last = text[-100:].rstrip()[-1:]

    def skip_blanks(self) -> str:
        """Go to the next character that is not blank and return it, "" at the end."""
        self.at = _BLANKS.match(self.text, self.at).end()  # type: ignore[union-attr]  # matches anything
        return self.text[self.at : self.at + 1]

    def value(self, place: int) -> object:
        first = self.skip_blanks()
        if first in ("{", "[", "("):
            if len(self._open) >= MAX_DEPTH:
                raise ValueError("nested too deep")
            self.at += 1
            self._open.append(first)
            return self._object() if first == "{" or self._open == ["("] else self._array()
        if first and first in QUOTES:
            return self._string(place)
        return self._word()

    def _object(self) -> object:
        if self._open[-1] == "(" and self.skip_blanks() == "{":  # name({"key": value})
            inside = self.value(OBJECT_VALUE)
            self._ends()
            return inside
        place = OBJECT_VALUE if self._open[-1] == "{" else KEYWORD_VALUE
        found: dict[str, object] = {}
        while not self._ends():
            first = self.text[self.at]
            bare = _BARE_KEY.match(self.text, self.at)
            if first in QUOTES:
                key = self._string(KEY)
            elif bare:
                key, self.at = bare[0], bare.end()
            else:
                self.at += 1  # a bracket where a key should be
                continue
            if self.skip_blanks() in (":", "="):
                self.at += 1
                if not self.skip_blanks():
                    self.cut = True
                elif self.text[self.at] not in ",}])":
                    found[key] = self.value(place)
            elif self.at == len(self.text):
                self.cut = True
        return found

    def _array(self) -> list[object]:
        place = ARRAY_VALUE if self._open[-1] == "[" else KEYWORD_VALUE
        found: list[object] = []
        while not self._ends():
            found.append(self.value(place))
        return found

    def _ends(self) -> bool:
        """Pass blanks and commas; tell whether the innermost bracket is closed here, by itself, another or the end."""
        comma = False
        while following := self.skip_blanks():
            if self.text.startswith("```", self.at):  # the fence around it all: brackets are missing
                self.at = len(self.text)
                break
            opener = OPENERS.get(following)
            if opener in self._open:
                self.at += self._open.pop() == opener
                return True
            if following != "," and opener is None:
                return False
            comma = comma or following == ","
            self.at += 1
        self.cut = self.cut or comma or self._last in "{[("
        self._open.pop()
        return True

    def _string(self, place: int) -> str:
        quote, start = self.text[self.at], self.at + 1
        pieces: list[str] = []
        self.at = start
        loose = False
        while found := _STRING[quote].search(self.text, self.at):
            pieces.append(self.text[self.at : found.start()])
            if found[0] == "\\":
                pieces.append(self._escape(found.start()))
                continue
            self.at = found.end()
            after = _BLANKS.match(self.text, self.at).end()  # type: ignore[union-attr]  # matches anything
            if closes(place, quote, self.text[after : after + 1], "\n" in self.text[self.at : after]):
                return _without_triple_quotes("".join(pieces)) if loose else "".join(pieces)
            loose = True
            pieces.append(quote)
        pieces.append(self.text[self.at :])
        self.at = len(self.text)
        self.cut = True
        return "".join(pieces)

    def _escape(self, at: int) -> str:
        """Read one escape; one that JSON does not know (`\\d`, `\\ `) is meant as it stands."""
        pair = _UNICODE.match(self.text, at)
        if pair:
            first = int(pair[1], 16)
            if 0xD800 <= first < 0xDC00 and pair[2]:
                self.at = pair.end()
                return chr(0x10000 + ((first - 0xD800) << 10) + int(pair[2], 16) - 0xDC00)
            self.at = at + 6
            return "\ufffd" if 0xD800 <= first < 0xE000 else chr(first)
        following = self.text[at + 1 : at + 2]
        self.at = min(at + 2, len(self.text))
        return ESCAPES.get(following, "\\" + following)

    def _word(self) -> object:
        """Read a number, a word of Python or JSON, or a string without quotes."""
        found = _WORD.match(self.text, self.at)
        word = found[0].strip() if found else ""
        if not word:
            self.at += 1  # a bracket that nothing opened
            return None
        self.at += max(1, len(found[0]) if found else 0)
        if word in WORDS:
            return WORDS[word]
        number = _NUMBER.fullmatch(word)
        self.cut = self.cut or (self.at == len(self.text) and not self._ended and not self.text[-1].isspace())
        if not number or len(word) > 300:
            return word
        return float(word) if set(word) & set(".eE") else int(word)


def _without_triple_quotes(text: str) -> str:
    """Take the rest of Python's triple quotes off."""
    return text[2:-2] if len(text) >= 4 and text.startswith(('""', "''")) and text.endswith(('""', "''")) else text
