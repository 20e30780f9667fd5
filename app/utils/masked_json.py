"""JSON of values with their keys hidden, for values that mostly repeat: remembers by content what was already searched.

A conversation is sent again with every turn; only what is new in it is searched (25 ns a character), the rest is looked up.
"""

import json
import re

import orjson

from app.utils.masking import Masker

SHORT = 64  # bytes that are their own name; longer ones are named by a hash, whose seed is this process's own
MOST_UNITS, MOST_BYTES, MOST_MASKERS = 5_000, 2_000_000, 8
AS_TEXT = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
LONE = re.compile("[\ud800-\udfff]")

Name = bytes | tuple[int, int]


class Units:
    """Writes parts of values with one masker, and remembers what was found out: that a part holds no key, or its masked JSON.

    Bounded: when it is full, what was not asked for since it was half full is forgotten. Belongs to one thread.
    """

    def __init__(self, masker: Masker, most: int = MOST_UNITS) -> None:
        self._masker, self._most = masker, most
        self._new: dict[Name, bytes | None] = {}
        self._old: dict[Name, bytes | None] = {}
        self._bytes = 0

    def unit(self, value: object) -> bytes:
        """Return JSON in UTF-8 of `value` as the masker shows it."""
        return self.shown(value, raw(value))

    def shown(self, value: object, data: bytes | None) -> bytes:
        """Return the same where what `raw` says of `value` is known."""
        if data is None:
            return dump(self._masker.mask(value))
        name: Name = data if len(data) <= SHORT else (hash(data), len(data))
        known = self._new.get(name, data)
        if known is data:
            known = self._look_further(name, value, data)
        return data if known is None else known

    def _look_further(self, name: Name, value: object, data: bytes) -> bytes | None:
        known = self._old.get(name, data)
        if known is data:
            masked = dump(self._masker.mask(value))
            known = None if masked == data else masked
        self._new[name] = known
        self._bytes += len(known) if known else 0
        if len(self._new) >= self._most or self._bytes > MOST_BYTES:
            self._old, self._new, self._bytes = self._new, {}, 0
        return known


class MaskedJson:
    """The units of each masker: clients have keys of their own, and so maskers. Belongs to one thread."""

    def __init__(self) -> None:
        self._units: dict[Masker, Units] = {}

    def units(self, masker: Masker) -> Units:
        """Return what writes with `masker`."""
        units = self._units.get(masker)
        if units is None:
            if len(self._units) >= MOST_MASKERS:
                self._units.clear()
            units = self._units[masker] = Units(masker)
        return units


def raw(value: object) -> bytes | None:
    """Return the JSON of `value`, NOT masked; None for what it cannot say (bytes, any object, a lone surrogate, 2**64)."""
    try:
        return orjson.dumps(value, option=AS_TEXT)
    except TypeError:
        return None


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


def read_json(data: bytes) -> object:
    """Return what a JSON object in bytes says, and the text of anything else: bytes that are no UTF-8 as lone surrogates."""
    if data.lstrip()[:1] == b"{":
        try:
            return orjson.loads(data)
        except ValueError:
            pass
    return data.decode("utf-8", "surrogateescape")
