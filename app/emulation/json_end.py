"""Where a JSON object ends in a text that comes in pieces: counts brackets outside strings, checks nothing else."""

import re

_OUTSIDE = re.compile(r'["{}\[\]]')
_INSIDE = re.compile(r'["\\]')


class JsonEnd:
    """Finds the end of one object or array; looks at each character once."""

    __slots__ = ("_depth", "_escaped", "quoted")

    def __init__(self) -> None:
        self._depth = 0
        self._escaped = False
        self.quoted = False

    def feed(self, text: str, start: int = 0) -> int:
        """Return the place behind the object's last bracket, -1 while it is open. The first piece begins with it."""
        at, size = start, len(text)
        while at < size:
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            found = (_INSIDE if self.quoted else _OUTSIDE).search(text, at)
            if found is None:
                return -1
            at, sign = found.end(), found[0]
            if sign == '"':
                self.quoted = not self.quoted
            elif sign == "\\":
                self._escaped = True
            else:
                self._depth += 1 if sign in "{[" else -1
                if self._depth <= 0:
                    return at
        return -1
