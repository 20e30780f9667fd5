"""JSON that a model wrote almost right -> the one object that it can mean; whatever would need a guess is left alone.

What `loose_json` reads is more than is safe where nobody asks the model again: unescaped quotes, words without quotes,
missing brackets. Here its strings are taken out first, and what is left must be JSON but for the marks of other
languages: single quotes (they went with the strings), bare keys, Python's words, a comma before a bracket.
"""

import re
from typing import Any

import orjson

from app.emulation import loose_json

# A string, and the quote that ends it; one that does not end reaches to the end of the text, so that each character is
# looked at once.
_STRING = re.compile(
    r"""  "[^"\\]*(?:\\.[^"\\]*)*(?:(")|\\?\Z)
        | '[^'\\]*(?:\\.[^'\\]*)*(?:(')|\\?\Z)""",
    re.DOTALL | re.VERBOSE,
)
_BARE_KEY = re.compile(r"(?<=[{,])(\s*)[A-Za-z_$][\w$]*(?=\s*:)")
_PYTHON = re.compile(r"\b(?:True|False|None)\b")
_LAST_COMMA = re.compile(r'(?<=[\w"}\]])(\s*),(?=\s*[}\]])')
EMPTY, OPEN = '""', "!"


def repaired(text: str) -> dict[str, Any] | None:
    """Return the object that `text` means, though it is no sound JSON; None where that is not certain. Never raises."""
    plain = text.strip()
    if not plain.startswith("{"):
        return None
    bones = _STRING.sub(lambda found: EMPTY if found.lastindex else OPEN, plain)
    bones = _LAST_COMMA.sub(r"\1", _PYTHON.sub("null", _BARE_KEY.sub(rf"\1{EMPTY}", bones)))
    try:
        orjson.loads(bones)
        found = loose_json.read(plain)
    except ValueError:
        return None
    return found.value if isinstance(found.value, dict) and not found.cut else None


def is_object(text: str) -> bool:
    """Tell whether `text` is one JSON object or array, sound or safely repaired."""
    return loose_json.is_sound(text) or repaired(text) is not None
