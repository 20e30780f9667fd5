"""What reaches a terminal: no controls but newline and tab, colours only for people, progress that is readable."""

import io

import pytest

from app.commands.terminal import (
    Progress,
    coloured,
    never_fail_on_characters,
    strip_controls,
    table,
    write,
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\ttext", "plain\n\ttext"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x9b31m \x9d0;title\x07", "31m 0;title"),
        ("over\rwritten\x08\x7f", "overwritten"),
        ("\x00\x0b\x0c\x0e\x1f\x80\x9f", ""),
        ("user\u202etxt.exe\u2066", "usertxt.exe"),
        ("한국어 😀 e\u0301 \u200d", "한국어 😀 e\u0301 \u200d"),
        ("lone \ud800", "lone "),
    ],
)
def test_controls_are_left_out(text, shown):
    assert strip_controls(text) == shown


def test_only_a_terminal_is_protected():
    pipe, terminal = io.StringIO(), Terminal()
    for stream in (pipe, terminal):
        write("\x1b[2Jwords\n", stream)
    assert (pipe.getvalue(), terminal.getvalue()) == ("\x1b[2Jwords\n", "[2Jwords\n")


def test_colours_are_for_terminals_and_no_color_forbids_them(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert coloured("x", "bad", Terminal()) == "\x1b[1;31mx\x1b[0m"
    assert coloured("x", "", Terminal()) == coloured("x", "bad", io.StringIO()) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured("x", "bad", Terminal()) == "x"


def test_characters_that_an_encoding_lacks_are_escaped():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    never_fail_on_characters(stream)
    never_fail_on_characters(None)
    never_fail_on_characters(io.StringIO())
    write("é\ud800", stream)
    assert stream.buffer.getvalue() == b"\\xe9\\ud800"


def test_columns_are_aligned():
    assert table([("a", "long one", "x"), ("longer", "b", "")]) == ["a       long one  x", "longer  b"]
    assert table([]) == []


class TestProgress:
    def test_a_pipe_gets_a_line_for_each_quarter_and_no_control(self):
        stream = io.StringIO()
        progress = Progress("Loading \x1b[31mtiny", stream)
        for share in (None, 0.0, 0.1, 0.3, 0.4, 0.8, 0.99):
            progress.show(share)
        progress.end()
        assert stream.getvalue() == "Loading [31mtiny ...\nLoading [31mtiny 30%\nLoading [31mtiny 80%\n"

    def test_a_terminal_gets_one_line_that_turns_and_goes_away(self):
        stream, seconds = Terminal(), iter(range(10))
        progress = Progress("Loading tiny", stream, clock=lambda: next(seconds))
        for share in (None, 0.455, 1.0):
            progress.show(share)
        progress.end()
        lines = stream.getvalue().split("\r")
        assert [line.rstrip() for line in lines] == [
            "", "| Loading tiny (1 s)", "/ Loading tiny 46% (2 s)", "- Loading tiny 100% (3 s)", "", "",
        ]  # fmt: skip
        assert lines[-2] == " " * len("- Loading tiny 100% (3 s)")

    def test_nothing_is_said_of_what_needs_no_time(self):
        stream = Terminal()
        Progress("Loading tiny", stream).end()
        assert stream.getvalue() == ""
