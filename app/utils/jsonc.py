"""JSON with comments and trailing commas -> Python values; knows nothing of files, placeholders or schemas."""

import json
import re
from typing import Any

# A string is matched whole, so nothing inside it is ever taken for a comment or a comma.
_STRING_OR_COMMENT = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\r\n]*|/\*.*?\*/', re.DOTALL)
_STRING_OR_COMMA = re.compile(r'"(?:[^"\\\n]|\\.)*"|,(?=\s*[}\]])')
_VISIBLE = re.compile(r"[^\r\n]")


class JsoncError(ValueError):
    """The text is not JSONC. `line` and `column` count from 1; the message never quotes the text."""

    def __init__(self, reason: str, line: int, column: int):
        super().__init__(f"line {line}, column {column}: {reason}")
        self.reason, self.line, self.column = reason, line, column


def decode(text: str) -> Any:
    """Decode JSONC text: `//` and `/* */` comments, trailing commas, a byte order mark, any line ends.

    Raises JsoncError with the place of the fault.
    """
    plain = strip(text)
    try:
        return json.loads(plain)
    except json.JSONDecodeError as error:
        raise JsoncError(error.msg, error.lineno, error.colno) from None
    except RecursionError:
        raise JsoncError("nested too deeply", 1, 1) from None


def strip(text: str) -> str:
    """Blank out comments and trailing commas, keeping every other character at its place (less a leading BOM)."""
    without_comments = _STRING_OR_COMMENT.sub(_blank_comment, text.removeprefix("\ufeff"))
    return _STRING_OR_COMMA.sub(_blank_comma, without_comments)


def _blank_comment(match: re.Match[str]) -> str:
    found = match[0]
    return found if found[0] == '"' else _VISIBLE.sub(" ", found)


def _blank_comma(match: re.Match[str]) -> str:
    if match[0] != ",":
        return match[0]
    before = match.string[: match.start()].rstrip()[-1:]
    return "," if before in ("", ",", "[", "{", ":") else " "  # `[,]` stays the fault that it is
