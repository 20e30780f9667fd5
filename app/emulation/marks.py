"""Literal marks in a text that arrives in pieces: where one stands, and what may still become one."""

import re
from collections.abc import Iterable


class Marks:
    """Finds literal marks; no mark may be the beginning of another."""

    def __init__(self, literals: Iterable[str]) -> None:
        found = tuple(literals)
        self._regex = re.compile("|".join(map(re.escape, found)))
        self._prefixes = frozenset(mark[:size] for mark in found for size in range(1, len(mark)))
        self._longest = max(map(len, found))
        self._first = re.compile(f"[{re.escape(''.join({mark[0] for mark in found}))}]")
        self.search = self._regex.search
        self.match = self._regex.match

    def remove(self, text: str) -> str:
        """Return `text` without its marks."""
        return self._regex.sub("", text)

    def begun(self, text: str, at: int) -> bool:
        """Tell whether all of `text` from `at` on is the beginning of a mark."""
        return len(text) - at < self._longest and text[at:] in self._prefixes

    def held(self, text: str, at: int) -> int:
        """Return where the end of `text` begins that may still become a mark; its length where there is none."""
        for first in self._first.finditer(text, max(at, len(text) - self._longest + 1)):
            if text[first.start() :] in self._prefixes:
                return first.start()
        return len(text)
