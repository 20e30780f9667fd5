"""A capture as lines: parts that are odd, missing or hostile are laid out as well. (The commands' tests see the rest.)"""

import json

import pytest

from app.capture import Capture
from app.capture_text import answer_of, chunk_cells, chunk_lines, conversation, repair_entries, request_diff
from tests.captures import asks, called, capture, emitted_events, note, raw_events, result, says


def text(lines):
    return "\n".join(line for _, line in lines)


ODD = [
    {},
    {"messages": None},
    {"messages": ["text", None, {}]},
    {"messages": [{"role": None, "content": [1, {"type": "image_url"}, "x"], "tool_calls": [None, {"function": 1}, {}]}]},
    {"messages": [{"role": "assistant", "tool_calls": "x"}], "tools": [None, 1, {}]},
    "no JSON at all",
    None,
]


@pytest.mark.parametrize("body", ODD)
def test_any_request_can_be_shown(body):
    made = capture(body, note(0.1, "error", {"message": "Bad.", "status": 400}))
    assert "error: Bad." in text(conversation(made))
    text(request_diff(made))
    text(chunk_lines(made))


@pytest.mark.parametrize("answer", [{}, {"choices": None}, {"choices": [None, 1]}, {"choices": [{"text": "Early"}]}, []])
def test_any_answer_can_be_shown(answer):
    shown = text(conversation(capture(asks("Hi"), note(0.1, "answer", answer))))
    assert "Hi" in shown and ("Early" in shown) == ("Early" in str(answer))


@pytest.mark.parametrize("report", [None, {}, {"entries": None}, {"entries": [None, {}, {"rule": "x", "mode": "warn"}]}])
def test_any_report_can_be_shown(report):
    made = capture(asks("Hi"), note(0.1, "repairs", report))
    shown = text(conversation(made))
    assert ("(only noted)" in shown) == ("warn" in str(report)) and len(repair_entries(made)) in (0, 2)


def test_a_request_that_is_not_over_says_so():
    made = capture(asks("Hi"), status=None, duration=None)
    assert "not over yet" in text(conversation(made))
    assert "not over yet" not in text(conversation(capture(asks("Hi"))))


def test_a_capture_of_nothing():
    nothing = Capture({})
    assert "capture" in text(conversation(nothing)) and answer_of(nothing) is None
    assert "GATEWAY_TRACE" in text(chunk_lines(nothing))


def test_calls_and_results_belong_together():
    shown = text(conversation(capture(asks("Do it.", called("write", filePath="a"), result("Done.")))))
    assert 'write({"filePath": "a"}) call_1' in shown and "tool (answers call_1)" in shown


def test_chunks_and_rules_stand_in_the_order_of_their_time():
    rule = {"rule": "finish.map", "where": "choices[0]", "before": "STOP", "after": "stop", "mode": "fix", "at": 0.115}
    made = capture(asks("Hi"), *raw_events(says("a")), *emitted_events(["{}", "[DONE]"], start=0.105),
                   note(0.2, "repairs", {"entries": [rule]}))  # fmt: skip
    cells = chunk_cells(made)
    assert [station for _, station, _ in cells] == ["raw", "emitted", "raw", "rule", "emitted", "raw", "raw"]
    assert [cell[2][:2] for cell in cells if cell[1] == "raw"] == ["#1", "#2", "#3", "[D"]


def test_a_rule_whose_time_is_not_known_stands_at_the_end():
    made = capture(asks("Hi"), *raw_events(says("a")), note(0.2, "repairs", {"entries": [{"rule": "x"}]}))
    assert chunk_cells(made)[-1][1] == "rule"


@pytest.mark.parametrize("width", [10, 80, 300])
def test_columns_keep_their_place(width):
    made = capture(asks("Hi"), *raw_events(says("x" * 500)), *emitted_events(["y" * 500]))
    head, *lines = [line for _, line in chunk_lines(made, width)]
    bar = head.index(" | ")
    assert all(line[bar : bar + 2] in (" |", "") for line in lines)
    assert max(len(line) for line in lines) <= max(width, 60)
    whole = [line for _, line in chunk_lines(made, width, whole=True)]
    assert "".join(line[bar + 3 :] for line in whole[1:]).count("y") == 500


def test_a_changed_text_is_shown_line_by_line():
    before = asks("one\ntwo\nthree")
    made = capture(before)
    made.events[-1]["value"] = asks("one\n2\nthree")
    shown = text(request_diff(made)).splitlines()
    assert "      -two" in shown and "      +2" in shown


def test_the_same_request_is_said_to_be_the_same():
    assert "(the same)" in text(request_diff(capture(asks("Hi"))))


@pytest.mark.parametrize(
    ("path", "events"),
    [
        ("/v1/completions", [{"choices": [{"index": 0, "text": piece, "finish_reason": None}]} for piece in ("Hel", "lo")]),
        ("/api/generate", [{"choices": [{"index": 0, "text": piece}]} for piece in ("Hel", "lo")]),
        ("/ws/generate", [{"token": "Hel"}, {"token": "lo"}, {"done": True, "finish_reason": "stop", "usage": None}]),
    ],
)
def test_a_streamed_text_is_an_answer(path, events):
    made = capture({"prompt": "Hi", "stream": True}, *emitted_events(list(map(json.dumps, events))), path=path)
    assert "\n  Hello\n" in text(conversation(made)) + "\n"
