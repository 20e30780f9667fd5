"""How the parts of a stored request are written: packed JSON, masked. It knows no database.

Two packages a request: its notes and its chunks. What was sent upstream mostly repeats what the client sent, so a message
or tool that did is stored as its number there; and what the client sends mostly repeats what it sent a turn before, so a
message or tool is packed by itself, and the package remembered.

A package is a row of frames: a letter (p plain, z packed by zlib), the length in four bytes, the data.
"""

import json
import os
import struct
import zlib
from typing import Any

from app import capture
from app.trace_bodies import BODIES, RECEIVED, SENT, Note, read_body, read_value
from app.trace_events import Reads, Writes
from app.utils.masked_json import MaskedJson, Units, raw
from app.utils.masking import Masker

NOTES, CHUNKS = "notes", "chunks"
LEVEL = 1  # of zlib
LISTS = ("messages", "tools", "input")  # of a request: stored item by item
AT_ONCE = ("resolved", "repairs")  # few values that are often the same
SHORTEST_PACKED = 400  # bytes
GROUP = 16_384  # bytes of items that are packed together: a list that only grows keeps its groups
MOST_PACKED = 8_000_000  # bytes of packages that are remembered

_FRAME = struct.Struct(">cI")
_SAME = os.urandom(16).hex()  # stands for a list that is the one that the client sent

Group = tuple[bytes, ...]  # items of a list, each to stand in brackets
Text = list[bytes | Group]  # pieces of JSON


class Packer:
    """Packs what is to be stored. Belongs to one thread."""

    def __init__(self) -> None:
        self._writer = MaskedJson()
        self._packed: dict[tuple[int, int], bytes] = {}
        self._bytes = 0

    def pack_notes(self, notes: list[Note], masker: Masker) -> bytes:
        """Return the package of the notes, their keys hidden."""
        units = self._writer.units(masker)
        received: dict[str, _Items] = {}
        text: Text = [b"["]
        for number, (at, station, value) in enumerate(notes):
            text.append(b"%b[%.6f,%b," % (b",\n" if number else b"", at, capture.dump(station).encode()))
            if station == SENT and isinstance(value, bytes):
                value = _read_sent(value, received)
            _write(text, units, station, read_value(station, value), received)
            text.append(b"]")
        text.append(b"]")
        return self._frames(text)

    def shown(self, text: str, masker: Masker) -> str:
        """Return a text with its keys hidden."""
        return str(json.loads(self._writer.units(masker).unit(text)))

    def _frames(self, text: Text) -> bytes:
        frames, plain = list[bytes](), list[bytes]()
        for piece in text:
            if isinstance(piece, bytes):
                plain.append(piece)
                continue
            if len(piece) == 1 and len(piece[0]) < SHORTEST_PACKED:
                plain += (b"[", piece[0], b"]")
                continue
            _add(frames, b"".join(plain))
            plain = []
            packed = self._pack(piece)
            frames += (_FRAME.pack(b"z", len(packed)), packed)
        _add(frames, b"".join(plain))
        return b"".join(frames)

    def _pack(self, group: Group) -> bytes:
        name = hash(group), sum(map(len, group))
        packed = self._packed.get(name)
        if packed is None:
            if self._bytes > MOST_PACKED:
                self._packed, self._bytes = {}, 0
            packed = self._packed[name] = zlib.compress(b",".join([b"[%b]" % item for item in group]), LEVEL)
            self._bytes += len(packed)
        return packed


def pack_chunks(reads: Reads, writes: Writes) -> bytes:
    """Return the package of masked chunks."""
    value = {"raw": [(round(at, 6), data) for at, data in reads], "emitted": [(round(at, 6), text) for at, text in writes]}
    packed = zlib.compress(capture.dump(value).encode(), LEVEL)
    return _FRAME.pack(b"z", len(packed)) + packed


def unpack_notes(package: bytes) -> list[Note]:
    """Return the notes of a package. Raises ValueError, LookupError, struct.error, zlib.error."""
    notes: list[Note] = []
    received: dict[str, Any] = {}
    for at, station, value, *lists in json.loads(unpack(package)):
        if lists:
            for name, entries in lists[0].items():
                known = received.get(name, [])
                if entries is not True:
                    known = [entry[0] if isinstance(entry, list) else known[entry] for entry in entries]
                value[name] = known
        if station == RECEIVED and isinstance(value, dict):
            received = {name: value[name] for name in LISTS if isinstance(value.get(name), list)}
        notes.append((at, station, value))
    return notes


