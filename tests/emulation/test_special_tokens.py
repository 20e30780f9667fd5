"""Leaked control tokens, cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.emulation.special_tokens import TOKENS, SpecialTokenFilter

CASES = {
    "": "",
    "plain text": "plain text",
    "done<|eot_id|>": "done",
    "<|start_header_id|>assistant<|end_header_id|>\n\nHi": "\n\nHi",
    "a<|eom_id|>b<|end_of_text|><|begin_of_text|>c": "abc",
    "a <|> b": "a <|> b",
    "let x = a <|pipe|> b": "let x = a <|pipe|> b",
    "<|start_header_id|>user<|end_header_id|>": "<|start_header_id|>user<|end_header_id|>",
    "cut <|eot_": "cut <|eot_",
    "<<|eot_id|>": "<",
    "<|eot<|eot_id|>": "<|eot",
}


def filtered(pieces: list[str]) -> str:
    found = SpecialTokenFilter()
    return "".join([found.feed(piece) for piece in pieces]) + found.end()


@pytest.mark.parametrize(("text", "expected"), CASES.items())
def test_only_known_tokens_are_taken_out_wherever_they_are_cut(text, expected):
    assert filtered([text]) == expected
    assert filtered(list(text)) == expected
    for cut in range(len(text)):
        assert filtered([text[:cut], text[cut:]]) == expected


def test_text_is_not_held_back():
    found = SpecialTokenFilter()
    assert found.feed("a < b") == "a < b"
    assert found.feed("c <|e") == "c "
    assert found.feed("lse") == "<|else"


@given(st.lists(st.sampled_from((*TOKENS, "<", "|", "eot_id", ">", "x", "<|eot_")), max_size=12), st.integers(1, 9))
def test_how_it_is_cut_makes_no_difference(parts, size):
    text = "".join(parts)
    assert filtered([text[at : at + size] for at in range(0, len(text), size)]) == filtered([text])
