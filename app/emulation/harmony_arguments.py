"""The body of a call in pieces: which of its markers are text. Knows no headers and no tools.

A server's tokens are not seen, only their spelling, and a file about Harmony is full of it. So a marker inside an open
JSON string is text as long as the JSON may still end well. Where it does not, the model broke off inside the string:
the first marker that looks like the end of a message is the end, and what follows it is read again.
"""

from app.emulation import loose_json
from app.emulation.harmony_header import CALL, END, RETURN, START
from app.emulation.harmony_json import is_object
from app.emulation.json_end import JsonEnd

ENDS = (CALL, END, RETURN)


class Arguments:
    """Takes texts and markers in turn. Each character is looked at once, and only where a marker comes."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._doubts: dict[int, bool] = {}  # the markers among the parts; whether a beginning of one stood before it
        self._scan = JsonEnd()
        self._scanned = 0  # parts
        self._begun = self._closed = False
        self._object = ""

    @property
    def text(self) -> str:
        """All that was taken."""
        return "".join(self._parts)

    @property
    def in_string(self) -> bool:
        """Whether what was taken ends inside a JSON string."""
        self._read_on()
        return not self._closed and self._scan.quoted

    def add(self, run: str) -> None:
        """Take text."""
        self._parts.append(run)

    def takes(self, marker: str, behind_begun: bool) -> bool:
        """Take a marker if it stands inside a string, and tell whether it does."""
        if not self.in_string:
            return False
        self._doubts[len(self._parts)] = behind_begun
        self._parts.append(marker)
        return True

    def broken_at(self, ended: bool) -> int | None:
        """Return the place of the marker that ended the body inside a string; None where none did.

        Asked when a marker stands outside strings, and at the end of the answer. `ended`: it was not cut off; one that
        was has been cut inside its string, and no marker there is an end.
        """
        if not self._doubts:
            return None
        self._read_on()
        sound = self._closed and is_object(self._object)
        found = self._first_end() if not sound and (self._closed or ended) else None
        if self._closed and found is None:
            self._doubts = {}
        return found

    def ends_with_end(self) -> bool:
        """Tell whether the last thing taken is a marker that may end a message."""
        last = next((at for at in reversed(range(len(self._parts))) if self._parts[at].strip()), -1)
        return last in self._doubts and self._parts[last] in ENDS

    def cut_at(self, place: int) -> list[tuple[str, bool | None]]:
        """End the body before a marker; return that marker and what followed: texts with None, markers as `takes` got them."""
        rest = [(part, self._doubts.get(at)) for at, part in enumerate(self._parts[place:], place)]
        self._parts, self._doubts = self._parts[:place], {}
        return rest

    def _first_end(self) -> int | None:
        """Find the first marker that looks like an end: a message begins behind it, or nothing follows."""
        size = len(self._parts)
        for place in self._doubts:
            if self._parts[place] in ENDS:
                behind = next((at for at in range(place + 1, size) if self._parts[at].strip()), size)
                if behind == size or (behind in self._doubts and self._parts[behind] == START):
                    return place
        return None

    def _read_on(self) -> None:
        """Look at what came since the last time."""
        before, self._scanned = self._scanned, len(self._parts)
        text = "".join(self._parts[before:])
        if self._closed or not text:
            return
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
            # Most calls are sound: one look of the parser instead of one at each quote.
            self._closed = self._begun and (text[0] not in "{[" or loose_json.is_sound(text))
        if self._begun and not self._closed and (end := self._scan.feed(text)) >= 0:
            self._closed = True
            self._object = "".join(self._parts[:before]) + text[:end]
