"""Writes to a person or a pipe: no colours and no controls that were not ours, and how far a slow step is."""

import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from app.log_writer import COLOURS, PLAIN, is_terminal

SPINNER = "|/-\\"
QUARTER = 0.25
# C0 without newline and tab, DEL and C1, overrides of direction, surrogates.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def strip_controls(text: str) -> str:
    """Leave out the characters that could steer a terminal; newlines and tabs stay."""
    return _CONTROLS.sub("", text)


def write(text: str, stream: TextIO | None = None) -> None:
    """Write what a model said, at once: as it is into a pipe or file, harmless to a terminal. Raises OSError.

    Where standard output is closed it goes nowhere.
    """
    stream = stream or sys.stdout
    if stream is None:
        return
    stream.write(strip_controls(text) if is_terminal(stream) else text)
    stream.flush()


def has_colours(stream: TextIO) -> bool:
    """Tell whether colours may be used there: a terminal, and NO_COLOR is not set."""
    return is_terminal(stream) and "NO_COLOR" not in os.environ


def coloured(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Return `text` in a colour of `log_writer.COLOURS`, plain where there are none."""
    return f"{COLOURS[colour]}{text}{PLAIN}" if colour and has_colours(stream or sys.stdout) else text


def never_fail_on_characters(stream: TextIO | None) -> None:
    """Have characters that the stream's encoding lacks written as escapes."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with aligned columns; the last column is as long as it is."""
    if not rows:
        return []
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


class Progress:
    """How far a slow step is, on stderr: one line that changes on a terminal, else a line for each quarter."""

    def __init__(
        self, what: str, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self._stream = strip_controls(what), stream or sys.stderr
        self._clock, self._since = clock, clock()
        self._live, self._told = is_terminal(self._stream), -1
        self._turns = self._width = 0

    def show(self, share: float | None) -> None:
        """Tell that it goes on; `share` is 0 to 1, None where nobody knows."""
        percent = "" if share is None else f" {share:.0%}"
        if self._live:
            seconds = f" ({self._clock() - self._since:.0f} s)"
            self._rewrite(f"{SPINNER[self._turns % len(SPINNER)]} {self._what}{percent}{seconds}")
            self._turns += 1
            return
        quarter = int((share or 0) / QUARTER)
        if quarter > self._told:
            self._told = quarter
            self._stream.write(f"{self._what}{percent if self._told else ' ...'}\n")
            self._stream.flush()

    def end(self) -> None:
        """Take the line away again."""
        if self._live and self._width:
            self._rewrite("")
            self._stream.write("\r")
            self._stream.flush()

    def _rewrite(self, line: str) -> None:
        # No escape sequence: spaces overwrite what is left of a longer line.
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)