def unpack_chunks(package: bytes) -> tuple[Reads, Writes]:
    """Return the chunks of a package. Raises as `unpack_notes` does."""
    value = json.loads(unpack(package))
    return [(at, data) for at, data in value["raw"]], [(at, text) for at, text in value["emitted"]]


class _Items:
    """One of the lists that the client sent: its JSON as it is, and the number of each item by what is written of it."""

    def __init__(self) -> None:
        self.whole: bytes | None = None
        self.texts: dict[bytes, int] = {}


def _write(text: Text, units: Units, station: str, value: object, received: dict[str, _Items]) -> None:
    """Add a value as JSON; for one with long lists null in their places, and behind it an object with these lists.

    Each item of such a list stands in brackets, or is its number in the list of that name that the client sent; true
    is all of that list.
    """
    if type(value) is not dict or station in AT_ONCE:
        text.append(units.unit(value))
        return
    lists: Text = []
    before = b"{"
    for key, item in value.items():
        if key in LISTS and (type(item) is list or item == _SAME):
            name = b'"%b":' % key.encode()
            text += [before, name, b"null"]
            lists += [b"," if lists else b",{", name]
            if item == _SAME:
                lists.append(b"true")
            else:
                _write_items(lists, units, item, station, received.setdefault(key, _Items()))
        else:
            text += [before, units.unit({key: item})[1:-1]]
        before = b","
    text.append(b"}" if value else b"{}")
    if lists:
        text += [*lists, b"}"]


def _read_sent(data: bytes, received: dict[str, _Items]) -> object:
    """Return a body that was sent upstream, _SAME in place of lists that are those of the client: they need no reading."""
    short, same = data, []
    for key, items in received.items():
        name = b'"%b":' % key.encode()
        at = short.find(name) + len(name)
        if items.whole and at >= len(name) and short.startswith(items.whole, at):
            short = b'%b"%b"%b' % (short[:at], _SAME.encode(), short[at + len(items.whole) :])
            same.append(key)
    value = read_body(short)
    if isinstance(value, dict) and all(value.get(key) == _SAME for key in same):
        return value
    return read_body(data)  # it stood further inside


def _write_items(text: Text, units: Units, items: list[Any], station: str, known: _Items) -> None:
    plain = [raw(item) for item in items]
    whole = b"[%b]" % b",".join(plain) if station in BODIES and None not in plain else None  # type: ignore[arg-type]
    if station == RECEIVED:
        known.whole = whole
    elif station == SENT and whole is not None and whole == known.whole:
        text.append(b"true")
        return
    before, group, size = b"[", list[bytes](), 0
    for number, item in enumerate(items):
        data = units.shown(item, plain[number])
        place = known.texts.get(data) if station == SENT else None
        if station == RECEIVED:
            known.texts[data] = number
        if place is None:
            group.append(data)
            size += len(data)
        if group and (place is not None or size >= GROUP or number == len(items) - 1):
            text += [before, tuple(group)]
            before, group, size = b",", [], 0
        if place is not None:
            text.append(b"%b%d" % (before, place))
            before = b","
    text.append(b"]" if items else b"[]")


def _add(frames: list[bytes], data: bytes) -> None:
    if len(data) >= SHORTEST_PACKED:
        data = zlib.compress(data, LEVEL)
        frames += (_FRAME.pack(b"z", len(data)), data)
    elif data:
        frames += (_FRAME.pack(b"p", len(data)), data)


def unpack(package: bytes) -> str:
    """Return the JSON of a package. Raises ValueError, struct.error, zlib.error."""
    parts, place = [], 0
    while place < len(package):
        kind, length = _FRAME.unpack_from(package, place)
        place += _FRAME.size
        data = package[place : place + length]
        if len(data) < length or kind not in b"pz":
            raise ValueError("a frame is cut off or of no known kind")
        parts.append(zlib.decompress(data) if kind == b"z" else data)
        place += length
    return b"".join(parts).decode()
