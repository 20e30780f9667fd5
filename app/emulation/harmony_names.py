"""Tool names as identifiers, and back: Harmony declares tools as TypeScript types, so a name must be an identifier.

The rule is ollama's (harmony/harmonyparser.go): space, `-` and `.` become `_`, other signs are dropped, a leading digit
gets a `_`, a name that is taken gets `_2`, `_3` …; the names of the tools that gpt-oss was trained on stay as they are.
"""

from collections.abc import Iterable

BUILT_IN = frozenset({"browser.open", "browser.search", "browser.find", "python"})
UNNAMED = "unnamed"
_UNDERSCORES = str.maketrans(" -.", "___")


class Names:
    """The names of one request.

    `back` maps what is sent to the client's name, for the declared tools only: a call of anything else is no call.
    """

    def __init__(self, declared: Iterable[str] = ()) -> None:
        self.back: dict[str, str] = {}
        self._sent: dict[str, str] = {}
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}
        for name in declared:
            self.back[self.sent(name)] = name

    def sent(self, name: str) -> str:
        """Return the identifier that stands for `name`, the same one each time; also for a tool that is not declared."""
        known = self._sent.get(name)
        if known is None:
            known = self._sent[name] = name if name in BUILT_IN else self._free(identifier(name))
            self._taken.add(known)
        return known

    def _free(self, candidate: str) -> str:
        if candidate not in self._taken:
            return candidate
        count = self._next.get(candidate, 2)
        while f"{candidate}_{count}" in self._taken:
            count += 1
        self._next[candidate] = count + 1
        return f"{candidate}_{count}"


def identifier(name: str) -> str:
    """Return `name` with what an identifier may hold: letters and digits of any script, `_` and `$`."""
    spaced = name.translate(_UNDERSCORES)
    kept = "".join(sign for sign in spaced if sign.isalpha() or sign.isdecimal() or sign in "_$")
    if not kept:
        return UNNAMED
    return f"_{kept}" if kept[0].isdecimal() else kept
