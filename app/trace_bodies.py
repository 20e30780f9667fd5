"""The bodies of a request as JSON in bytes: how they are read, and how they travel to the process that writes. Pure.

What was sent upstream mostly repeats what the client sent, byte for byte: it travels as pieces of its own and places in the
client's body.
"""

from typing import Any

from app.utils.json_text import load
from app.utils.masked_json import raw, read_json

RECEIVED, SENT = BODIES = ("client_request", "upstream_request")
LONG_FIELDS = (b'"messages":[', b'"tools":[')
LOOSE = b'": '  # JSON with blanks, as its first bytes show
HEAD, BEHIND = 200, 1 << 62
STEP = 4_096  # bytes that are compared at once; what is left of the last ones is told again

Note = tuple[float, str, Any]  # seconds, station, value
Pieces = tuple[bytes | tuple[int, int], ...]  # bytes, or from where to where they stand in the client's body


def bytes_of(data: bytes, body: object) -> bytes | None:
    """Return the bytes to keep of a body that came as `data`: as the gateway writes them; None where it is no object."""
    if not isinstance(body, dict):
        return None
    return (raw(body) if LOOSE in data[:HEAD] else None) or data


def read_value(station: str, value: Any) -> Any:
    """Return what was noted as it is stored: a body in bytes, and other bytes that hold a JSON object, as that object."""
    if not isinstance(value, bytes):
        return value
    return read_body(value) if station in BODIES else read_json(value)


def read_body(data: bytes) -> Any:
    """Return what a body says, read as the gateway reads it; the text of what is no JSON."""
    try:
        return load(data)
    except ValueError:
        return data.decode("utf-8", "surrogateescape")


def shorten(notes: list[Note]) -> list[Note]:
    """Return notes whose bodies take little to send: those that were sent upstream as Pieces, where JSON can say them."""
    short, received = list[Note](), b""
    for at, station, value in notes:
        if station == RECEIVED:
            received = value if isinstance(value, bytes) else b""
        elif station == SENT:
            data = raw(value) if isinstance(value, dict) else value
            value = pieces_of(data, received) if isinstance(data, bytes) else value
        short.append((at, station, value))
    return short


def lengthen(notes: list[Note]) -> list[Note]:
    """Return the notes that were shortened: the client's body as a value, what was sent upstream as bytes."""
    whole, received = list[Note](), b""
    for at, station, value in notes:
        if station == RECEIVED and isinstance(value, bytes):
            received, value = value, read_body(value)
        elif station == SENT and isinstance(value, tuple):
            value = b"".join([piece if isinstance(piece, bytes) else received[slice(*piece)] for piece in value])
        whole.append((at, station, value))
    return whole


def pieces_of(data: bytes, received: bytes) -> Pieces:
    """Return `data` as pieces of its own and places in `received`."""
    pieces: list[bytes | tuple[int, int]] = []
    told = used = 0
    for field in sorted(LONG_FIELDS, key=lambda field: data.find(field, 0, HEAD) % BEHIND):
        here, there = data.find(field, told), received.find(field, used)
        length = _common(data, here, received, there) if min(here, there) >= 0 else 0
        if length:
            pieces += (data[told:here], (there, there + length))
            told, used = here + length, there + length
    return (*pieces, data[told:])


def _common(data: bytes, here: int, other: bytes, there: int) -> int:
    """Return how many bytes are the same from there on, in whole steps."""
    length = 0
    most = min(len(data) - here, len(other) - there) - STEP
    while length <= most and other.startswith(data[here + length : here + length + STEP], there + length):
        length += STEP
    return length
