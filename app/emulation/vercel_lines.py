"""Vercel's data protocol, as older builds of ChatJimmy spoke it: `0:"text"`, `d:{"finishReason":…}`, one part a line.

Whether an answer speaks it is told by a response header, else by all of its lines: two at least, and none that is no
part. An answer without the header whose first line looks like a part is therefore held back until a line does not, or to
its end (at most 65,536 characters); any other text leaves at once. Parts: AI SDK 4, "Stream Protocols"; codes 1 and 4
to 7 are those of AI SDK 3.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

HEADERS = ("x-vercel-ai-data-stream", "x-experimental-stream-data")  # AI SDK 4 and 3
LONGEST_HELD = 65_536
FEWEST_LINES = 2

# Code -> how its JSON begins.
OPENINGS = {
    **dict.fromkeys("03g", '"'),  # text, error, reasoning
    **dict.fromkeys("28", "["),  # data, annotations
    **dict.fromkeys("145679abcdefhijk", "{"),  # calls, steps, finish, sources, files
}
TEXT, ERROR, FINISH, FINISH_STEP = "0", "3", "d", "e"


class Part(NamedTuple):
    """One line of the protocol."""

    code: str
    value: Any


def is_announced(headers: Mapping[str, str]) -> bool:
    """Tell whether an answer's headers say that it speaks the protocol."""
    found = {name.lower(): value.strip().lower() for name, value in headers.items()}
    return any(found.get(name, "false") not in ("false", "0", "") for name in HEADERS)


def read_part(line: str) -> Part | None:
    """Return a line as a part, None when it is none."""
    if not may_be_part(line[:3]) or len(line) < 4:
        return None
    try:
        return Part(line[0], json.loads(line[2:]))
    except (ValueError, RecursionError):
        return None


def may_be_part(head: str) -> bool:
    """Tell whether a line whose first three characters (or fewer, so far) are these may be a part."""
    if not head.strip("\r"):
        return True
    opening = OPENINGS.get(head[0])
    return opening is not None and f"{head[0]}:{opening}".startswith(head)


class VercelReader:
    """Feed it an answer; it returns the answer's text. Linear; one for each answer.

    `finish`, `usage` (OpenAI's) and `error` are what the protocol's other parts said. Once `speaks` is False, the
    answer is plain text and passes as it is. In an announced stream a line that is no part is text, a cut one nothing.
    """

    def __init__(self, announced: bool = False) -> None:
        self.speaks: bool | None = announced or None
        self.finish: str | None = None
        self.usage: dict[str, int] | None = None
        self.error: str | None = None
        self._line: list[str] = []  # the line that is still coming
        self._head = ""  # its first characters
        self._raw: list[str] = []  # the lines so far, while undecided
        self._parts: list[Part] = []
        self._held = 0

    def feed(self, text: str) -> str:
        """Return the text that is certain."""
        if self.speaks is False:
            return text
        said: list[str] = []
        start = 0
        while (end := text.find("\n", start)) >= 0:
            self._line.append(text[start:end])
            start = end + 1
            said.append(self._take_line("\n"))
            if self._is_plain():
                return "".join(said) + text[start:]
        if start < len(text):
            said.append(self._take_piece(text[start:]))
        return "".join(said)

    def end(self) -> str:
        """Return what was held back, decided by all lines there are."""
        said = self._take_line("") if self._line else ""
        return said + self._decide() if self.speaks is None else said

    def _is_plain(self) -> bool:
        return self.speaks is False

    def _take_piece(self, piece: str) -> str:
        """Take the beginning, or more, of a line that has not ended yet."""
        self._line.append(piece)
        if self.speaks:
            return ""
        self._held += len(piece)
        if len(self._head) < 3:
            self._head += piece[: 3 - len(self._head)]
        if not may_be_part(self._head):
            return self._give_up()
        return self._decide() if self._held > LONGEST_HELD else ""

    def _take_line(self, newline: str) -> str:
        line = "".join(self._line)
        self._line.clear()
        self._head = ""
        part = read_part(line)
        if self.speaks:
            return self._apply(part) if part else "" if may_be_part(line[:3]) else line + newline
        self._raw.append(line + newline)
        self._held += len(line) + 1
        if part:
            self._parts.append(part)
        elif line.strip("\r"):
            return self._give_up()
        return self._decide() if self._held > LONGEST_HELD else ""

    def _decide(self) -> str:
        if len(self._parts) < FEWEST_LINES:
            return self._give_up()
        self.speaks = True
        said = "".join(self._apply(part) for part in self._parts)
        self._raw.clear()
        self._parts.clear()
        return said

    def _give_up(self) -> str:
        """It is plain text: all of it leaves as it came."""
        self.speaks = False
        whole = "".join(self._raw) + "".join(self._line)
        self._raw.clear()
        self._line.clear()
        return whole

    def _apply(self, part: Part) -> str:
        """Return what a part adds to the text."""
        value = part.value
        if part.code == TEXT:
            return str(value)
        if part.code == ERROR:
            self.error = str(value) or "unknown error"
        elif part.code in (FINISH, FINISH_STEP):
            reason = value.get("finishReason")
            self.finish = reason if isinstance(reason, str) and reason else self.finish
            self.usage = _usage(value.get("usage")) or self.usage
        return ""


def _usage(usage: object) -> dict[str, int] | None:
    if not isinstance(usage, dict):
        return None
    counts = [usage.get(name) for name in ("promptTokens", "completionTokens")]
    if not all(isinstance(count, int | float) and math.isfinite(count) and count >= 0 for count in counts):
        return None
    prompt, completion = (int(count) for count in counts)  # type: ignore[arg-type]
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
