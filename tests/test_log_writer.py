import io
import os
import stat
import threading

import pytest

from app.log_writer import LogWriter, escape_controls, is_terminal, one_line


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Counting(io.StringIO):
    def __init__(self):
        super().__init__()
        self.writes = []

    def write(self, text):
        self.writes.append(text)
        return super().write(text)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("\x1b[2J\x1b]0;title\x07", "\\u001b[2J\\u001b]0;title\\u0007"),
        ("a\rb\x9bc\x7f", "a\\u000db\\u009bc\\u007f"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("\u2028\ud800", "\\u2028\\ud800"),
        ("line\n\ttab 한국어 🚀", "line\n\ttab 한국어 🚀"),
    ],
)
def test_what_steers_a_terminal_is_written_out(text, safe):
    assert escape_controls(text) == safe


def test_one_line_holds_no_newline_and_is_bounded():
    assert one_line("a\nb\r\n\tc") == "a\\nb\\u000d\\n\\tc"
    assert one_line("x" * 500, longest=10) == "x" * 10 + "…"


def test_a_block_is_one_write():
    stream = Counting()
    LogWriter(stream).write([("title", "one"), ("", "two")])
    assert stream.writes == ["one\ntwo\n"]


def test_only_a_terminal_gets_colours(monkeypatch, tmp_path):
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal, path = Terminal(), tmp_path / "log"
    writer = LogWriter(terminal, str(path))
    writer.write([("bad", "wrong \x1b[0m"), ("", "plain")])
    writer.close()
    assert terminal.getvalue() == "\x1b[1;31mwrong \\u001b[0m\x1b[0m\nplain\n"
    assert path.read_text() == "wrong \\u001b[0m\nplain\n"


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    LogWriter(terminal).write([("bad", "wrong")])
    assert terminal.getvalue() == "wrong\n"


def test_the_file_is_appended_to_and_private(tmp_path):
    path = tmp_path / "log"
    for text in ("first", "second 한"):
        writer = LogWriter(io.StringIO(), str(path))
        writer.write([("", text)])
        writer.close()
        writer.write([("", "after the end")])
    assert path.read_text(encoding="utf-8") == "first\nsecond 한\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("ascii", b"\\U0001f680 \\ud55c\n"), ("cp949", b"\\U0001f680 \xc7\xd1\n"), ("utf-8", "🚀 한\n".encode())],
)
def test_a_console_of_any_encoding_gets_every_line(encoding, written):
    raw = io.BytesIO()
    writer = LogWriter(io.TextIOWrapper(raw, encoding=encoding))
    writer.write([("", "🚀 한")])
    assert raw.getvalue() == written
    assert writer.failures == 0


def test_a_closed_pipe_is_told_once_and_counted(capsys):
    reader, end = os.pipe()
    os.close(reader)
    with os.fdopen(end, "wb", buffering=0) as pipe:
        writer = LogWriter(io.TextIOWrapper(pipe, encoding="utf-8", write_through=True))
        for _ in range(3):
            writer.write([("", "line")])
    assert writer.failures == 3
    assert capsys.readouterr().err.count("could not be written") == 1


def test_a_closed_stream_and_a_missing_folder_are_no_reason_to_fail(tmp_path, capsys):
    stream = io.StringIO()
    stream.close()
    writer = LogWriter(stream, str(tmp_path / "missing" / "log"))
    writer.write([("", "line")])
    assert writer.failures == 2
    assert "missing" in capsys.readouterr().err


def test_a_full_disk_is_counted(capsys):
    writer = LogWriter(io.StringIO(), "/dev/full")
    writer.write([("", "line")])
    writer.close()
    assert writer.failures == 1
    assert "No space" in capsys.readouterr().err


def test_blocks_of_several_threads_do_not_mix():
    stream = io.StringIO()
    writer = LogWriter(stream)
    threads = [
        threading.Thread(target=lambda name=name: [writer.write([("", name), ("", name)]) for _ in range(50)])
        for name in ("a", "b", "c", "d")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 400
    assert all(first == second for first, second in zip(lines[::2], lines[1::2], strict=True))


def test_without_a_stream_the_standard_output_of_the_moment_is_used(capsys):
    LogWriter().write([("", "line")])
    assert capsys.readouterr().out == "line\n"


def test_is_terminal():
    closed = io.StringIO()
    closed.close()
    assert (is_terminal(None), is_terminal(io.StringIO()), is_terminal(Terminal()), is_terminal(closed)) == (
        False, False, True, False,
    )  # fmt: skip
