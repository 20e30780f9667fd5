"""Makes screenshots small: a PNG of a few thousand colours becomes one of at most 256 and is packed well. Pure.

Only what a browser's screenshot is: 8 bits a channel, RGB or RGBA without transparency, not interlaced.
"""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = 256
Colour = tuple[int, int, int]


def shrink(png: bytes) -> bytes:
    """Return the same picture with a palette of the colours that are used most; others become the nearest of them."""
    width, height, lines = decode(png)
    counts: Counter[Colour] = Counter()
    for line in lines:
        counts.update(line)
    palette = choose(counts)
    places = {colour: min(range(len(palette)), key=lambda place: distance(palette[place], colour)) for colour in counts}
    rows = b"".join(b"\0" + bytes(places[colour] for colour in line) for line in lines)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"PLTE", bytes(sum(palette, ()))), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return SIGNATURE + b"".join(map(_chunk, *zip(*chunks, strict=True)))


def choose(counts: Counter[Colour]) -> list[Colour]:
    """Return the colours that are used most, then those that would be missed most: far from all others, and not rare."""
    palette = [colour for colour, _ in counts.most_common(COLOURS // 4)]
    far = {colour: min(distance(colour, other) for other in palette) for colour in counts}
    while len(palette) < min(COLOURS, len(counts)):
        missed = max(far, key=lambda colour: far[colour] * counts[colour])
        palette.append(missed)
        far = {colour: min(away, distance(colour, missed)) for colour, away in far.items()}
    return palette


def distance(one: Colour, other: Colour) -> int:
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2 + (one[2] - other[2]) ** 2


def decode(png: bytes) -> tuple[int, int, list[list[Colour]]]:
    """Return width, height and the lines of a screenshot. Raises ValueError for any other kind of PNG."""
    if not png.startswith(SIGNATURE):
        raise ValueError("this is no PNG")
    parts = dict.fromkeys((b"IHDR", b"IDAT"), b"")
    for name, data in _chunks(png):
        if name in parts:
            parts[name] += data
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    if depth != 8 or kind not in (2, 6) or interlaced:
        raise ValueError("this is no screenshot")
    size = 3 if kind == 2 else 4
    return width, height, list(_lines(zlib.decompress(parts[b"IDAT"]), width, height, size))


def _lines(data: bytes, width: int, height: int, size: int) -> Iterator[list[Colour]]:
    length = width * size
    above = bytearray(length)
    for row in range(height):
        start = row * (length + 1)
        line = _unfilter(data[start], bytearray(data[start + 1 : start + 1 + length]), above, size)
        yield list(zip(line[0::size], line[1::size], line[2::size], strict=True))
        above = line


def _unfilter(kind: int, line: bytearray, above: bytearray, size: int) -> bytearray:
    if kind == 2:
        return bytearray((value + up) & 255 for value, up in zip(line, above, strict=True))
    if kind:
        for place in range(len(line)):
            left, corner = (line[place - size], above[place - size]) if place >= size else (0, 0)
            line[place] = (line[place] + _guess(kind, left, above[place], corner)) & 255
    return line


def _guess(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 1:
        return left
    if kind == 3:
        return (left + up) // 2
    ahead = left + up - corner
    return min((abs(ahead - left), 0, left), (abs(ahead - up), 1, up), (abs(ahead - corner), 2, corner))[2]


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(SIGNATURE)
    while place < len(png):
        (size,) = struct.unpack_from(">I", png, place)
        yield png[place + 4 : place + 8], png[place + 8 : place + 8 + size]
        place += size + 12


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
