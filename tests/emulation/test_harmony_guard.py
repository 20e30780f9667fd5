"""Control tokens in foreign text are broken; everything else stays as it was, to the byte."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.emulation.harmony_guard import harmony_guard, simple_guard

# What o200k_harmony encodes as one token (seen by encoding them with the official library).
TOKENS = (
    "start end message channel constrain return call startoftext endoftext endofprompt "
    "reserved_200000 reserved_200018 reserved_201088"
).split()
MARKS = "system user assistant tool_call end_tool_call tool_result".split()
FRAGMENTS = st.lists(st.sampled_from([f"<|{name}|>" for name in TOKENS + MARKS] + ["<", "|", ">", "<|", "end|>", "x"]))


@pytest.mark.parametrize("name", TOKENS)
def test_control_tokens_are_broken_in_both_dialects(name):
    for guard in (harmony_guard, simple_guard):
        assert guard(f"a<|{name}|>b") == f"a<\u200d|{name}|>b"


@pytest.mark.parametrize("name", MARKS)
def test_marks_of_the_simplified_dialect_are_text_to_harmony(name):
    assert harmony_guard(f"<|{name}|>") == f"<|{name}|>"
    assert simple_guard(f"<|{name}|>") == f"<\u200d|{name}|>"


@pytest.mark.parametrize(
    "text",
    (
        "",
        "<|",
        "a <| b |> c",
        "<|im_start|>",
        "<| end |>",
        "<|END|>",
        "<|reserved_|>",
        "<\u200d|end|>",
        "<|end|",
        "x<|y",
    ),
)
def test_other_text_stays(text):
    assert harmony_guard(text) is text or harmony_guard(text) == text
    assert simple_guard(text) == text


@given(FRAGMENTS)
def test_nothing_is_left_or_lost(fragments):
    text = "".join(fragments)
    guarded = simple_guard(text)
    assert not re.search(rf"<\|({'|'.join(TOKENS + MARKS)})\|>", guarded)
    assert guarded.replace("\u200d", "") == text and simple_guard(guarded) == guarded
