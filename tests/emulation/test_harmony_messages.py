"""Texts and markers in turn: which message becomes what."""

import pytest

from app.emulation.events import Call, Reasoning, Text
from app.emulation.harmony_calls import HarmonyTools
from app.emulation.harmony_messages import MAX_HEADER, MAX_JUNK, MAX_RESUMED, Messages


def messages(*parts):
    """Take parts in turn; markers are those in angle brackets."""
    found = Messages(HarmonyTools({"a": "a"}))
    for part in parts:
        found.mark(part) if part.startswith("<|") else found.text(part)
    return found


HEADER = ("<|start|>", "assistant", "<|channel|>")
CALL = (*HEADER, "commentary to=functions.a", "<|message|>", "{}", "<|call|>")
RAW = "<|start|>assistant<|channel|>commentary to=functions.a<|message|>{}"


@pytest.mark.parametrize(
    ("parts", "events"),
    (
        ((*HEADER, "analysis", "<|message|>", "x"), [Reasoning("x")]),
        ((*HEADER, "commentary", "<|message|>", "x"), [Text("x")]),
        ((*HEADER, "final", "<|message|>", "x", "y"), [Text("x"), Text("y")]),
        ((*HEADER, "other", "<|message|>", "x"), [Reasoning("x")]),
        (CALL, [Call("a", "{}", raw=RAW)]),
        ((*HEADER, "commentary to=b", "<|message|>", "x", "<|call|>"), []),
        (("<|start|>", "user", "<|message|>", "x", "<|end|>"), []),
        (("<|start|>", "a to=assistant", "<|message|>", "x", "<|end|>"), []),
        (("<|start|>", "a", "<|message|>", "x", "<|end|>"), []),
        (("<|start|>", "model", "<|message|>", "x", "<|end|>"), [Text("x")]),
        ((*CALL, "junk" * MAX_JUNK, *CALL), [Call("a", "{}", raw=RAW)] * 2),
        (("<|end|>", "is said", "<|end|>"), [Text("is said")]),
        (("<|end|>", "...", "<|end|>"), []),
    ),
)
def test_what_becomes_of_messages(parts, events):
    assert messages(*parts).out == events


UNDECLARED = (*HEADER, "commentary to=b", "<|message|>", "x", "<|call|>")
ANSWER = (*HEADER, "final", "<|message|>", "y", "<|end|>")


@pytest.mark.parametrize(
    ("parts", "name"),
    (
        (UNDECLARED, "b"),
        ((*HEADER, "commentary to=functions.b", "<|message|>", "x", "<|call|>"), "b"),
        ((*HEADER, "commentary", "<|message|>", "I do it.", "<|end|>", *UNDECLARED), "b"),
        ((*HEADER, "analysis", "<|message|>", "x", "<|end|>", *UNDECLARED), "b"),
        ((*UNDECLARED, *ANSWER), ""),
        ((*UNDECLARED, *ANSWER[:-1]), ""),
        ((*UNDECLARED, *HEADER, "final", "<|message|>"), "b"),
        ((*ANSWER, *UNDECLARED), ""),
        ((*UNDECLARED, *CALL), ""),
        ((*CALL, *UNDECLARED), ""),
        (UNDECLARED[:-1], "b"),
        (UNDECLARED[:-3], ""),  # the name may be cut
        (ANSWER, ""),
    ),
)
def test_which_undeclared_tool_the_model_waits_for(parts, name):
    found = messages(*parts)
    found.end("", "stop")
    assert found.unanswered == name


def test_calls_that_break_off_in_a_string_again_and_again_are_read_twice_at_most():
    broken = (*CALL[:-2], '{"', "<|end|>")
    found = messages(*broken * (3 * MAX_RESUMED), *HEADER, "final", "<|message|>", "done")
    found.end("", "stop")
    assert [type(event) for event in found.out] == [Call] * (3 * MAX_RESUMED) + [Text]
    assert all(event.problem for event in found.out[:-1])


def test_text_can_pass_by_inside_a_shown_message_alone():
    assert messages(*HEADER, "final", "<|message|>").plain is None
    assert messages(*HEADER, "final", "<|message|>", "x").plain is Text
    assert messages(*HEADER, "analysis", "<|message|>", "x").plain is Reasoning
    assert messages(*HEADER, "analysis", "<|message|>", "x", "<|end|>").plain is None
    assert messages(*CALL[:-1]).plain is None


def test_a_token_that_is_taken_out_does_not_make_another():
    found = messages(*HEADER, "final", "<|message|>")
    found.text("<|st")
    found.mark("<|constrain|>", behind_begun=True)
    found.text("art|>")
    assert "".join(event.text for event in found.out) == "<|st art|>"


def test_a_header_without_end_becomes_a_message():
    long = "word " * (MAX_HEADER // 5)
    found = messages(*HEADER, f"analysis {long}", "more")
    assert "".join(event.text for event in found.out) == f"{long}more"
    assert found.plain is Reasoning


def test_a_text_between_messages_that_is_too_long_for_junk_is_the_answer():
    text = "It is so. " * (MAX_JUNK // 10 + 1)
    assert messages(*HEADER, "analysis", "<|message|>", "x", "<|end|>", text[:9], text[9:]).out[1:] == [Text(text)]
