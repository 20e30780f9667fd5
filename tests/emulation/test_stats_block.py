"""The text of an answer, the block behind it, and every way to cut the two apart."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.emulation.stats_block import CLOSING, LONGEST_BLOCK, OPENING, StatsSplitter, finish_of, usage_of

FIXTURES = Path(__file__).parents[1] / "fixtures" / "chatjimmy"
SPLIT_CASES = json.loads((FIXTURES / "stats_split_cases.json").read_text("utf-8"))
REAL = (FIXTURES / "response_basic.txt").read_text("utf-8")
# Texts full of what looks like a mark.
TEXTS = st.lists(
    st.sampled_from(["<", "<|", "<|s", "<|stats|", "|>", "<|/stats|>", "stats", "a", "\n", "한", "<|eot_id|>"]), max_size=8
).map("".join).filter(lambda text: OPENING not in text)


def read(pieces):
    splitter = StatsSplitter()
    text = "".join(map(splitter.feed, pieces))
    return text + splitter.end(), splitter


def cut(text, size):
    return [text[start : start + size] for start in range(0, len(text), size)]


@pytest.mark.parametrize("case", SPLIT_CASES, ids=lambda case: case["text"][:20].strip())
@pytest.mark.parametrize("size", [None, 1, 2, 3, 7])
def test_the_recorded_cases(case, size):
    text, splitter = read(case["chunks"] if size is None else cut("".join(case["chunks"]), size))
    assert text == case["text"]
    assert (splitter.stats or {}).get("prefill_tokens") == case.get("prefill_tokens")


def test_a_real_answer_cut_anywhere():
    for at in range(len(REAL) + 1):
        text, splitter = read([REAL[:at], REAL[at:]])
        assert text == "Hello my friend\n", at
        assert splitter.complete and splitter.stats["prefill_tokens"] == 18, at
        assert splitter.stats["reason"] == "termination token 128009/<|eot_id|> detected"


def test_a_block_that_breaks_off_is_never_shown():
    for end in range(len("Hello my friend\n<|"), len(REAL)):
        assert read([REAL[:end]])[0] == "Hello my friend\n", end
    assert read(["a ", "<"])[0] == "a <", "which is text as well as anything"


def test_numbers_count_although_the_closing_mark_is_missing():
    for end in ("", "<", CLOSING[:-1]):
        text, splitter = read(["a", OPENING, '{"prefill_tokens": 3}', end])
        assert (text, splitter.stats, splitter.complete) == ("a", {"prefill_tokens": 3}, False)


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, data=st.data())
def test_text_passes_whole_however_it_is_cut(text, data):
    whole = text + OPENING + '{"decode_tokens":2}' + CLOSING + data.draw(TEXTS)
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True)]
    said, splitter = read(pieces)
    # A text may end with the beginning of a mark: the first whole mark counts.
    assert said == whole[: whole.index(OPENING)]
    assert splitter.complete and splitter.stats == {"decode_tokens": 2}
    assert read([text + "."])[0] == text + "."


@settings(max_examples=100, deadline=None)
@given(text=TEXTS)
def test_at_most_eight_characters_wait(text):
    splitter, said = StatsSplitter(), ""
    for number, character in enumerate(text, 1):
        said += splitter.feed(character)
        assert number - len(said) <= 8 and text.startswith(said)


def test_what_is_no_mark_leaves_at_once():
    splitter = StatsSplitter()
    assert splitter.feed("a < b <|eot") == "a < b <|eot"
    assert splitter.feed("<|sta") == "" and splitter.feed("r|>") == "<|star|>"


@pytest.mark.parametrize("block", ["", "{", "no json", "[1]", '"text"', "[" * 9000, '{"a":' * 9000])
def test_a_block_that_says_nothing(block):
    text, splitter = read(["a", OPENING + block, CLOSING])
    assert (text, splitter.stats, splitter.complete) == ("a", None, True)


def test_a_block_without_end_is_not_kept():
    splitter = StatsSplitter()
    splitter.feed(OPENING + '{"prefill_tokens":1,"a":"')
    for _ in range(4):
        assert splitter.feed("x" * LONGEST_BLOCK) == ""
    assert splitter.feed('"}' + CLOSING) == "" and splitter.complete and splitter.stats is None


def test_what_trails_in_the_same_piece_does_not_count_as_block():
    _, splitter = read([OPENING + '{"decode_tokens":1}' + CLOSING + "x" * 2 * LONGEST_BLOCK])
    assert splitter.stats == {"decode_tokens": 1}


@pytest.mark.parametrize(("stats", "counts"), [
    ({"prefill_tokens": 18, "decode_tokens": 4, "total_tokens": 22}, (18, 4, 22)),
    ({"prefill_tokens": 18, "decode_tokens": 4}, (18, 4, 22)),
    ({"prompt_eval_count": 7, "eval_count": 3}, (7, 3, 10)),
    ({"prefill_tokens": 18.0, "decode_tokens": 4, "total_tokens": None}, (18, 4, 22)),
    ({"prefill_tokens": 18, "total_tokens": 22}, (18, 4, 22)),
    ({"decode_tokens": 4}, (0, 4, 4)),
    ({"prefill_tokens": True, "decode_tokens": "4"}, None),
    ({"prefill_tokens": float("nan"), "decode_tokens": float("inf")}, None),
    ({"total_tokens": 22}, None),
    ({}, None),
    (None, None),
])
def test_usage(stats, counts):
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    assert usage_of(stats) == (counts and dict(zip(names, counts, strict=True)))


@pytest.mark.parametrize(("stats", "reason"), [
    (None, "stop"),
    ({}, "stop"),
    ({"done_reason": None}, "stop"),
    ({"done_reason": "stop", "reason": "termination token 128009/<|eot_id|> detected"}, "stop"),
    ({"done_reason": "length"}, "length"),
    ({"done_reason": "stop", "reason": "max context limit 6144 reached"}, "length"),
    ({"reason": "limit of 512 tokens reached"}, "length"),
    ({"reason": 7, "done_reason": 7}, "stop"),
])
def test_finish(stats, reason):
    assert finish_of(stats) == reason
