"""Two answers beside each other: columns of one width, and whatever an answer lacks. (test_replay.py asks models.)"""

import json

import pytest

from app.commands.comparing import side_by_side, told, told_then
from app.recording import Recording
from tests.captures import asks, capture, emitted_events, note
from tests.commands.stored import HOSTILE

NOTHING = told("m", {}, 0.0, None)


def answer(text, **more):
    return {"choices": [{"index": 0, "message": {"content": text, **more}, "finish_reason": "stop"}]}


@pytest.mark.parametrize("width", [20, 80, 200])
def test_both_columns_have_their_place(width):
    left = told("one", answer("word " * 40 + "\nend", reasoning_content="Hm."), 1.0, None)
    lines = list(side_by_side(left, told("two", answer("short"), 2.0, "It failed."), width))
    bars = {line.index(" |") for line in lines}
    assert len(bars) == 1 and max(map(len, lines)) <= max(width, 43)
    assert any("short" in line for line in lines) and any("(thought) Hm." in line for line in lines)


def test_what_steers_a_terminal_is_shown_as_escapes():
    shown = "\n".join(side_by_side(told("m", answer(HOSTILE + "\ta"), 0, HOSTILE), NOTHING, 80))
    assert "\x1b" not in shown and "\x9b" not in shown and "\u202e" not in shown and "\t" not in shown


@pytest.mark.parametrize("odd", [{}, {"choices": None}, {"choices": [1]}, {"choices": [{"message": None, "text": "old"}]}])
def test_an_odd_answer(odd):
    assert told("m", odd, 0, None)["text"] in ("", "old")


def test_what_was_told_then():
    error = {"message": "No.", "status": 400}
    noted = note(0.2, "answer", answer("Hello")), note(0.3, "error", error)
    then = told_then(Recording(capture(asks("Hi"), *noted, duration=2.5)))
    assert (then["text"], then["error"], then["seconds"], then["finish_reason"]) == ("Hello", "No.", 2.5, "stop")


def test_a_streamed_text_completion_is_compared_too():
    made = capture({"prompt": "Hi"}, *emitted_events([json.dumps({"choices": [{"index": 0, "text": "Hello"}]})]))
    assert told_then(Recording(made))["text"] == "Hello"


def test_tokens_are_told_also_where_the_client_did_not_ask_for_them():
    made = capture(asks("Hi"), *emitted_events([json.dumps({"choices": []})]), prompt_tokens=7, completion_tokens=5)
    assert told_then(Recording(made))["usage"] == {"prompt_tokens": 7, "completion_tokens": 5}


def test_other_choices_are_not_kept_silent():
    both = {"choices": [{"index": at, "message": {"content": f"Answer {at}"}, "finish_reason": "stop"} for at in (0, 1)]}
    lines = list(side_by_side(told("a", both, 1.0, None), NOTHING, 100))
    assert any(line.startswith("(the first of 2 choices)") for line in lines)
