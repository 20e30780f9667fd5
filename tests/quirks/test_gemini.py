"""What only Gemini's answers do."""

import pytest

from app.quirks import gemini
from app.quirks.ledger import Ledger
from app.quirks.report import Report


def test_thoughts_are_flagged_under_either_vendor_name() -> None:
    assert gemini.is_thought({"extra_content": {"google": {"thought": True}}})
    assert gemini.is_thought({"extra_content": {"vertex": {"thought": True}}})
    for plain in (
        {},
        {"extra_content": None},
        {"extra_content": {"google": {"thought": "yes"}}},
        {"extra_content": {"x": 1}},
    ):
        assert not gemini.is_thought(plain)


def test_a_signature_is_brought_to_its_place_and_noted() -> None:
    report = Report()
    call = {"extra_content": {"google": {"x": 1}}, "function": {"name": "f", "thought_signature": "S"}}
    expected = {"google": {"x": 1, "thought_signature": "S"}}
    assert gemini.signature_place(call, Ledger(report), "call") == expected
    assert report.counts == {"gemini.signature_place": 1}
    assert gemini.signature_place({"extra_content": expected}, Ledger(report), "call") is expected
    assert report.counts == {"gemini.signature_place": 1}
    assert gemini.signature_place({"id": "a"}, Ledger(report), "call") is None


def test_whole_answers_through_a_translator_keep_extra_content_elsewhere() -> None:
    extra = {"google": {"thought": True}}
    assert gemini.message_extra({"provider_specific_fields": {"extra_content": extra}}) is extra
    assert gemini.message_extra({"extra_content": extra, "provider_specific_fields": None}) is extra
    assert gemini.message_extra({"extra_content": {}}) is None


@pytest.mark.parametrize(
    "chunk", [{"promptFeedback": {"blockReason": "SAFETY"}}, {"prompt_feedback": {"block_reason": "SAFETY"}}]
)
def test_a_blocked_prompt(chunk: dict) -> None:
    assert gemini.blocked_prompt(chunk) == "SAFETY"


def test_an_ordinary_chunk_is_not_blocked() -> None:
    for chunk in ({}, {"promptFeedback": None}, {"promptFeedback": {"safetyRatings": []}}):
        assert gemini.blocked_prompt(chunk) is None
