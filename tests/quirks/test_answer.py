"""Whole answers and streams through their two doors: the same answer gives the same result in both."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import UpstreamError, UpstreamTruncated
from app.quirks.answer import RULES, TurnUnusable, repair_stream
from app.quirks.finish import WORDS_EMPTY, WORDS_MALFORMED
from app.quirks.report import Report
from app.quirks.sound_calls import MINTED
from tests.quirks.answers import (
    BODY,
    FakeCall,
    FakeTarget,
    calls,
    delta,
    finishes,
    run_stream,
    run_whole,
    text,
    tool,
    whole,
)

SIGNED = {"extra_content": {"google": {"thought_signature": "S"}}}
THOUGHT = {"extra_content": {"google": {"thought": True}}}

# name: (message, finish reason, expected content, thoughts, calls as (name, arguments), finish)
BOTH: dict[str, tuple[dict, str | None, str | None, str, list[tuple[str, str]], str]] = {
    "text": ({"content": "Hi"}, "stop", "Hi", "", [], "stop"),
    "STOP": ({"content": "Hi"}, "STOP", "Hi", "", [], "stop"),
    "MAX_TOKENS": ({"content": "Hi"}, "MAX_TOKENS", "Hi", "", [], "length"),
    "no finish": ({"content": "Hi"}, None, "Hi", "", [], "stop"),
    "calls with stop": (
        {"tool_calls": [tool(), tool("write", "{}", "call_b")]},
        "stop",
        None,
        "",
        [("read", '{"path":"a"}'), ("write", "{}")],
        "tool_calls",
    ),
    "text and a call": (
        {"content": "I read", "tool_calls": [tool()]},
        "tool_calls",
        "I read",
        "",
        [("read", '{"path":"a"}')],
        "tool_calls",
    ),
    "arguments as an object": (
        {"tool_calls": [tool(arguments={"path": "a"})]},
        "stop",
        None,
        "",
        [("read", '{"path":"a"}')],
        "tool_calls",
    ),
    "no arguments": ({"tool_calls": [tool(arguments="")]}, "stop", None, "", [("read", "{}")], "tool_calls"),
    "prefix": ({"tool_calls": [tool("default_api:read")]}, "stop", None, "", [("read", '{"path":"a"}')], "tool_calls"),
    "old function call": (
        {"function_call": {"name": "read", "arguments": "{}"}},
        "function_call",
        None,
        "",
        [("read", "{}")],
        "tool_calls",
    ),
    "a cut call": (
        {"tool_calls": [tool(), tool("write", '{"content":"ha', "call_b")]},
        "length",
        None,
        "",
        [("read", '{"path":"a"}')],
        "length",
    ),
    "reasoning": ({"content": "Hi", "reasoning": "I think"}, "stop", "Hi", "I think", [], "stop"),
    "parts": (
        {"content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]},
        "stop",
        "Hi",
        "",
        [],
        "stop",
    ),
    "safety": (
        {"content": None},
        "SAFETY",
        "[gateway: the upstream withheld the answer: SAFETY]",
        "",
        [],
        "content_filter",
    ),
    "surrogate": ({"content": "Hi \ud83d"}, "stop", "Hi \ufffd", "", [], "stop"),
    "refusal": ({"content": None, "refusal": "No"}, "stop", None, "", [], "stop"),
}


@pytest.mark.parametrize("name", BOTH)
def test_both_ways_end_alike(name: str) -> None:
    message, raw, content, thoughts, expected, finish = BOTH[name]
    answer = run_whole(whole(raw, **message))
    choice = answer["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (content, finish)
    assert choice["message"].get("reasoning_content", "") == thoughts
    found = [tuple(call["function"].values()) for call in choice["message"].get("tool_calls", ())]
    assert found == expected
    assert answer["usage"] == {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}

    chunks = run_stream([delta(role="assistant", content=""), delta(**message), delta(finish=raw)])
    assert (text(chunks), text(chunks, "reasoning_content")) == (content or "", thoughts)
    assert [tuple(call["function"].values()) for call in calls(chunks)] == expected
    assert finishes(chunks) == [finish]
    assert [call["index"] for call in calls(chunks)] == list(range(len(expected)))

    assert run_whole(answer) == answer
    assert run_stream(chunks) == chunks


UNUSABLE = {
    "MALFORMED_FUNCTION_CALL": ({"content": None}, "MALFORMED_FUNCTION_CALL", "malformed", WORDS_MALFORMED),
    "function_call_filter": (
        {"content": None},
        "function_call_filter: MALFORMED_FUNCTION_CALL",
        "malformed",
        WORDS_MALFORMED,
    ),
    "no JSON": ({"tool_calls": [tool(arguments="read a")]}, "tool_calls", "malformed", WORDS_MALFORMED),
    "cut, but stop": ({"tool_calls": [tool(arguments='{"a')]}, "stop", "malformed", WORDS_MALFORMED),
    "nothing": ({"content": ""}, "stop", "empty", WORDS_EMPTY),
    "white space": ({"content": "\n"}, "stop", "empty", "\n" + WORDS_EMPTY),
    "thoughts only": ({"content": None, "reasoning_content": "I"}, "stop", "empty", WORDS_EMPTY),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_turn_is_tried_again_and_then_said(name: str) -> None:
    message, raw, kind, words = UNUSABLE[name]
    with pytest.raises(TurnUnusable) as caught:
        run_whole(whole(raw, **message))
    assert caught.value.kind == kind and caught.value.retryable
    answer = run_whole(whole(raw, **message), last_attempt=True)
    assert answer["choices"][0]["message"]["content"] == words
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert not answer["choices"][0]["message"].get("tool_calls")

    chunks = run_stream([delta(**message), delta(finish=raw)], last_attempt=True)
    assert (text(chunks), finishes(chunks), calls(chunks)) == (words, ["stop"], [])
    if name not in ("white space", "thoughts only"):  # else something has left already
        with pytest.raises(TurnUnusable):
            run_stream([delta(**message), delta(finish=raw)])


@pytest.mark.parametrize(
    "answer", [{"choices": []}, {"choices": None}, {"id": "x"}, {"choices": [{"finish_reason": "stop"}]}]
)
def test_an_answer_without_a_choice_is_empty(answer: dict) -> None:
    with pytest.raises(TurnUnusable):
        run_whole(answer)
    said = run_whole(answer, last_attempt=True)
    assert [choice["message"]["content"] for choice in said["choices"]] == [WORDS_EMPTY]


@pytest.mark.parametrize(
    "answer", [{"error": {"code": 429, "message": "x"}}, [{"error": {"code": 429, "message": "x"}}]]
)
def test_an_error_with_200_is_an_error(answer: Any) -> None:
    with pytest.raises(UpstreamError) as caught:
        run_whole(answer)
    assert caught.value.status == 429


def test_a_malformed_turn_after_text_is_said_in_the_stream() -> None:
    chunks = run_stream([delta(content="I will "), delta(finish="MALFORMED_FUNCTION_CALL")])
    assert (text(chunks), finishes(chunks)) == ("I will \n\n" + WORDS_MALFORMED, ["stop"])


def test_unknown_fields_of_a_whole_answer_stay() -> None:
    given = whole(content="Hi", annotations=[{"type": "url_citation"}], audio={"id": "a"}, provider_metadata={"x": 1})
    given |= {"system_fingerprint": "fp", "service_tier": "default", "citations": ["u"]}
    token = {"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    given["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    answer = run_whole(given)
    assert (answer["system_fingerprint"], answer["service_tier"], answer["citations"]) == ("fp", "default", ["u"])
    message = answer["choices"][0]["message"]
    assert message["annotations"] == [{"type": "url_citation"}]
    assert (message["audio"], message["provider_metadata"]) == ({"id": "a"}, {"x": 1})
    assert answer["choices"][0]["logprobs"]["content"] == [token]


def test_a_recorded_answer_of_gemini_keeps_its_text_though_it_is_flagged_as_a_thought() -> None:
    extra = {"google": {"thought": True, "thought_signature": "S"}}
    answer = run_whole(
        whole(content="The current time is Noon.", extra_content=extra), target=FakeTarget("gemini-2.5-pro")
    )
    assert answer["choices"][0]["message"]["content"] == "The current time is Noon."
    assert answer["choices"][0]["message"]["extra_content"] == extra


def test_thought_tags_of_gemini_become_reasoning_in_both_modes() -> None:
    target = FakeTarget("gemini-3-flash")
    answer = run_whole(whole(content="<thought>I think</thought>Hi", **THOUGHT), target=target)
    assert answer["choices"][0]["message"]["content"] == "Hi"
    assert answer["choices"][0]["message"]["reasoning_content"] == "I think"
    chunks = run_stream(
        [
            delta(content="<thou", **THOUGHT),
            delta(content="ght>I think", **THOUGHT),
            delta(content="</thought>H"),
            delta(content="i"),
            delta(finish="stop"),
        ],
        target=target,
    )
    assert (text(chunks), text(chunks, "reasoning_content")) == ("Hi", "I think")
    assert "<" not in json.dumps(chunks)


def test_settings_of_a_provider() -> None:
    answer = run_whole(whole(content="<think>I</think>Hi"), target=FakeTarget(options={"thinkTags": True}))
    assert answer["choices"][0]["message"]["content"] == "Hi"
    minted = run_whole(whole(tool_calls=[tool()]), target=FakeTarget(options={"toolIds": "mint"}))
    assert MINTED.fullmatch(minted["choices"][0]["message"]["tool_calls"][0]["id"])
    chunks = run_stream([delta(content="Hi")], done=False, target=FakeTarget(options={"onTruncated": "length"}))
    assert finishes(chunks) == ["length"]


def test_signatures_are_handed_over() -> None:
    found: list[tuple[str, str]] = []
    answer = run_whole(whole(tool_calls=[tool(id="", **SIGNED)]), on_signature=lambda *pair: found.append(pair))
    chunks = run_stream(
        [delta(tool_calls=[tool(id="", **SIGNED)]), delta(finish="stop")], on_signature=lambda *pair: found.append(pair)
    )
    both = [answer["choices"][0]["message"]["tool_calls"][0], calls(chunks)[0]]
    assert found == [(call["id"], "S") for call in both]
    assert all(call["extra_content"] == SIGNED["extra_content"] for call in both)


def test_a_missing_usage_is_estimated_and_noted() -> None:
    report = Report()
    answer = run_whole(whole(content="x" * 8, usage=None), report=report)
    assert answer["usage"]["completion_tokens"] == 2 and answer["usage"]["prompt_tokens"] > 0
    assert report.counts["usage.estimated"] == 1


def test_an_answer_in_good_shape_notes_nothing() -> None:
    report = Report()
    run_whole(whole(content="Hi"), report=report)
    run_stream(
        [
            delta(role="assistant", content=""),
            delta(content="Hi"),
            delta(finish="stop"),
            {**delta(), "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}},
        ],
        report=report,
    )
    run_whole(whole("tool_calls", tool_calls=[tool(), tool(id="call_b")]), report=report)
    assert report.counts == {}


def test_rules_tell_their_departure_and_have_one_id_each() -> None:
    ids = [rule.id for rule in RULES]
    assert len(ids) == len(set(ids)) and all(rule.departure for rule in RULES)
    assert {rule.stage for rule in RULES} <= {"answer", "error"}


texts = st.text(st.characters(codec="utf-8"), max_size=12)


@given(
    texts, st.lists(st.dictionaries(st.text(max_size=3), texts, max_size=2), max_size=3), st.lists(st.integers(0, 11))
)
def test_a_stream_says_what_the_whole_answer_says(said: str, arguments: list[dict], cuts: list[int]) -> None:
    entries = [tool("write", json.dumps(given), f"call_{number}") for number, given in enumerate(arguments)]
    answer = run_whole(whole("stop", content=said, tool_calls=entries), last_attempt=True)
    places = sorted({min(cut, len(said)) for cut in cuts})
    pieces = [said[low:high] for low, high in zip([0, *places], [*places, len(said)], strict=True)]
    chunks = run_stream(
        [
            *(delta(role="assistant", content=piece) for piece in pieces),
            delta(tool_calls=deepcopy(entries)),
            delta(finish="stop"),
        ],
        last_attempt=True,
    )
    choice = answer["choices"][0]
    assert text(chunks) == (choice["message"]["content"] or "")
    streamed = [{key: value for key, value in call.items() if key != "index"} for call in calls(chunks)]
    assert streamed == choice["message"].get("tool_calls", [])
    assert finishes(chunks) == [choice["finish_reason"]]


def test_a_cut_stream_is_never_complete() -> None:
    with pytest.raises(UpstreamTruncated) as caught:
        run_stream([delta(content="Hi")], done=False)
    assert (caught.value.code, caught.value.status) == ("upstream_truncated", 502)
    with pytest.raises(TurnUnusable):
        run_stream([], done=False)


def run_broken(*chunks: dict, **how: Any) -> list[dict]:
    """Return what becomes of chunks behind which the connection breaks."""

    def batches() -> Iterator[list[dict]]:
        yield from ([chunk] for chunk in deepcopy(list(chunks)))
        raise UpstreamTruncated("gone")

    found = repair_stream(batches(), BODY, FakeTarget(), Report(), FakeCall(False), **how)
    return [chunk for batch in found for chunk in batch]


def test_a_broken_connection_counts_only_before_the_end() -> None:
    assert finishes(run_broken(delta(content="Hi"), delta(finish="stop"))) == ["stop"]
    with pytest.raises(UpstreamTruncated):
        run_broken(delta(content="Hi"))
    with pytest.raises(UpstreamTruncated):  # a finish reason on every chunk says nothing
        run_broken(delta(content="Hi", finish="stop"), delta(content=" there", finish="stop"))
    with pytest.raises(TurnUnusable):
        run_broken()
    assert finishes(run_broken(delta(content="Hi"), on_truncated="length")) == ["length"]


def test_a_200_that_ends_empty_twice_is_said_in_words() -> None:
    """A 502 makes OpenCode ask five times more, over a minute; a lost connection stays one."""
    chunks = run_stream([], done=False, last_attempt=True)
    assert text(chunks) == WORDS_EMPTY
    assert finishes(chunks) == ["stop"]


def test_the_upstream_is_closed_when_the_client_goes() -> None:
    from app.quirks.answer import repair_stream

    closed = []

    def batches():
        try:
            yield [delta(content="Hi")]
            yield []
        finally:
            closed.append(True)

    stream = repair_stream(batches(), BODY, FakeTarget(), Report(), call=None)  # type: ignore[arg-type]
    assert next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert closed == [True]
