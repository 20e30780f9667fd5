"""JSON that was asked for in words comes in a code fence all the same: the JSON alone goes on, in whatever pieces it comes.

An answer that does not begin with a fence around an object or array is left as it is.
"""

import re
from collections.abc import Sequence
from typing import Protocol

from app.emulation.events import Call, Text
from app.emulation.json_end import JsonEnd

_OPENING = re.compile(r"\s{0,40}```[\w-]{0,16}\s{0,40}(?=[{\[])")
_OPENING_BEGUN = re.compile(r"\s{0,40}(?:`{0,3}|```[\w-]{0,16}\s{0,40})")
START, INSIDE, PLAIN, BEHIND = range(4)


class Reader(Protocol):
    """What reads the text of one choice."""

    @property
    def undeclared(self) -> Sequence[str]: ...
    @property
    def dropped(self) -> int: ...
    def feed(self, text: str) -> list[Text | Call]: ...
    def end(self) -> list[Text | Call]: ...


class TextReader:
    """Reads nothing into a text."""

    undeclared: Sequence[str] = ()
    dropped = 0

    def feed(self, text: str) -> list[Text | Call]:
        return [Text(text)] if text else []

    def end(self) -> list[Text | Call]:
        return []


class FenceReader:
    """Takes the fence off, with what stands behind it, and hands the rest to another reader."""

    def __init__(self, inner: Reader) -> None:
        self._inner = inner
        self._state = START
        self._held = ""
        self._scan = JsonEnd()

    @property
    def undeclared(self) -> Sequence[str]:
        """As the other reader says."""
        return self._inner.undeclared

    @property
    def dropped(self) -> int:
        """As the other reader says."""
        return self._inner.dropped

    @property
    def unfenced(self) -> bool:
        """Whether there was a fence."""
        return self._state in (INSIDE, BEHIND)

    def feed(self, text: str) -> list[Text | Call]:
        """Return what the next piece completes."""
        if self._state == START:
            text, self._held = self._held + text, ""
            opening = _OPENING.match(text)
            if opening:
                self._state, text = INSIDE, text[opening.end() :]
            elif _OPENING_BEGUN.fullmatch(text):
                self._held = text
                return []
            else:
                self._state = PLAIN
        if self._state == INSIDE:
            end = self._scan.feed(text)
            if end >= 0:
                self._state = BEHIND
                return self._inner.feed(text[:end])
        elif self._state == BEHIND:
            return []
        return self._inner.feed(text)

    def end(self) -> list[Text | Call]:
        """Return what was held back."""
        held, self._held = self._held, ""
        return (self._inner.feed(held) if held else []) + self._inner.end()
