"""The shape of chunks, choices and deltas."""

import pytest

from app.quirks import openai_stream
from app.quirks.ledger import Ledger
from app.quirks.report import Report


def ledger(report: Report | None = None) -> Ledger:
    return Ledger(report or Report())


ERRORS = [
    {"error": {"message": "x"}},
    {"error": "x"},
    [{"error": {"message": "x"}}],
    {"code": 503, "message": "x", "status": "UNAVAILABLE"},
    {"object": "error", "message": "x", "type": "BadRequestError"},
    {"detail": "x"},
    "upstream error: do request failed",
]
NO_ERRORS = [
    {"choices": []},
    {"error": None, "choices": []},
    {"usage": {}},
    {"id": "x"},
    {"error": {}},
    [],
    [{"choices": []}],
    "  ",
    {"message": "x", "choices": []},
    {"detail": "", "id": "x"},
    None,
    3,
]


@pytest.mark.parametrize("chunk", ERRORS)
def test_errors_in_place_of_chunks_are_seen(chunk: object) -> None:
    assert openai_stream.error_in(chunk) is not None


@pytest.mark.parametrize("chunk", NO_ERRORS)
def test_chunks_are_no_errors(chunk: object) -> None:
    assert openai_stream.error_in(chunk) is None


@pytest.mark.parametrize("chunk", [{}, {"choices": None}, {"choices": "x"}, {"choices": {"index": 0}}])
def test_choices_that_are_no_list(chunk: dict) -> None:
    report = Report()
    assert openai_stream.list_choices(chunk, ledger(report)) == []
    assert report.counts == {"stream.choices": 1}


def test_choices_that_are_no_objects_are_left_out() -> None:
    assert openai_stream.list_choices({"choices": [None, {"index": 1}, "x"]}, ledger()) == [{"index": 1}]


@pytest.mark.parametrize(
    ("choice", "expected"), [({"index": 3}, 3), ({}, 1), ({"index": None}, 1), ({"index": True}, 1)]
)
def test_the_number_of_a_choice(choice: dict, expected: int) -> None:
    assert openai_stream.choice_index(choice, 1) == expected


def test_what_stands_in_for_a_delta() -> None:
    message = {"role": "assistant", "content": "a"}
    assert openai_stream.find_delta({"delta": {}, "message": message}, False, ledger(), "") == {}
    assert openai_stream.find_delta({"message": message}, False, ledger(), "") == message
    assert openai_stream.find_delta({"delta": None, "text": "a"}, False, ledger(), "") == {"content": "a"}
    assert openai_stream.find_delta({"message": message}, True, ledger(), "") == {}  # its text was said already
    assert openai_stream.find_delta({"finish_reason": "stop"}, False, ledger(), "") == {}
    # a completion's text is news in every chunk, and a whole answer may bring an empty delta beside its message
    assert openai_stream.find_delta({"text": "b"}, True, ledger(), "") == {"content": "b"}
    both = {"delta": {"role": "assistant", "content": ""}, "message": message, "finish_reason": "stop"}
    assert openai_stream.find_delta(both, False, ledger(), "") == message
    assert openai_stream.find_delta(both, True, ledger(), "") == both["delta"]


@pytest.mark.parametrize(
    ("number", "taken", "wanted", "expected"),
    [
        (0, (), None, 0),
        (1, (), None, 0),
        (-1, (), 1, 0),
        (1, (0,), None, 1),
        (5, (0,), 1, 1),
        (1, (), 2, 1),
        (0, (0,), None, 1),
        (10**30, (), "2", 0),
    ],
)
def test_choices_are_numbered_as_asked(number: int, taken: tuple[int, ...], wanted: object, expected: int) -> None:
    assert openai_stream.choice_number(number, taken, wanted, ledger()) == expected


CONTENTS = [
    ("a", ("", "a")),
    (None, ("", "")),
    ([], ("", "")),
    ([{"type": "text", "text": "a"}, "b", {"type": "image_url"}, None], ("", "ab")),
    ([{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}, {"type": "text", "text": "a"}], ("t", "a")),
    ([{"text": "t", "thought": True}, {"text": "a"}], ("t", "a")),
    ({"text": "a"}, ("", "a")),
    (7, ("", "")),
]


@pytest.mark.parametrize(("content", "expected"), CONTENTS)
def test_content_is_text(content: object, expected: tuple[str, str]) -> None:
    assert openai_stream.content_text(content, ledger(), "") == expected


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    report = Report()
    assert openai_stream.sound_text("a\ud83d", ledger(report), "x") == "a\ufffd"
    assert openai_stream.sound_text("\ud83d\ude00", ledger(report), "x") == "\U0001f600"
    assert openai_stream.sound_text("한국어 😀", ledger(), "x") == "한국어 😀"
    assert report.counts == {"stream.surrogates": 2}


@pytest.mark.parametrize(
    ("role", "opened", "noted"),
    [
        ("assistant", False, False),
        (None, False, False),
        (None, True, False),
        ("assistant", True, True),
        ("model", False, True),
        ("", False, True),
    ],
)
def test_roles(role: object, opened: bool, noted: bool) -> None:
    report = Report()
    openai_stream.role_once(role, opened, ledger(report), "x")
    assert bool(report.counts) is noted


def test_fields_that_say_nothing_do_not_pass() -> None:
    delta = {
        "refusal": "",
        "audio": {"data": "", "expires_at": 0, "id": ""},
        "function_call": {"name": "", "arguments": ""},
        "annotations": None,
        "channel": "analysis",
        "reasoning_details": [{"type": "x"}],
        "extra_content": "text",
        "images": {"url": "x"},
    }
    assert openai_stream.passed_fields(delta) == {"reasoning_details": [{"type": "x"}]}


def test_log_probabilities_of_openais_shape_pass() -> None:
    token = {"token": "a", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    assert openai_stream.logprobs_of({"logprobs": {"content": [token]}}) == {"content": [token], "refusal": None}
    none = ({}, {"logprobs": None}, {"logprobs": {"tokens": ["a"]}}, {"logprobs": {"content": None}})
    for nothing in (*none, {"logprobs": {"content": "a"}}, {"logprobs": {"content": [1]}}):
        assert openai_stream.logprobs_of(nothing) is None


def test_finish_reasons_are_read_where_they_stand() -> None:
    assert openai_stream.raw_finish({"finish_reason": "stop", "native_finish_reason": "STOP"}) == ("stop", "STOP")
    assert openai_stream.raw_finish({"finishReason": "MAX_TOKENS"}) == ("MAX_TOKENS", None)
    vendor = {"provider_specific_fields": {"native_finish_reason": "MALFORMED_FUNCTION_CALL"}}
    assert openai_stream.raw_finish(vendor) == (None, "MALFORMED_FUNCTION_CALL")
    assert openai_stream.raw_finish({"finish_reason": "", "provider_specific_fields": None}) == (None, None)


def test_what_a_chunk_of_our_own_repeats() -> None:
    chunk = {"id": "c", "model": "m", "created": None, "choices": [], "usage": {}, "citations": ["u"]}
    assert openai_stream.head_of(chunk) == {"id": "c", "model": "m"}
    assert openai_stream.top_of(chunk) == {"id": "c", "model": "m", "created": None, "citations": ["u"]}


def test_texts_at_the_top_that_are_no_texts_do_not_pass() -> None:
    assert openai_stream.top_of({"id": "c", "system_fingerprint": [], "service_tier": "x"}) == {"id": "c"}
    assert openai_stream.top_of({"system_fingerprint": None, "service_tier": "x"})["service_tier"] == "x"
