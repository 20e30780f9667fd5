"""Write blocks of text to a terminal, pipe or file without ever failing the caller; knows nothing of requests."""

import os
import re
import sys
import threading
from collections.abc import Sequence
from typing import TextIO

from app.log_messages import message

COLOURS = {"title": "\x1b[1;36m", "key": "\x1b[33m", "good": "\x1b[32m", "bad": "\x1b[1;31m"}
PLAIN = "\x1b[0m"
LONGEST_FIELD = 200
# C0 without newline and tab, DEL and C1, marks and overrides of direction, line separators, surrogates, tags.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_NEWLINES = str.maketrans({"\n": "\\n", "\t": "\\t"})

Line = tuple[str, str]  # a name of COLOURS or "", and the text, which may hold newlines of our own layout


def escape_controls(text: str) -> str:
    """Write characters that could steer a terminal as `\\uXXXX`; newlines and tabs stay."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def one_line(value: object, longest: int = LONGEST_FIELD) -> str:
    """Return the text of a value as one safe line of at most `longest` characters and an ellipsis."""
    text = str(value)
    if len(text) > longest:
        text = text[:longest] + "…"
    return text if text.isprintable() else escape_controls(text.translate(_NEWLINES))


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person may be looking at `stream`; a closed or missing one is no terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


class LogWriter:
    """Writes each block with one call under a lock, flushed: to a stream and, with `path`, to a file (append, 0600).

    Without `stream` it is the standard output of the moment. A failure of either is told once on stderr and counted in
    `failures`; it never reaches the caller.
    """

    def __init__(self, stream: TextIO | None = None, path: str | None = None, language: str = "en") -> None:
        self.failures = 0
        self._stream, self._language = stream, language
        self._lock = threading.Lock()
        self._file: int | None = None
        if path:
            try:
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            except OSError as error:
                self._fail(error)

    def write(self, lines: Sequence[Line]) -> None:
        """Write one block of lines; what could steer a terminal is escaped here, only a terminal gets colours."""
        safe = [(colour, escape_controls(text)) for colour, text in lines]
        stream = self._stream or sys.stdout
        with self._lock:
            if stream is not None:
                self._write_stream(stream, _join(safe, is_terminal(stream) and "NO_COLOR" not in os.environ))
            if self._file is not None:
                self._write_file(self._file, _join(safe, coloured=False))

    def close(self) -> None:
        """Close the file; later blocks go to the stream only."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _write_stream(self, stream: TextIO, text: str) -> None:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        data = text.encode(encoding, "backslashreplace")
        try:
            buffer = getattr(stream, "buffer", None)
            if buffer is None:
                stream.write(data.decode(encoding))
            else:
                stream.flush()
                buffer.write(data)
            stream.flush()
        except (OSError, ValueError) as error:  # ValueError: it is closed
            self._fail(error)

    def _write_file(self, file: int, text: str) -> None:
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            while data:
                data = data[os.write(file, data) :]
        except OSError as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.failures += 1
        if self.failures > 1 or sys.stderr is None:
            return
        note = message(self._language, "log_broken", reason=one_line(error))
        try:
            sys.stderr.write(note.encode("ascii", "backslashreplace").decode() + "\n")
        except (OSError, ValueError):
            self.failures += 1  # there is nowhere left to say it


def _join(lines: Sequence[Line], coloured: bool) -> str:
    if not coloured:
        return "\n".join(text for _, text in lines) + "\n"
    return "\n".join(f"{COLOURS[colour]}{text}{PLAIN}" if colour else text for colour, text in lines) + "\n"
