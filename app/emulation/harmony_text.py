"""gpt-oss's own text, Harmony, in pieces -> text, reasoning, calls, the end: tolerant of all that models and servers do.

The official parser raises on a wrong header, on junk between messages and on anything after `<|return|>`, and servers
then lose an answer that was already there (vLLM #50690, #51977). This one never raises and loses no text of a message.
It works on text, for a server's tokens are not seen: a marker is a token wherever it stands, but inside the strings of a
call's arguments.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from app.emulation.events import Call, End, Event
from app.emulation.harmony_calls import HarmonyTools
from app.emulation.harmony_header import MARKERS, may_imply_header
from app.emulation.harmony_leaks import HEADER, PLAIN, StrippedReader, read_opening
from app.emulation.harmony_messages import Messages


class HarmonyReader:
    """Reads one completion, the text that follows the prompt's `<|start|>assistant`. Make one for each choice.

    `declared` maps each tool's name as the prompt has it to the client's name; calls of other tools are left out. With
    `tools`, OpenAI's list, a call's arguments are checked. Text and reasoning leave as they come, calls when whole.
    """

    def __init__(self, declared: Mapping[str, str], *, tools: Sequence[Mapping[str, Any]] = ()) -> None:
        self._messages = Messages(HarmonyTools(declared, tools))
        self._held = ""  # may become a marker
        self._begun = False  # whether what was passed on before it ends like the beginning of one
        self._opening: str | None = ""  # the text so far, until it shows how the answer begins
        self._stripped: StrippedReader | None = None

    @property
    def dropped(self) -> list[Call]:
        """Calls that were not passed on: of tools that nobody declared, and those that were cut off."""
        return self._messages.dropped

    @property
    def unanswered(self) -> str:
        """The tool that nobody declared and that was called last, where neither answer nor another call came; else ""."""
        return self._messages.unanswered

    @property
    def repairs(self) -> dict[str, str]:
        """What was tolerated (`harmony.junk`, `harmony.header` …) and where it was first seen."""
        return self._messages.repairs

    def feed(self, text: str) -> list[Event]:
        """Return what the next piece completes."""
        messages = self._messages
        if messages.plain is not None and not self._held and self._stripped is None and "<" not in text:
            return [messages.plain(text)] if text else []
        if self._held:
            text, self._held = self._held + text, ""
        at = 0
        while found := MARKERS.search(text, at):
            run = text[at : found.start()]
            if run:
                self._text(run)
            self._mark(found[0])
            at = found.end()
        end = MARKERS.held(text, at)
        self._held = text[end:]
        if end > at:
            self._text(text[at:end])
        return self._taken()

    def end(self, finish: str | None = None) -> list[Event]:
        """Return what was held back, then `End`. `finish` is the upstream's reason; without it the text must tell.

        "length" when a header or a call was cut, or when the upstream says so and the last call is not whole; an
        answer that stops while it reasons is taken for cut when nobody says how it ended.
        """
        held, self._held = self._held, ""
        if self._opening is not None:
            cut = held.startswith("<|") and may_imply_header(self._opening)
            if not cut and (self._opening or held):
                self._begin_text(self._opening)
        elif self._stripped is not None:
            self._replay(self._stripped.end())
        self._opening = self._stripped = None
        finish = self._messages.end(held, finish)
        return [*self._taken(), End(finish)]

    def _text(self, run: str) -> None:
        self._begun = MARKERS.held(run, 0) < len(run)
        if self._opening is not None:
            self._open(self._opening + run)
        elif self._stripped is not None:
            self._replay(self._stripped.feed(run))
        else:
            self._messages.text(run)

    def _mark(self, marker: str) -> None:
        if self._opening is not None:
            opening = self._opening
            if may_imply_header(opening):
                self._opening = None
                self._messages.begin_header(started=False)
                self._messages.text(opening)
            else:
                self._begin_text(opening)
        elif self._stripped is not None and self._stripped.in_string:  # what spells a token is not left out
            self._replay(self._stripped.feed(marker))
            self._begun = False
            return
        elif self._stripped is not None:  # a marker after all: nothing was left out
            self._replay(self._stripped.end())
            self._stripped = None
        self._messages.mark(marker, self._begun)
        self._begun = False

    def _open(self, text: str) -> None:
        """Decide how the answer begins."""
        kind = read_opening(text)
        if kind is None:
            self._opening = text
        elif kind == PLAIN:
            self._begin_text(text)
        else:
            self._opening = None
            self._stripped = StrippedReader(kind)
            if kind == HEADER:
                self._messages.begin_header(started=False)
            self._replay(self._stripped.feed(text))

    def _begin_text(self, text: str) -> None:
        self._opening = None
        self._messages.begin_text()
        if text:
            self._messages.text(text)

    def _replay(self, parts: list[str]) -> None:
        """Hand on what the reader of stripped text made of it."""
        for part in parts:
            if MARKERS.match(part, 0):
                self._messages.note("harmony.stripped", part)
                self._messages.mark(part)
            elif part:
                self._messages.text(part)

    def _taken(self) -> list[Event]:
        taken = self._messages.out
        self._messages.out = []
        return taken
