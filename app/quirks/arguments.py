"""The arguments of one tool call in the history, whatever a client made of them -> texts of one JSON object each."""

import json

import orjson

RAW = "_raw"
MAX_SPLIT = 16


def read_arguments(given: object) -> list[str]:
    """Return the arguments as JSON objects in text, at least one; a sound string comes back as it is.

    An object is written as JSON; nothing and null are `{}`; several objects in a row become several strings; what is
    no object is kept as `{"_raw": …}`.
    """
    if isinstance(given, str):
        return [given] if is_object(given) else split_objects(given)
    if given is None:
        return ["{}"]
    return [encode(given if isinstance(given, dict) else {RAW: given})]


def is_object(text: str) -> bool:
    """Tell whether `text` is one JSON object."""
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def split_objects(text: str) -> list[str]:
    """Read a text that is not one plain JSON object."""
    rest = text.strip()
    if rest in ("", "null"):
        return ["{}"]
    objects: list[str] = []
    decoder = json.JSONDecoder()
    while rest and len(objects) <= MAX_SPLIT:
        try:
            value, end = decoder.raw_decode(rest)
        except (ValueError, RecursionError):
            return [encode({RAW: text})]
        if isinstance(value, str) and not objects and is_object(value) and not rest[end:].strip():
            return [value]  # encoded twice
        if not isinstance(value, dict):
            return [encode({RAW: text})]
        objects.append(encode(value))
        rest = rest[end:].lstrip(" \t\r\n,")
    return objects if not rest else [encode({RAW: text})]


def encode(value: object) -> str:
    """Write JSON that any parser takes: lone surrogates become U+FFFD, NaN becomes null."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        text = json.dumps(value, ensure_ascii=True, default=str)
        return sound(text)


def sound(text: str) -> str:
    """Return JSON text without the escapes of lone surrogates."""
    cleaned = json.loads(text)
    plain = json.dumps(cleaned, ensure_ascii=False)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
