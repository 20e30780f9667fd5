"""Vercel's lines, told from plain text by a header or by all of the lines."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.emulation.vercel_lines import LONGEST_HELD, VercelReader, is_announced, may_be_part, read_part

FINISH = 'd:{"finishReason":"stop","usage":{"promptTokens":18,"completionTokens":4}}\n'
STEP = 'e:{"finishReason":"length","usage":{"promptTokens":null,"completionTokens":null},"isContinued":false}\n'
SPOKEN = 'f:{"messageId":"msg-1"}\n0:"Hel"\n0:"lo\\n한"\n' + STEP + FINISH


def read(text, size=None, announced=False):
    reader = VercelReader(announced)
    pieces = [text] if size is None else [text[start : start + size] for start in range(0, len(text), size)]
    return "".join(map(reader.feed, pieces)) + reader.end(), reader


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("size", [None, 1, 2, 5])
def test_an_answer_in_lines(announced, size):
    for text in (SPOKEN, SPOKEN.rstrip("\n"), SPOKEN.replace("\n", "\r\n"), SPOKEN.replace("\n", "\n\n")):
        said, reader = read(text, size, announced)
        assert (said, reader.finish, reader.speaks) == ("Hello\n한", "stop", True)
        assert reader.usage == {"prompt_tokens": 18, "completion_tokens": 4, "total_tokens": 22}
        assert reader.error is None


@pytest.mark.parametrize("text", [
    "", "Hello", "0", "0:", '0:"', '0:"Hello', '0:"Hello"', '0:"Hello"\n', "0: 1\n0: 2\n", "a: b\n", "\n\nHello\n",
    '0:"one line"\nand then prose', 'The part is\n0:"text"\n0:"text"\n', '0:"a"\n0:"b" and more\n0:"c"\n',
    '0:"a"\n0:"b"\n<|stats|>{"prefill_tokens":1}<|/stats|>', 'd:{"finishReason":"stop"}', "0:[1]\n0:[2]\n", "   0:\"a\"\n",
    '0:"a"\n 0:"b"\n', 'z:"a"\n0:"b"\n', "\r\n\r\n", '0:"bad \\x escape"\n0:"b"\n',
], ids=repr)
@pytest.mark.parametrize("size", [None, 1, 3])
def test_plain_text_stays_as_it_is(text, size):
    said, reader = read(text, size)
    assert (said, reader.finish, reader.usage, reader.error) == (text, None, None, None)


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.sampled_from('0d3:"{}ab\n\r\\ 한'), max_size=30), size=st.integers(1, 5))
def test_how_it_is_cut_makes_no_difference(text, size):
    for announced in (False, True):
        whole, pieces = read(text, None, announced), read(text, size, announced)
        assert whole[0] == pieces[0] and whole[1].speaks == pieces[1].speaks


@settings(max_examples=100, deadline=None)
@given(words=st.lists(st.text(max_size=5), min_size=2, max_size=6), size=st.integers(1, 9), escaped=st.booleans())
def test_any_text_comes_back_out_of_lines(words, size, escaped):
    lines = "".join(f"0:{json.dumps(word, ensure_ascii=escaped)}\n" for word in words)
    assert read(lines, size)[0] == read(lines, size, announced=True)[0] == "".join(words)


@pytest.mark.parametrize(("pieces", "leaves"), [
    (["Hello", " you"], ["Hello", " you"]),
    (["a", " b"], ["", "a b"]),
    (["0", ":", "1"], ["", "", "0:1"]),
    (['0:"', "a", '"', "\nx"], ["", "", "", '0:"a"\nx']),
    (["\n", "Hi"], ["", "\nHi"]),
])
def test_text_waits_only_while_it_may_be_a_part(pieces, leaves):
    reader = VercelReader()
    assert [reader.feed(piece) for piece in pieces] == leaves


def test_announced_lines_leave_one_by_one():
    reader = VercelReader(announced=True)
    assert [reader.feed(piece) for piece in ('0:"Hel', '"\n0:"lo"\n0:', '"!"\n')] == ["", "Hello", "!"]


def test_what_is_held_back_is_bounded():
    reader, line = VercelReader(), '0:"0123456789"\n'
    said = ""
    for _ in range(LONGEST_HELD // len(line) + 2):
        said += reader.feed(line)
    assert reader.speaks and said.startswith("0123456789" * 100)
    reader, text = VercelReader(), '0:"' + "x" * LONGEST_HELD
    assert reader.feed(text) + reader.feed("y") == text + "y" and reader.speaks is False


def test_an_error_part():
    for size in (None, 1):
        said, reader = read('0:"Hel"\n3:"An error occurred."\n', size)
        assert (said, reader.error) == ("Hel", "An error occurred.")
    assert read('3:""\n', announced=True)[1].error


def test_parts_that_say_nothing_to_a_client():
    said, reader = read('2:[{"a":1}]\n8:[1]\ng:"thinking"\n9:{"toolCallId":"1"}\n0:"x"\nd:{"finishReason":7,"usage":7}\n')
    assert (said, reader.finish, reader.usage) == ("x", None, None)


def test_in_an_announced_stream():
    said, _ = read('0:"a"\n<|stats|>{"prefill_tokens":1}<|/stats|>', announced=True)
    assert said == 'a<|stats|>{"prefill_tokens":1}<|/stats|>', "what is no part is text"
    assert read('0:"a"\n0:"cut', announced=True)[0] == "a", "half a part is nothing"


@pytest.mark.parametrize(("headers", "announced"), [
    ({"X-Vercel-AI-Data-Stream": "v1", "Content-Type": "text/plain; charset=utf-8"}, True),
    ({"x-experimental-stream-data": "true"}, True),
    ({"X-Experimental-Stream-Data": "false"}, False),
    ({"X-Vercel-Id": "iad1::abc", "X-Vercel-Cache": "MISS", "Content-Type": "text/plain"}, False),
    ({}, False),
])
def test_headers(headers, announced):
    assert is_announced(headers) is announced


@pytest.mark.parametrize(("line", "part"), [
    ('0:"a"', ("0", "a")), ("2:[1]", ("2", [1])), ("d:{}", ("d", {})), ('0:"a"\r', ("0", "a")),
    ("0:{}", None), ('d:"a"', None), ("0:", None), ("", None), ('l:"a"', None), ("d:" + '{"a":' * 9000, None),
])
def test_parts(line, part):
    assert read_part(line) == part
    assert part is None or all(may_be_part(line[:size]) for size in range(4))
