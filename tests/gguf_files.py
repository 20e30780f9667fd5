"""Writes GGUF files for tests: real header bytes in either byte order, and as many zeros for weights as they promise.

    gguf(path, {"general.architecture": "llama"}, tensors={"a": ((32, 4), Q4_0)})
    header_bytes(values, tensors)                 the same without a file

Values: str, bool, int (u32, u64 above, i64 below zero), float (f32), a list of one of them, or Typed(type, value) for the rest.
"""

import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

F32, F16, Q4_0, Q8_0, Q4_K, Q6_K = 0, 1, 2, 8, 12, 14
SIZES = {F32: (1, 4), F16: (1, 2), Q4_0: (32, 18), Q8_0: (32, 34), Q4_K: (256, 144), Q6_K: (256, 210)}
FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
ALIGNMENT = 32

Shapes = Mapping[str, tuple[Sequence[int], int]]


class Typed(NamedTuple):
    """A value with its GGUF type, for types that a Python value does not show."""

    kind: int
    value: Any


def typed(value: Any) -> Typed:
    """Give a Python value its usual GGUF type."""
    if isinstance(value, Typed):
        return value
    if isinstance(value, str | bytes):
        return Typed(8, value)
    if isinstance(value, bool):
        return Typed(7, value)
    if isinstance(value, int):
        return Typed(11 if value < 0 else 4 if value < 2**32 else 10, value)
    if isinstance(value, float):
        return Typed(6, value)
    return Typed(9, value)


def text(value: str | bytes, order: str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(order + "Q", len(raw)) + raw


def encoded(value: Typed, order: str) -> bytes:
    """Write a value without its type."""
    if value.kind == 8:
        return text(value.value, order)
    if value.kind != 9:
        return struct.pack(order + FORMATS[value.kind], value.value)
    items = [typed(item) for item in value.value]
    kind = max((item.kind for item in items), default=4)
    items = [Typed(kind, item.value) for item in items]
    return struct.pack(order + "IQ", kind, len(items)) + b"".join(encoded(item, order) for item in items)


def header_bytes(values: Mapping[str, Any], tensors: Shapes | None = None, version: int = 3, order: str = "<") -> bytes:
    """Return a header; the tensors' data is taken to follow one another, aligned to 32 bytes."""
    tensors = tensors or {}
    out = [b"GGUF", struct.pack(order + "IQQ", version, len(tensors), len(values))]
    for key, value in values.items():
        kind = typed(value)
        out += [text(key, order), struct.pack(order + "I", kind.kind), encoded(kind, order)]
    offset = 0
    for name, (shape, kind) in tensors.items():
        out += [text(name, order), struct.pack(f"{order}I{len(shape)}Q", len(shape), *shape)]
        out += [struct.pack(order + "IQ", kind, offset)]
        offset += aligned(size_of(shape, kind))
    return b"".join(out)


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def size_of(shape: Sequence[int], kind: int) -> int:
    numbers = 1
    for size in shape:
        numbers *= size
    block, size = SIZES[kind]
    return -(-numbers // block) * size


def file_size(header: bytes, tensors: Shapes | None) -> int:
    """Return how large a whole file with this header is."""
    return aligned(len(header)) + sum(aligned(size_of(shape, kind)) for shape, kind in (tensors or {}).values())


def gguf(path: Path, values: Mapping[str, Any] | None = None, tensors: Shapes | None = None, **how: Any) -> Path:
    """Write a whole file, its weights as a hole; a model of "llama" with one small tensor where nothing is said."""
    values = {"general.architecture": "llama", **(values or {})}
    tensors = {"token_embd.weight": ((64, 32), F16)} if tensors is None else tensors
    header = header_bytes(values, tensors, **how)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header)
    os.truncate(path, file_size(header, tensors))
    return path
