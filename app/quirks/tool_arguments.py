"""The arguments of a call in an answer: whether they are whole, and their safe repairs; knows no calls."""

import json
import re
from typing import NamedTuple

import orjson

MAX_OBJECTS = 16
_MARKS = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)
_FENCE = re.compile(r"^```[a-z]*\s*(.*?)\s*```$", re.DOTALL)


class Arguments(NamedTuple):
    """Argument strings of one call (more than one when calls were glued together), or why they cannot be read."""

    texts: tuple[str, ...]
    broken: str | None = None


class ObjectEnd:
    """Tell whether the text fed so far is one complete JSON object or array; looks at each character once."""

    __slots__ = ("_depth", "_escaped", "_opened", "_quoted")

    def __init__(self) -> None:
        self._depth = 0
        self._opened = self._quoted = self._escaped = False

    @property
    def complete(self) -> bool:
        """Whether all that was opened is closed."""
        return self._opened and self._depth <= 0 and not self._quoted

    def feed(self, text: str) -> None:
        """Look at the next piece of the text."""
        if not self._opened and not self._quoted and text[:1] == "{" and text[-1:] == "}":
            try:
                orjson.loads(text)  # the usual case of a call in one piece, ten times faster than to look at each mark
            except ValueError:
                pass
            else:
                self._opened = True
                return
        start = 1 if self._escaped and text else 0
        self._escaped = self._escaped and not text
        for mark in _MARKS.findall(text, start):
            if mark[0] == "\\":
                self._escaped = self._quoted and mark == "\\"
            elif mark == '"':
                self._quoted = not self._quoted
            elif not self._quoted:
                self._opened = True
                self._depth += 1 if mark in "{[" else -1


def read_arguments(text: str) -> Arguments:
    """Return the arguments as strings that parse; only repairs that need no guess are made.

    Nothing and `null` are `{}`; JSON that was encoded twice is decoded once; raw control characters in strings are
    escaped; a code fence and what trails a whole object is cut off; whole objects in a row are several calls, except
    empty and repeated ones. A text whose object is not closed is broken: its end is not known.
    """
    try:
        value = orjson.loads(text)
    except (ValueError, TypeError):
        return _read_loosely(text)
    if isinstance(value, str) and _is_object(value):
        return Arguments((value,))
    return Arguments(("{}",) if value is None else (text,))


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except ValueError:
        return False


def _read_loosely(text: str) -> Arguments:
    plain = text.strip()
    fenced = _FENCE.match(plain)
    plain = fenced[1] if fenced else plain
    if not plain:
        return Arguments(("{}",))
    objects = _leading_objects(plain)
    if not objects:
        return Arguments((), f"arguments are not JSON: {plain[:80]}")
    if objects[-1] is None:
        return Arguments((), f"arguments end in the middle: {plain[-80:]}")
    distinct = list(dict.fromkeys(encode(found) for found in objects))
    return Arguments(tuple(found for found in distinct if found != "{}") or ("{}",))


def _leading_objects(text: str) -> list[dict | None]:
    """List the objects at the beginning of `text`; None stands for one that is begun and not ended."""
    decoder = json.JSONDecoder(strict=False)
    objects: list[dict | None] = []
    while text.startswith("{") and len(objects) < MAX_OBJECTS:
        try:
            value, end = decoder.raw_decode(text)
        except (ValueError, RecursionError):
            return [*objects, None]
        objects.append(value)
        text = text[end:].lstrip(" \t\r\n,;")
    return objects


def encode(value: object) -> str:
    """Write compact JSON; lone surrogates become U+FFFD."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a lone surrogate or a number over 64 bits
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
