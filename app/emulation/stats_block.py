"""The answer's text and the `<|stats|>{json}<|/stats|>` that ChatJimmy puts behind it, told apart in whatever pieces they come.

It also knows what the numbers in the block mean to an OpenAI client: usage and the finish reason.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

OPENING, CLOSING = "<|stats|>", "<|/stats|>"
LONGEST_BLOCK = 65_536  # characters; a real block has some 400
PROMPT = ("prefill_tokens", "prompt_eval_count")  # today's name, and that of older builds
COMPLETION = ("decode_tokens", "eval_count")
_FULL = re.compile(r"\bmax\b.*\blimit\b|\blimit\b.*\breached\b", re.IGNORECASE | re.DOTALL)
_decoder = json.JSONDecoder()


class StatsSplitter:
    """Feed it the answer's text; what it returns is for the client. Linear, holds back at most 8 characters.

    `complete`: the block was closed, nothing that follows counts. `stats`: what it said; None without one, and for one
    that was cut off.
    """

    __slots__ = ("_block", "_held", "_opened", "_size", "_tail", "complete", "stats")

    def __init__(self) -> None:
        self.complete = False
        self.stats: dict[str, Any] | None = None
        self._held = ""  # the end of the text, where it may be the beginning of the opening mark
        self._opened = False
        self._block: list[str] = []
        self._size = 0
        self._tail = ""  # the block's last characters, where they may be the beginning of the closing mark

    def feed(self, text: str) -> str:
        """Return what of the answer's text is certain to be no part of the block."""
        if self._opened:
            self._collect(text)
            return ""
        if self._held:
            text, self._held = self._held + text, ""
        at = text.find(OPENING)
        if at >= 0:
            self._opened = True
            self._collect(text[at + len(OPENING) :])
            return text[:at]
        at = text.rfind("<", -(len(OPENING) - 1))  # the mark holds no second one
        if at >= 0 and OPENING.startswith(text[at:]):
            text, self._held = text[:at], text[at:]
        return text

    def end(self) -> str:
        """Return the text that was held back. A block that broke off is read as far as it goes, and never shown."""
        text, self._held = self._held, ""
        if text != OPENING[:1]:  # `<` alone is no sign of a block, `<|` at the end of an answer is
            text = ""
        if self._opened and not self.complete:
            self._read()
        return text

    def _collect(self, text: str) -> None:
        if self.complete:
            return
        window = self._tail + text
        at = window.find(CLOSING)
        self.complete = at >= 0
        if self.complete:
            text = text[: max(at + len(CLOSING) - len(self._tail), 0)]
        self._tail = window[-(len(CLOSING) - 1) :]
        self._size += len(text)
        if self._size <= LONGEST_BLOCK:
            self._block.append(text)
        if self.complete:
            self._read()

    def _read(self) -> None:
        block = "".join(self._block).lstrip()
        self._block.clear()
        if self._size > LONGEST_BLOCK:
            return
        try:
            value, _ = _decoder.raw_decode(block)  # what follows the object is the closing mark, or half of it
        except (ValueError, RecursionError):
            return
        self.stats = value if isinstance(value, dict) else None


def usage_of(stats: Mapping[str, Any] | None) -> dict[str, int] | None:
    """Return OpenAI's usage; None when the block counts no tokens."""
    if stats is None:
        return None
    prompt, completion, total = _count(stats, PROMPT), _count(stats, COMPLETION), _count(stats, ("total_tokens",))
    if prompt is None and completion is None:
        return None
    if prompt is None or completion is None:
        known = prompt or completion or 0
        other = max((total or 0) - known, 0)
        prompt, completion = (other, known) if prompt is None else (known, other)
    total = prompt + completion if total is None else total
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}


def finish_of(stats: Mapping[str, Any] | None) -> str:
    """Return the finish reason: "length" when the context was full, else `done_reason`, else "stop"."""
    if stats is None:
        return "stop"
    if context_was_full(stats):
        return "length"
    reason = stats.get("done_reason")
    return reason if isinstance(reason, str) and reason else "stop"


def context_was_full(stats: Mapping[str, Any]) -> bool:
    """Tell whether the model stopped for want of room ("max context limit 6144 reached")."""
    reason = stats.get("reason")
    return isinstance(reason, str) and bool(_FULL.search(reason))


def _count(stats: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = stats.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
            return int(value)
    return None
