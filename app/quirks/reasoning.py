"""Thoughts that travel under another name or inside the text -> `reasoning_content`; knows no families, no requests."""

from app.quirks.ledger import Ledger, answer_rule

THOUGHT, THINK = "thought", "think"
OTHER_NAMES = ("reasoning", "reasoning_text", "thinking")

START, INSIDE, AFTER, OUTSIDE = range(4)


def reasoning_name(delta: dict, ledger: Ledger, where: str) -> str:
    """Thoughts come as `reasoning` (Groq, OpenRouter, vLLM); agents read `reasoning_content`.

    Returns the text, "" when there is none. Texts under both names are the same text: one is enough.
    """
    text = delta.get("reasoning_content")
    if isinstance(text, str) and text:
        return text
    for name in OTHER_NAMES:
        text = delta.get(name)
        if isinstance(text, str) and text:
            return text if ledger.allows_once("reasoning.name", f"{where}.{name}", name, "reasoning_content") else ""
    return ""


class TagSplitter:
    """Split `<tag>thoughts</tag>answer` as it arrives; holds back only what may still become a tag.

    `always` are tags that open thoughts at the very beginning of an answer; `flagged` is a tag that does so in a text
    which the upstream has flagged as a thought, at any time.
    """

    __slots__ = ("_always", "_armed", "_close", "_flagged", "_held", "_ledger", "_state", "_where")

    def __init__(self, always: tuple[str, ...], flagged: str | None, ledger: Ledger, where: str) -> None:
        self._always = always
        self._flagged = flagged
        self._ledger = ledger
        self._where = where
        self._state = START if always else OUTSIDE
        self._armed = always
        self._held = ""
        self._close = ""

    @property
    def idle(self) -> bool:
        """Whether plain text may pass by without being looked at."""
        return self._state == OUTSIDE and not self._held

    def feed(self, text: str, flagged: bool = False) -> tuple[str, str]:
        """Return (thoughts, answer) of the next piece of text."""
        if flagged and self._flagged and self._state in (OUTSIDE, AFTER):
            self._state, self._armed = START, (self._flagged,)
        elif flagged and self._flagged and self._state == START and self._flagged not in self._armed:
            self._armed = (*self._armed, self._flagged)
        text, self._held = self._held + text, ""
        if self._state == START:
            opened = self._open(text)
            if opened is None:
                return "", ("" if self._held else text)
            text = opened
        if self._state == INSIDE:
            return self._inside(text)
        return "", self._after(text)

    def flush(self) -> tuple[str, str]:
        """Return (thoughts, answer) that were still held back when the answer ended."""
        held, self._held = self._held, ""
        return (held, "") if self._state == INSIDE else ("", held)

    def _open(self, text: str) -> str | None:
        """Return what follows an opening tag; None when there is none, or not yet (then the text is held)."""
        begun = text.lstrip()
        for tag in self._armed:
            mark = f"<{tag}>"
            if begun.startswith(mark):
                if not thought_tags(tag, self._ledger, self._where):
                    break
                self._state, self._close = INSIDE, f"</{tag}>"
                return begun[len(mark) :]
            if mark.startswith(begun):
                self._held = text
                return None
        self._state = OUTSIDE
        return None

    def _inside(self, text: str) -> tuple[str, str]:
        thoughts, closed, rest = text.partition(self._close)
        if closed:
            self._state = AFTER
            return thoughts, self._after(rest)
        kept = _overlap(text, self._close)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept], ""

    def _after(self, text: str) -> str:
        if self._state == AFTER:
            text = text.lstrip("\n")
            self._state = OUTSIDE if text else AFTER
        return text


def thought_tags(tag: str, ledger: Ledger, where: str) -> bool:
    """Thoughts stand as `<thought>…</thought>` or `<think>…</think>` in the text (Gemini, a local R1)."""
    return ledger.allows("reasoning.tags", f"{where}.content", f"<{tag}>", "reasoning_content")


def _overlap(text: str, mark: str) -> int:
    """Count the characters at the end of `text` that begin `mark`."""
    return next((size for size in range(min(len(text), len(mark) - 1), 0, -1) if mark.startswith(text[-size:])), 0)


RULES = (answer_rule("reasoning.name", reasoning_name), answer_rule("reasoning.tags", thought_tags))
