"""Thoughts under another name or inside the text, cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.quirks.ledger import Ledger
from app.quirks.reasoning import TagSplitter, reasoning_name
from app.quirks.report import Report


def split(
    pieces: list[str], *, always: tuple[str, ...] = (), flags: list[bool] | None = None, modes: dict | None = None
) -> tuple[str, str]:
    splitter = TagSplitter(always, "thought", Ledger(Report(), modes), "choices[0]")
    flags = flags or [False] * len(pieces)
    found = [splitter.feed(piece, flag) for piece, flag in zip(pieces, flags, strict=True)]
    found.append(splitter.flush())
    return "".join(thoughts for thoughts, _ in found), "".join(text for _, text in found)


FLAGGED = {
    "one tag, glued end": (
        ["<thought>I think", " more", "</thought>Answer"],
        [True, True, False],
        ("I think more", "Answer"),
    ),
    "split tags": (["<tho", "ught>I", "</tho", "ught>\n\nA"], [True, True, True, False], ("I", "A")),
    "no end": (["<thought>I think"], [True], ("I think", "")),
    "no flag": (["<thought>I", "</thought>A"], [False, False], ("", "<thought>I</thought>A")),
    "flag without tag": (["The time is noon."], [True], ("", "The time is noon.")),
    "again later": (
        ["<thought>I</thought>A", "<thought>J", "</thought>B"],
        [True, True, False],
        ("IJ", "AB"),
    ),
    "what looks like an end": (["<thought>a </thou b", "</thought>c"], [True, False], ("a </thou b", "c")),
    "what looks like a beginning": (["<th", "ree>"], [True, True], ("", "<three>")),
    "cut in the middle of the beginning": (["<tho"], [True], ("", "<tho")),
}


@pytest.mark.parametrize("name", FLAGGED)
def test_flagged_thoughts(name: str) -> None:
    pieces, flags, expected = FLAGGED[name]
    assert split(pieces, flags=flags) == expected


def test_think_tags_only_at_the_very_beginning_and_only_when_asked_for() -> None:
    assert split(["<think>a</think>b"], always=("think",)) == ("a", "b")
    assert split(["\n<think>a</think>b"], always=("think",)) == ("a", "b")
    assert split(["x <think>a</think>b"], always=("think",)) == ("", "x <think>a</think>b")
    assert split(["a", "<think>b</think>"], always=("think",)) == ("", "a<think>b</think>")
    assert split(["<think>a</think>b"]) == ("", "<think>a</think>b")


def test_the_rule_can_be_switched_off() -> None:
    text = "<thought>a</thought>b"
    assert split([text], flags=[True], modes={"reasoning.tags": "off"}) == ("", text)


@given(st.text("ab<>/think\n ", max_size=12), st.text("ab<>/think\n ", max_size=12), st.lists(st.integers(0, 50)))
def test_cuts_change_nothing(thoughts: str, answer: str, cuts: list[int]) -> None:
    text = f"<think>{thoughts}</think>{answer}"
    places = sorted({min(cut, len(text)) for cut in cuts})
    pieces = [text[low:high] for low, high in zip([0, *places], [*places, len(text)], strict=True)]
    assert split(pieces, always=("think",)) == split([text], always=("think",))


@given(st.text("ab<>/think\n ", max_size=20), st.lists(st.integers(0, 20)))
def test_text_without_tags_is_kept_whole(text: str, cuts: list[int]) -> None:
    places = sorted({min(cut, len(text)) for cut in cuts})
    pieces = [text[low:high] for low, high in zip([0, *places], [*places, len(text)], strict=True)]
    if not text.lstrip().startswith("<think>"):
        assert split(pieces, always=("think",)) == ("", text)


def test_only_what_may_become_a_tag_is_held_back() -> None:
    splitter = TagSplitter(("think",), None, Ledger(Report()), "")
    assert splitter.feed("<thi") == ("", "") and not splitter.idle
    assert splitter.feed("s is it") == ("", "<this is it") and splitter.idle


@pytest.mark.parametrize("name", ["reasoning", "reasoning_text", "thinking"])
def test_other_names_for_thoughts(name: str) -> None:
    report = Report()
    assert reasoning_name({name: "I think"}, Ledger(report), "choices[0].delta") == "I think"
    assert report.counts == {"reasoning.name": 1}
    assert reasoning_name({name: "again", "reasoning_content": "own"}, Ledger(report), "") == "own"
    assert reasoning_name({name: {"effort": "low"}}, Ledger(report), "") == ""
    assert reasoning_name({name: "I"}, Ledger(Report(), {"reasoning.name": "off"}), "") == ""
