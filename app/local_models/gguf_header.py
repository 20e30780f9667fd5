"""Reads the header of a GGUF file and nothing behind it; every length in it is bounded before it is believed.

It knows the format (versions 2 and 3, either byte order), not what a key means. Source: docs/gguf.md of ggml.
A header of 12 MB (128,000 tokens and 280,000 merges) takes about 0.1 s and 64 KB; the tensors are never touched.
"""

import math
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from app.local_models.gguf_types import ARRAY, SCALARS, STRING, TENSOR_TYPES

MAGIC = b"GGUF"
WINDOW = 65_536  # bytes read at once
MOST_HEADER = 64 * 2**20  # bytes; the largest seen are about 20 MB
MOST_KEYS, MOST_TENSORS, MOST_ITEMS = 4_096, 65_536, 4_000_000
LONGEST_KEY = 65_535  # bytes, the format's own limit
LONGEST_TEXT = 2**20  # bytes; longer strings are passed over
SHORT_ARRAY = 1_024  # numbers; longer arrays are passed over
MOST_KEPT = 4 * 2**20  # bytes of all that is kept
MOST_DIMENSIONS = 4
MOST_PARAMETERS = 2**50
MOST_BYTES = 2**60

Scalar = int | float | bool | str
_LENGTHS = {"<": struct.Struct("<Q"), ">": struct.Struct(">Q")}


class GgufError(Exception):
    """The file cannot be used; the text says why in a few words."""


@dataclass(frozen=True)
class Tensors:
    """All tensors of one file: how many numbers, by type (ggml's number), and how many bytes the file must have."""

    count: int = 0
    numbers: int = 0
    by_type: Mapping[int, int] = field(default_factory=dict)
    file_size: int = 0


@dataclass(frozen=True)
class Header:
    """What stands before the weights.

    `values` holds numbers, booleans and strings by key; `numbers` short arrays of numbers; `lengths` the number of
    items of every array. `size` is the file's own size in bytes; `missing` how many bytes of the weights are not there.
    """

    version: int
    big_endian: bool
    values: Mapping[str, Scalar] = field(repr=False)
    numbers: Mapping[str, tuple[float, ...]] = field(repr=False)
    lengths: Mapping[str, int] = field(repr=False)
    tensors: Tensors
    size: int

    @property
    def missing(self) -> int:
        return max(0, self.tensors.file_size - self.size)


def read_header(path: str | Path) -> Header:
    """Read the header of the file at `path`. Raises GgufError, also for what cannot be opened or is no file."""
    try:
        # Without O_NONBLOCK a named pipe would hold the scan for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise GgufError("is not a regular file")
            with open(descriptor, "rb", buffering=0, closefd=False) as file:
                return read_header_of(file, found.st_size)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise GgufError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


def read_header_of(file: BinaryIO, size: int) -> Header:
    """Read the header of an open file of `size` bytes, which must be seekable. Raises GgufError and OSError."""
    cursor = Cursor(file, size)
    version, big_endian = read_version(cursor)
    tensor_count, key_count = cursor.length(), cursor.length()
    if key_count > MOST_KEYS:
        raise GgufError(f"damaged header: {key_count} keys")
    if tensor_count > MOST_TENSORS:
        raise GgufError(f"damaged header: {tensor_count} tensors")
    if not key_count and not tensor_count:
        raise GgufError("damaged header: no keys and no tensors")
    values = Values(cursor)
    for _ in range(key_count):
        values.read_one()
    tensors = read_tensors(cursor, tensor_count, alignment_of(values.values))
    return Header(version, big_endian, values.values, values.numbers, values.lengths, tensors, size)


class Cursor:
    """A place in a file: takes bytes, or jumps over them without reading; never past the file or the longest header."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.at = 0
        self.order = "<"
        self.size = size
        self._file = file
        self._end = min(size, MOST_HEADER)
        self._window, self._start = b"", 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        self._check(count)
        begin = self.at - self._start
        if begin < 0 or begin + count > len(self._window):
            self._read_window(count)
            begin = 0
        self.at += count
        return self._window[begin : begin + count]

    def skip(self, count: int) -> None:
        """Pass over `count` bytes."""
        self._check(count)
        self.at += count

    def numbers(self, kind: str, count: int) -> tuple[int | float, ...]:
        """Return the next `count` numbers of struct's format character `kind`."""
        return struct.unpack(f"{self.order}{count}{kind}", self.take(count * struct.calcsize("<" + kind)))

    def number(self, kind: str) -> int | float:
        """Return one number of struct's format character `kind`."""
        return self.numbers(kind, 1)[0]

    def whole(self, kind: str = "I") -> int:
        """Return one whole number."""
        return int(self.number(kind))

    def length(self) -> int:
        """Return an unsigned number of 8 bytes."""
        return self.whole("Q")

    def skip_strings(self, count: int) -> None:
        """Pass over `count` strings: their lengths must be read, but 400,000 of them must not take a second."""
        unpack = _LENGTHS[self.order].unpack_from
        while count:
            self._check(8)
            if not self._start <= self.at <= self._start + len(self._window) - 8:
                self._read_window(8)
            window, at, last = self._window, self.at - self._start, len(self._window) - 8
            while count and at <= last:
                at += 8 + unpack(window, at)[0]
                count -= 1
            self.skip(at + self._start - self.at)

    def _read_window(self, needed: int) -> None:
        self._file.seek(self.at)
        wanted, pieces = min(max(needed, WINDOW), self._end - self.at), []
        self._start = self.at
        while wanted > 0 and (piece := self._file.read(wanted)):
            pieces.append(piece)
            wanted -= len(piece)
        self._window = b"".join(pieces)
        if len(self._window) < needed:
            raise GgufError("became shorter while it was read")

    def _check(self, count: int) -> None:
        if self.at + count <= self._end:
            return
        if self.at + count > self.size:
            raise GgufError(f"truncated: the header goes on after the file's {self.size} bytes")
        raise GgufError(f"damaged header: longer than {MOST_HEADER} bytes")


