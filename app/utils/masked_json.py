"""JSON of values with their keys hidden, for values that mostly repeat: remembers by content what was already searched.

A conversation is sent again with every turn; only what is new in it is searched (25 ns a character), the rest is looked up.
"""

import json
import re
from typing import Any

import orjson

from app.utils.masking import Masker

LISTS = ("messages", "tools", "input")  # of a request: remembered item by item
SHORT = 64  # bytes that are their own name; longer ones are named by a hash, whose seed is this process's own
MOST_UNITS, MOST_BYTES, MOST_MASKERS = 5_000, 2_000_000, 8
AS_TEXT = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
LONE = re.compile("[\ud800-\udfff]")

Name = bytes | tuple[int, int]


class Memory:
    """What was found out about parts of values with one masker: None where a part holds no key, else its masked JSON.

    Bounded: when it is full, what was not asked for since it was half full is forgotten.
    """

    def __init__(self) -> None:
        self._new: dict[Name, bytes | None] = {}
        self._old: dict[Name, bytes | None] = {}
        self._bytes = 0

    def get(self, name: Name, otherwise: bytes) -> bytes | None:
        known = self._new.get(name, otherwise)
        if known is otherwise and name in self._old:
            known = self._old[name]
            self.put(name, known)
        return known

    def put(self, name: Name, masked: bytes | None) -> None:
        self._new[name] = masked
        self._bytes += len(masked) if masked else 0
        if len(self._new) >= MOST_UNITS or self._bytes > MOST_BYTES:
            self._old, self._new, self._bytes = self._new, {}, 0


class MaskedJson:
    """Writes masked JSON. Belongs to one thread."""

    def __init__(self) -> None:
        self._memories: dict[Masker, Memory] = {}  # clients have keys of their own, and so maskers

    def dump(self, masker: Masker, value: Any) -> bytes:
        """Return JSON in UTF-8 of `value` as `masker.mask` shows it; bytes that hold a JSON object are read first."""
        if isinstance(value, bytes):
            value = read(value)
        memory = self._memories.get(masker)
        if memory is None:
            if len(self._memories) >= MOST_MASKERS:
                self._memories.clear()
            memory = self._memories[masker] = Memory()
        if type(value) is not dict:
            return _unit(memory, masker, value)
        return b"{" + b",".join(_fields(memory, masker, value)) + b"}"


def _fields(memory: Memory, masker: Masker, value: dict[Any, Any]) -> list[bytes]:
    fields = []
    for key, item in value.items():
        if key in LISTS and type(item) is list:
            items = b",".join([_unit(memory, masker, each) for each in item])
            fields.append(b'"%b":[%b]' % (key.encode(), items))
        else:
            fields.append(_unit(memory, masker, {key: item})[1:-1])
    return fields


def _unit(memory: Memory, masker: Masker, value: object) -> bytes:
    """Return the masked JSON of one part, from memory if the same was asked before."""
    try:
        data = orjson.dumps(value, option=AS_TEXT)
    except TypeError:  # bytes, any object, a lone surrogate, an integer beyond 64 bits
        return dump(masker.mask(value))
    name: Name = data if len(data) <= SHORT else (hash(data), len(data))
    known = memory.get(name, data)
    if known is data:
        masked = dump(masker.mask(value))
        known = None if masked == data else masked
        memory.put(name, known)
    return data if known is None else known


def dump(value: object) -> bytes:
    """Return JSON in UTF-8 of a masked value; lone surrogates are written as escapes, NaN as null."""
    try:
        return orjson.dumps(value)
    except TypeError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if "NaN" in text or "Infinity" in text:
            finite = json.loads(text, parse_constant=lambda name: None)
            text = json.dumps(finite, ensure_ascii=False, separators=(",", ":"))
        return LONE.sub(lambda found: f"\\u{ord(found.group()):04x}", text).encode()


def read(data: bytes) -> object:
    """Return what a JSON object in bytes says, and the text of anything else."""
    if data.lstrip()[:1] == b"{":
        try:
            return orjson.loads(data)
        except ValueError:
            return data.decode("utf-8", "replace")
    return data.decode("utf-8", "replace")
