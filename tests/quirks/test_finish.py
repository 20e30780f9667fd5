"""Finish reasons: every upstream's word to one of OpenAI's, and what an unusable turn says."""

import pytest

from app.quirks import finish
from app.quirks.finish import Turn, Verdict, judge
from app.quirks.ledger import Ledger
from app.quirks.report import Report


def verdict(
    raw: str | None,
    *,
    native: str | None = None,
    spoke: bool = True,
    called: bool = False,
    broken: str | None = None,
    modes: dict | None = None,
) -> tuple[Verdict, Report]:
    report = Report()
    return judge(Turn(raw, native, spoke, called, broken), Ledger(report, modes), "choices[0]"), report


STOPS = (
    "stop",
    "STOP",
    "FINISH_REASON_UNSPECIFIED",
    "FINISH_REASON_STOP",
    "OTHER",
    "eos",
    "end_turn",
    None,
    "",
    "nonsense",
)
LENGTHS = ("length", "MAX_TOKENS", "model_length", "model_context_window_exceeded")
FILTERS = (
    "content_filter",
    "SAFETY",
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "LANGUAGE",
    "IMAGE_SAFETY",
)
MALFORMED = (
    "MALFORMED_FUNCTION_CALL",
    "function_call_filter: MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
)


@pytest.mark.parametrize("raw", STOPS)
def test_an_ordinary_end(raw: str | None) -> None:
    assert verdict(raw)[0] == Verdict("stop")
    assert verdict(raw, called=True)[0] == Verdict("tool_calls")
    assert ("finish.map" in verdict(raw)[1].counts) == (raw != "stop")


def test_tool_calls_without_a_call_is_an_ordinary_end() -> None:
    assert verdict("tool_calls")[0].finish == "stop"
    assert verdict("tool_calls", called=True)[0].finish == "tool_calls"


@pytest.mark.parametrize("raw", LENGTHS)
def test_a_full_answer(raw: str) -> None:
    assert verdict(raw)[0] == Verdict("length")
    assert verdict(raw, called=True)[0] == Verdict("length")
    assert verdict(raw, spoke=False)[0].words is None
    cut = verdict(raw, spoke=False, broken="arguments end in the middle")[0]
    assert (cut.finish, cut.words, cut.unusable) == ("length", finish.WORDS_CUT_CALL, None)


@pytest.mark.parametrize("raw", FILTERS)
def test_a_filtered_answer(raw: str) -> None:
    assert verdict(raw)[0] == Verdict("content_filter", release=False)
    silent = verdict(raw, spoke=False)[0]
    assert silent.words and raw in silent.words and silent.unusable is None


@pytest.mark.parametrize("raw", MALFORMED)
def test_a_malformed_turn(raw: str) -> None:
    for spoke, called in ((True, False), (False, True)):
        found = verdict(raw, spoke=spoke, called=called)[0]
        assert (found.finish, found.release, found.words) == ("stop", False, finish.WORDS_MALFORMED)
        assert raw in (found.unusable or "")


def test_the_reason_before_a_translators_hand_counts() -> None:
    assert verdict("stop", native="MALFORMED_FUNCTION_CALL")[0].unusable
    assert verdict("stop", native="SAFETY")[0].finish == "content_filter"
    assert verdict("length", native="MAX_TOKENS")[0] == Verdict("length")
    assert verdict("stop", native="completed")[0] == Verdict("stop")


def test_a_broken_call_makes_a_turn_malformed() -> None:
    assert verdict("tool_calls", called=True, broken="arguments are not JSON")[0].release is False


def test_an_empty_turn() -> None:
    found, report = verdict("stop", spoke=False)
    assert (found.finish, found.words, found.unusable) == ("stop", finish.WORDS_EMPTY, "empty answer")
    assert report.counts == {"turn.empty": 1}


def test_rules_can_be_switched_off() -> None:
    assert verdict("STOP", modes={"finish": "off"})[0].finish == "STOP"
    assert verdict("stop", called=True, modes={"finish": "off"})[0].finish == "stop"
    assert verdict("stop", spoke=False, modes={"turn.empty": "off"})[0] == Verdict("stop")
    assert verdict("MALFORMED_FUNCTION_CALL", modes={"turn.malformed": "off"})[0] == Verdict("stop")


@pytest.mark.parametrize("raw", [*STOPS, *LENGTHS, *FILTERS, *MALFORMED])
@pytest.mark.parametrize("spoke", [True, False])
@pytest.mark.parametrize("called", [True, False])
def test_the_outcome_is_always_legal(raw: str | None, spoke: bool, called: bool) -> None:
    assert verdict(raw, spoke=spoke, called=called)[0].finish in finish.LEGAL


def test_ends_and_cuts_are_told_apart() -> None:
    assert finish.is_end("stop") and finish.is_end("MAX_TOKENS")
    assert not finish.is_end(None) and not finish.is_end("error") and not finish.is_end("network_error")


def test_an_agent_goes_on_with_the_calls_that_left_before_a_broken_one():
    found = judge(Turn("stop", None, True, True, "not JSON", released=True), Ledger(Report(), None), "choices[0]")
    assert (found.finish, found.release, found.words) == ("tool_calls", False, finish.WORDS_MALFORMED)