def read_version(cursor: Cursor) -> tuple[int, bool]:
    """Read magic and version and set the cursor's byte order. Raises GgufError for what is none or too old."""
    if cursor.size < 24:
        raise GgufError("is empty" if not cursor.size else f"truncated: only {cursor.size} bytes")
    magic = cursor.take(4)
    if magic != MAGIC:
        raise GgufError("is not a GGUF file" if magic.strip(b"\0") else "is not a GGUF file (it begins with zeros)")
    raw = cursor.take(4)
    little, big = int.from_bytes(raw, "little"), int.from_bytes(raw, "big")
    big_endian = big < little
    cursor.order = ">" if big_endian else "<"
    version = min(little, big)
    if version not in (2, 3):
        raise GgufError(f"GGUF version {version} is not supported (2 and 3 are)")
    return version, big_endian


class Values:
    """The keys and values of a header, as they are read one by one."""

    def __init__(self, cursor: Cursor) -> None:
        self.values: dict[str, Scalar] = {}
        self.numbers: dict[str, tuple[float, ...]] = {}
        self.lengths: dict[str, int] = {}
        self._cursor = cursor
        self._keys, self._kept = 0, 0  # bytes
        self._seen: set[str] = set()

    def read_one(self) -> None:
        """Read the next key and its value. Raises GgufError."""
        length = self._cursor.length()
        if not 0 < length <= LONGEST_KEY:  # a file with a hole in its header goes on with zeros
            raise GgufError(f"damaged header: a key of {length} bytes")
        key = text_of(self._cursor.take(length))
        self._keys += length
        if self._keys > MOST_KEPT:
            raise GgufError(f"damaged header: {self._keys} bytes of keys")
        if key in self._seen:
            raise GgufError(f"damaged header: the key {key[:100]!r} is there twice")
        self._seen.add(key)
        kind = self._cursor.whole()
        if kind == ARRAY:
            self._read_array(key)
        elif kind == STRING:
            self._read_text(key)
        elif kind in SCALARS:
            self.values[key] = self._cursor.number(SCALARS[kind])
        else:
            raise GgufError(f"damaged header: a value of unknown type {kind}")

    def _read_text(self, key: str) -> None:
        length = self._cursor.length()
        if length > LONGEST_TEXT or self._kept + length > MOST_KEPT:
            self._cursor.skip(length)
            return
        self._kept += length
        self.values[key] = text_of(self._cursor.take(length))

    def _read_array(self, key: str) -> None:
        kind, count = self._cursor.whole(), self._cursor.length()
        if count > MOST_ITEMS:
            raise GgufError(f"damaged header: an array of {count} items")
        self.lengths[key] = count
        if kind == STRING:
            self._cursor.skip_strings(count)
        elif kind not in SCALARS:
            raise GgufError(f"damaged header: an array of type {kind}")
        elif count <= SHORT_ARRAY and self._kept + 8 * count <= MOST_KEPT:
            self._kept += 8 * count
            self.numbers[key] = self._cursor.numbers(SCALARS[kind], count)
        else:
            self._cursor.skip(count * struct.calcsize("<" + SCALARS[kind]))


def text_of(raw: bytes) -> str:
    """Decode a string of the header; a few files carry bytes that are not UTF-8."""
    return raw.decode("utf-8", "replace")


def alignment_of(values: Mapping[str, Scalar]) -> int:
    """Return what the weights are aligned to, in bytes. Raises GgufError for what is no power of two."""
    alignment = values.get("general.alignment", 32)
    if isinstance(alignment, bool) or not isinstance(alignment, int) or not 0 < alignment <= 2**20:
        raise GgufError("damaged header: general.alignment")
    if alignment & (alignment - 1):
        raise GgufError(f"damaged header: general.alignment is {alignment}")
    return alignment


def read_tensors(cursor: Cursor, count: int, alignment: int) -> Tensors:
    """Read what the header says of the tensors and add it up. Raises GgufError."""
    by_type: dict[int, int] = {}
    end = 0
    for _ in range(count):
        kind, numbers, offset = read_tensor(cursor)
        by_type[kind] = by_type.get(kind, 0) + numbers
        end = max(end, offset + bytes_of(kind, numbers))
    total = sum(by_type.values())
    if total > MOST_PARAMETERS or end > MOST_BYTES:
        raise GgufError("damaged header: the tensors are impossibly large")
    start = -(-cursor.at // alignment) * alignment
    return Tensors(count, total, by_type, start + end if end else cursor.at)


def read_tensor(cursor: Cursor) -> tuple[int, int, int]:
    """Read one tensor's description: (type, how many numbers, offset in the data). Raises GgufError."""
    length = cursor.length()
    if not 0 < length <= LONGEST_KEY:
        raise GgufError(f"damaged header: a tensor's name of {length} bytes")
    cursor.skip(length)
    dimensions = cursor.whole()
    if dimensions > MOST_DIMENSIONS:
        raise GgufError(f"damaged header: a tensor of {dimensions} dimensions")
    numbers = math.prod(map(int, cursor.numbers("Q", dimensions)))
    kind, offset = cursor.whole(), cursor.length()
    return kind, numbers, offset


def bytes_of(kind: int, numbers: int) -> int:
    """Return how many bytes hold `numbers` numbers of a tensor's type; 0 for types that are not known here."""
    found = TENSOR_TYPES.get(kind)
    return -(-numbers // found.block) * found.size if found else 0
