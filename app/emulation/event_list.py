"""The events of an answer in their order: texts joined, the blanks around calls left out."""

from app.emulation.events import Call, Text


class EventList:
    """Collects what a reader finds.

    Blanks at the end of a text are held back: they belong to it only if more text follows. Between two texts with calls
    in between stand the blanks that the model wrote before the first call, or else those behind it.
    """

    __slots__ = ("_behind_call", "_blanks", "_collects", "_events", "_texts", "calls", "spoke")

    def __init__(self) -> None:
        self._events: list[Text | Call] = []
        self._texts: list[str] = []
        self._blanks: list[str] = []
        self._behind_call = False
        self._collects = True
        self.spoke = False
        self.calls = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is held back and text may pass by."""
        return not self._blanks and not self._behind_call

    def say(self, text: str) -> None:
        """Add text of the answer."""
        body = text.rstrip()
        if not body:
            self._hold(text)
            return
        tail = text[len(body) :]
        if self._behind_call:
            start = body.lstrip()
            self._hold(body[: len(body) - len(start)])
            body = start
            if not self.spoke:
                self._blanks.clear()
            self._behind_call, self._collects = False, True
        if self._blanks:
            self._texts += self._blanks
            self._blanks.clear()
        self._texts.append(body)
        self.spoke = True
        self._hold(tail)

    def call(self, call: Call) -> None:
        """Add a call."""
        self._flush()
        self._events.append(call)
        self.calls += 1
        self._behind_call = True
        if self._blanks:
            self._collects = False

    def take(self, final: bool = False) -> list[Text | Call]:
        """Return the events so far; at the end also the blanks that end an answer without calls."""
        if final and not self._behind_call:
            self._texts += self._blanks
            self._blanks.clear()
        self._flush()
        events, self._events = self._events, []
        return events

    def forget_blanks(self) -> None:
        """Leave out the blanks at the end: nothing follows them."""
        self._blanks.clear()

    def _hold(self, blanks: str) -> None:
        if blanks and (self._collects or not self._behind_call):
            self._blanks.append(blanks)

    def _flush(self) -> None:
        if self._texts:
            self._events.append(Text("".join(self._texts)))
            self._texts.clear()
