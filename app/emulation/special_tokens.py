"""Control tokens of a chat template that leak into an answer's text.

Only tokens known to leak are taken out (`<|eot_id|>` and its like): code is full of other things between `<|` and `|>`.
"""

from app.emulation.marks import Marks

TOKENS = (
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|begin_of_text|>",
    "<|start_header_id|>assistant<|end_header_id|>",
)
_MARKS = Marks(TOKENS)


class SpecialTokenFilter:
    """Takes the tokens out of a text in pieces; holds back only what may still become one."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """Return what is known to be text."""
        if not self._held and "<" not in text:
            return text
        text = self._held + text
        at, kept = 0, []
        while found := _MARKS.search(text, at):
            kept.append(text[at : found.start()])
            at = found.end()
        until = _MARKS.held(text, at)
        self._held = text[until:]
        return "".join((*kept, text[at:until]))

    def end(self) -> str:
        """Return what was still held back when the answer ended."""
        held, self._held = self._held, ""
        return held
