"""JSON between bytes and values, fast first and lenient second. Pure; it does not know what a value means."""

import json
from typing import Any, NoReturn

import orjson


def load(data: bytes) -> Any:
    """Return the value of `data`. Lone surrogates become U+FFFD. Raises ValueError for anything that is no JSON."""
    try:
        return orjson.loads(data)
    except ValueError as strict:
        if b"\\u" not in data:
            raise
        try:
            value = json.loads(data, parse_constant=_refuse)  # the standard parser lets lone surrogates pass
            return json.loads(replace_surrogates(json.dumps(value, ensure_ascii=False)))
        except (ValueError, RecursionError):
            raise strict from None


def dump(value: object) -> bytes:
    """Return `value` as JSON in UTF-8; lone surrogates become U+FFFD, integers may be of any size."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return replace_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()


def replace_surrogates(text: str) -> str:
    """Return `text` with each lone surrogate as U+FFFD, and pairs joined."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
