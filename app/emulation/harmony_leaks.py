"""Harmony text whose special tokens a server left out: `analysis…assistantfinal…` -> the same with its markers.

transformers serve (skip_special_tokens), text-generation-webui and others do so (macprovider #743, textgen #7374). What
is left are the words of the headers, glued to the texts around them. It is a guess, made for this model family only and
only where the answer begins with such a word; pure text.
"""

import re

from app.emulation.harmony_header import ANALYSIS, ASSISTANT, CALL, CHANNEL, COMMENTARY, END, FINAL, MESSAGE, START
from app.emulation.json_end import JsonEnd
from app.emulation.marks import Marks

TO, JSON = " to=", " json"
_RECIPIENT = " to=functions."
_SEAMS = tuple(ASSISTANT + word for word in (ANALYSIS, COMMENTARY, FINAL, _RECIPIENT))
_SEAM = Marks(_SEAMS)
_SEAM_OR_BRACE = Marks((*_SEAMS, "{"))

# How an answer may open. A word of plain English is followed by a blank or a sign, a header's by its message.
PLAIN, HEADER, STRIPPED = "plain", "header", "stripped"
_OPENINGS = (
    (re.compile(rf"(?:{ANALYSIS}|{COMMENTARY})(?:[^\W_]|[\"'(\[*])|{COMMENTARY} to="), STRIPPED),
    (re.compile(rf"{ASSISTANT}(?:{ANALYSIS}|{FINAL}|{COMMENTARY})"), STRIPPED),
    # "finally" is English; "finalThe", "final42" and "final네" are not.
    (re.compile(rf"{FINAL}(?:[A-Z0-9\"'(\[*#`{{<>$|\\\n]|[^\x00-\x7f]|{JSON}[\[{{]|- )"), STRIPPED),
    (re.compile(rf"(?:{ASSISTANT} )?to=[A-Za-z_]"), HEADER),
)
_FINAL_WORD = re.compile(rf"{FINAL}([a-z]+)")
_WORDS_OF_FINAL = (
    *("ly", "s", "e", "ist", "ists", "ity", "ement", "mente"),
    *(root + end for root in ("is", "iz") for end in ("e", "ed", "es", "er", "ing", "ation")),
)
_AFTER_ROLE = (ANALYSIS, FINAL, COMMENTARY, TO)
_WORDS = (ANALYSIS, FINAL + JSON, FINAL + "-", COMMENTARY + TO, TO[1:], *(ASSISTANT + word for word in _AFTER_ROLE))
_OPENING_BEGUN = frozenset(word[:size] for word in _WORDS for size in range(len(word) + 1))
MAX_BLANKS = 64


def read_opening(text: str) -> str | None:
    """Tell how an answer opens: "plain" text, a "header" without markers, "stripped" text; None while it is open."""
    plain = text.lstrip()
    if len(text) - len(plain) > MAX_BLANKS:
        return PLAIN
    for pattern, kind in _OPENINGS:
        if pattern.match(plain):
            return kind
    if word := _FINAL_WORD.match(plain):
        return _read_final_word(word[1], word.end() == len(plain))
    return None if plain in _OPENING_BEGUN else PLAIN


def _read_final_word(rest: str, grows: bool) -> str | None:
    """Tell whether "final" and what is glued to it make a word, or a header and the first word of its message."""
    if grows and any(known.startswith(rest) for known in _WORDS_OF_FINAL):
        return None
    return PLAIN if rest in _WORDS_OF_FINAL else STRIPPED


BODY, PEEK, PEEK_FINAL, NAME, ARGUMENTS, LAST = range(6)


class StrippedReader:
    """Puts the markers back, as text comes; holds back only what may be a seam between two messages.

    `feed` and `end` return markers and texts in turn; a marker never stands inside a text. It begins where `read_opening`
    said "stripped" or "header".
    """

    def __init__(self, kind: str) -> None:
        self._held = ""
        self._opened = kind == HEADER
        self._state = NAME
        self._scan = JsonEnd()

    @property
    def in_string(self) -> bool:
        """Whether what was fed ends inside a string of a call's arguments."""
        return self._state == ARGUMENTS and self._scan.quoted

    def feed(self, text: str) -> list[str]:
        """Return the next markers and texts."""
        text, self._held = self._held + text, ""
        out: list[str] = []
        at = 0
        if not self._opened:
            self._opened = True
            text = text.lstrip().removeprefix(ASSISTANT)
            word = next(name for name in (ANALYSIS, COMMENTARY, FINAL) if text.startswith(name))
            at = self._enter(word, out, len(word))
        while at < len(text):
            at = self._step(text, at, out)
        return out

    def end(self) -> list[str]:
        """Return what was held back."""
        held, self._held = self._held, ""
        head = [MESSAGE] if self._state == PEEK_FINAL else []
        return [*head, held] if held else head

    def _step(self, text: str, at: int, out: list[str]) -> int:
        """Read the next stretch of `text`; return where it ends."""
        if self._state == PEEK:
            return self._peek(text, at, out)
        if self._state == PEEK_FINAL:
            return self._peek_final(text, at, out)
        if self._state == ARGUMENTS:
            end = self._scan.feed(text, at)
            out.append(text[at : end if end >= 0 else len(text)])
            if end >= 0:
                out.append(CALL)
                self._state = BODY
            return end if end >= 0 else len(text)
        if self._state == LAST:
            out.append(text[at:])
            return len(text)
        marks = _SEAM_OR_BRACE if self._state == NAME else _SEAM
        found = marks.search(text, at)
        if found is None:
            end = marks.held(text, at)
            self._held = text[end:]
            out += [text[at:end]] if end > at else []
            return len(text)
        if found.start() > at:
            out.append(text[at : found.start()])
        if found[0] == "{":
            out.append(MESSAGE)
            self._state, self._scan = ARGUMENTS, JsonEnd()
            return found.start()
        out += (END, START, ASSISTANT)
        return self._enter(found[0].removeprefix(ASSISTANT), out, found.end())

    def _enter(self, word: str, out: list[str], at: int) -> int:
        """Begin the message whose header begins with `word`; return `at`."""
        if word == _RECIPIENT:
            out.append(word)
            self._state = NAME
            return at
        out += (CHANNEL, word)
        if word == ANALYSIS:
            out.append(MESSAGE)
        self._state = {COMMENTARY: PEEK, FINAL: PEEK_FINAL}.get(word, BODY)
        return at

    def _peek(self, text: str, at: int, out: list[str]) -> int:
        """Decide whether a commentary is a call or a preamble."""
        behind = text[at : at + len(TO)]
        if behind != TO and TO.startswith(behind):
            self._held = behind
            return len(text)
        if behind == TO:
            self._state = NAME
        else:
            out.append(MESSAGE)
            self._state = BODY
        return at

    def _peek_final(self, text: str, at: int, out: list[str]) -> int:
        """Leave out what says that the answer is JSON."""
        behind = text[at : at + len(JSON) + 1]
        if JSON.startswith(behind):
            self._held = behind
            return len(text)
        out.append(MESSAGE)
        self._state = LAST
        return at + len(JSON) if behind.startswith(JSON) and behind[-1] in "{[" else at
