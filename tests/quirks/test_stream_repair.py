"""One answer, chunk by chunk: what leaves at once, what is held, how it ends."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import UpstreamError, UpstreamTruncated
from app.quirks.answer import TurnUnusable, repair_stream
from app.quirks.finish import LEGAL, WORDS_EMPTY
from app.quirks.report import Report
from tests.quirks.answers import BODY, HEAD, USAGE, FakeCall, FakeTarget, calls, delta, finishes, run_stream, text, tool

STOP = delta(finish="stop")
NAMES = ["content", "text", "function", "name", "arguments", "id", "index", "google", "thought", "extra_content",
         "usage", "prompt_tokens", "total_tokens", "completion_tokens_details", "custom", "input"]  # fmt: skip
DELTA_NAMES = ["content", "role", "tool_calls", "function_call", "reasoning", "reasoning_content", "extra_content",
               "refusal", "audio", "provider_specific_fields"]  # fmt: skip


def batches_of(given: list[list[Any]], done: bool = True, **how: Any) -> list[list[dict]]:
    return list(repair_stream(given, BODY, FakeTarget(), Report(), FakeCall(done), **how))


def test_text_leaves_with_its_read_and_empty_reads_stay_empty() -> None:
    out = batches_of([[delta(role="assistant", content="")], [], [delta(content="a"), delta(content="b")], [STOP]])
    assert out[0] == out[1] == [] and out[3] == []
    assert [chunk["choices"][0]["delta"] for chunk in out[2]] == [
        {"role": "assistant", "content": "a"},
        {"content": "b"},
    ]
    assert finishes(out[4]) == ["stop"]


def test_reasoning_leaves_at_once_and_the_role_once() -> None:
    chunks = run_stream(
        [
            delta(role="assistant", reasoning="I"),
            delta(role="assistant", content="a"),
            delta(role="assistant", content="b"),
            STOP,
        ]
    )
    assert [chunk["choices"][0]["delta"] for chunk in chunks[:-2]] == [
        {"role": "assistant", "content": None, "reasoning_content": "I"},
        {"content": "a"},
        {"content": "b"},
    ]


def test_calls_are_held_until_the_stream_has_ended() -> None:
    entries = [[delta(tool_calls=[tool()])], [delta(tool_calls=[tool(id="b")])], [STOP], []]
    out = batches_of(entries)
    assert out[:4] == [[], [], [], []]
    kinds = [list(chunk["choices"][0]["delta"]) if chunk["choices"] else "usage" for chunk in out[4]]
    assert kinds == [["role", "content", "tool_calls"], ["tool_calls"], [], "usage"]
    assert finishes(out[4]) == ["tool_calls"]


def test_calls_that_are_not_held_leave_when_the_next_begins() -> None:
    out = batches_of([[delta(tool_calls=[tool()])], [delta(tool_calls=[tool(id="b")])], [STOP]], hold=False)
    assert [len(calls(batch)) for batch in out] == [0, 1, 0, 1]
    assert [call["index"] for batch in out for call in calls(batch)] == [0, 1]


def test_a_cut_stream_runs_no_call() -> None:
    with pytest.raises(TurnUnusable) as caught:
        run_stream([delta(tool_calls=[tool()])], done=False)
    assert caught.value.kind == "truncated"
    chunks = run_stream([delta(content="a"), delta(tool_calls=[tool()])], done=False, on_truncated="stop")
    assert (calls(chunks), finishes(chunks)) == ([], ["stop"])
    with pytest.raises(UpstreamTruncated):
        run_stream([delta(content="a"), delta(tool_calls=[tool()])], done=False)


@pytest.mark.parametrize("raw", ["error", "network_error", "insufficient_system_resource"])
def test_an_upstream_that_says_it_broke_off_is_cut(raw: str) -> None:
    with pytest.raises(UpstreamTruncated):
        run_stream([delta(content="a"), delta(finish=raw)])


def test_a_finish_without_done_is_complete_and_done_without_finish_too() -> None:
    assert finishes(run_stream([delta(content="a"), STOP], done=False)) == ["stop"]
    assert finishes(run_stream([delta(content="a")])) == ["stop"]
    assert finishes(run_stream([delta(tool_calls=[tool()])])) == ["tool_calls"]


def test_done_alone_is_an_empty_turn() -> None:
    with pytest.raises(TurnUnusable) as caught:
        run_stream([])
    assert caught.value.kind == "empty"
    chunks = run_stream([], last_attempt=True)
    assert (text(chunks), finishes(chunks)) == (WORDS_EMPTY, ["stop"])


def test_a_finish_on_every_chunk_counts_once() -> None:
    chunks = run_stream([delta(content="a", finish="stop"), delta(content="b", finish="stop"), delta(finish="length")])
    assert (text(chunks), finishes(chunks)) == ("ab", ["length"])
    assert chunks[-2]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "length"}


@pytest.mark.parametrize("shape", ["own chunk", "every chunk", "last chunk", "x_groq", "in the choice"])
def test_usage_leaves_once_and_last(shape: str) -> None:
    chunks = [delta(content="a"), delta(content="b"), delta(finish="stop")]
    if shape == "own chunk":
        chunks.append({**HEAD, "choices": [], "usage": USAGE})
    elif shape == "every chunk":
        chunks = [{**chunk, "usage": USAGE} for chunk in chunks]
    elif shape == "last chunk":
        chunks[-1]["usage"] = USAGE
    elif shape == "x_groq":
        chunks[-1]["x_groq"] = {"usage": USAGE}
    else:
        chunks[-1]["choices"][0]["usage"] = USAGE
    out = run_stream(chunks)
    assert [chunk.get("usage") for chunk in out] == [None] * (len(out) - 1) + [USAGE]
    assert out[-1] == {**HEAD, "choices": [], "usage": USAGE}
    assert all(not chunk.get("usage") for chunk in run_stream(chunks, body={"messages": []}))


@pytest.mark.parametrize(
    "chunk",
    [
        {"error": {"code": 503, "message": "x"}},
        [{"error": {"code": 503, "message": "x"}}],
        {"code": 503, "message": "x", "status": "UNAVAILABLE"},
        {**delta(content="", finish="error"), "error": {"code": 503, "message": "x"}},
        {**delta(content="more"), "error": {"code": 503, "message": "x"}},
    ],
)
def test_an_error_in_the_stream_ends_it(chunk: Any) -> None:
    with pytest.raises(UpstreamError) as caught:
        run_stream([delta(content="a"), delta(content="b"), chunk])
    assert (caught.value.status, str(caught.value)) == (503, "x")


def test_text_before_an_error_in_one_read_arrives_once_text_has_arrived() -> None:
    error = {"error": {"code": 503, "message": "x"}}
    for first, expected in (([delta(content="a")], ["a", "b"]), ([], [])):
        arrived: list[str] = []
        with pytest.raises(UpstreamError):
            for batch in repair_stream([first, [delta(content="b"), error]], BODY, FakeTarget(), Report(), FakeCall()):
                arrived += [text([chunk]) for chunk in batch]
        assert arrived == expected


def test_the_client_may_have_asked_for_usage_when_the_upstream_was_not() -> None:
    assert run_stream([delta(content="a"), STOP], body={"messages": []}, include_usage=True)[-1]["usage"]
    assert not run_stream([delta(content="a"), STOP], include_usage=False)[-1].get("usage")


def test_an_error_after_the_finish_is_not_one() -> None:
    late = {**delta(content=""), "error": {"code": 400, "message": "Token limit reached"}}
    assert finishes(run_stream([delta(content="a"), delta(finish="length"), late])) == ["length"]


def test_a_call_that_the_upstream_could_not_read_is_tried_again() -> None:
    refused = {"error": {"message": "Failed to call a function.", "code": "tool_use_failed", "status_code": 400}}
    with pytest.raises(TurnUnusable):
        run_stream([refused])
    with pytest.raises(UpstreamError) as caught:
        run_stream([refused], last_attempt=True)
    assert (caught.value.status, caught.value.code) == (400, "tool_use_failed")


def test_a_whole_answer_in_a_stream_is_streamed() -> None:
    message = {"role": "assistant", "content": "Hi", "tool_calls": [tool()]}
    answer = {
        **HEAD,
        "object": "chat.completion",
        "usage": USAGE,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
    }
    chunks = run_stream([answer])
    assert (text(chunks), finishes(chunks), len(calls(chunks))) == ("Hi", ["tool_calls"], 1)
    assert chunks[-1]["usage"] == USAGE


def test_a_summary_after_the_text_says_nothing_new() -> None:
    summary = {**HEAD, "choices": [{"index": 0, "message": {"content": "ab"}, "finish_reason": "stop"}]}
    assert text(run_stream([delta(content="a"), delta(content="b"), summary])) == "ab"


ODD = [
    {**HEAD},
    {**HEAD, "choices": None},
    {**HEAD, "choices": []},
    {**HEAD, "choices": [None]},
    {**HEAD, "choices": [{}]},
    {**HEAD, "choices": [{"index": 0}]},
    {**HEAD, "choices": [{"index": 0, "delta": None}]},
    {**HEAD, "choices": [{"index": 0, "delta": {"content": None}}]},
    delta(role="", content=""),
    delta(role="model"),
    delta(tool_calls=None, function_call=None, refusal=None),
    delta(tool_calls=[]),
    delta(tool_calls="x"),
    {},
    [],
    None,
    {"choices": [], "prompt_filter_results": [{}]},
    delta(refusal=""),
    delta(content=[]),
    delta(content=3),
]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_chunks_that_say_nothing_change_nothing(odd: Any, place: int) -> None:
    chunks: list[Any] = [delta(content="a"), delta(content="b"), STOP]
    chunks.insert(place, odd)
    out = run_stream(chunks)
    assert [found["choices"][0]["delta"] for found in out[:-1]] == [
        {"role": "assistant", "content": "a"},
        {"content": "b"},
        {},
    ]
    assert finishes(out) == ["stop"]


def test_choices_are_kept_apart() -> None:
    chunks = run_stream(
        [
            delta(0, content="a"),
            delta(1, tool_calls=[tool()]),
            delta(0, content="b"),
            delta(1, tool_calls=[tool("write")]),
            delta(1, finish="stop"),
            delta(0, finish="MAX_TOKENS"),
        ],
    )
    assert (text(chunks, index=0), [call["function"]["name"] for call in calls(chunks, 1)]) == ("ab", ["read", "write"])
    assert finishes(chunks) == ["length", "tool_calls"]
    assert len({call["id"] for call in calls(chunks, 1)}) == 2


def test_several_choices_in_one_chunk() -> None:
    both = {**HEAD, "choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]}
    chunks = run_stream([both])
    assert (text(chunks, index=0), text(chunks, index=1), finishes(chunks)) == ("a", "b", ["stop", "stop"])


def test_fields_of_the_dialect_pass_and_others_do_not() -> None:
    chunk = {**delta(content="a", channel="final", token_id=7), "obfuscation": "xx", "citations": ["u"]}
    chunk["choices"][0] |= {"content_filter_results": {}, "logprobs": None}
    assert run_stream([chunk, STOP])[0] == {
        **HEAD,
        "citations": ["u"],
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": None}],
    }


def test_log_probabilities_pass() -> None:
    token = {"token": "a", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    chunks = [delta(content="a"), delta(content="b"), delta(content="")]
    for chunk in chunks:
        chunk["choices"][0]["logprobs"] = {"content": [token]}
    out = run_stream([*chunks, STOP])
    assert [found["choices"][0].get("logprobs") for found in out[:3]] == [{"content": [token], "refusal": None}] * 3


def test_text_beyond_ascii_passes_as_it_is() -> None:
    assert (
        text(run_stream([delta(content="안녕"), delta(content="하세요 😀"), delta(content="\udc00x"), STOP]))
        == "안녕하세요 😀\ufffdx"
    )


def test_a_blocked_prompt_is_said() -> None:
    chunks = run_stream([{**HEAD, "choices": [], "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}])
    assert "PROHIBITED_CONTENT" in text(chunks) and finishes(chunks) == ["content_filter"]


def test_deltas_pass_as_sent_where_the_assembler_is_off() -> None:
    sent = [tool(id="")]
    chunks = run_stream([delta(tool_calls=sent), STOP], modes={"stream.tool_calls": "off", "finish": "off"})
    assert calls(chunks) == sent and finishes(chunks) == ["stop"]


def test_warnings_change_nothing() -> None:
    report = Report()
    chunks = run_stream([delta(content="a"), delta(finish="STOP")], modes={"finish.map": "warn"}, report=report)
    assert finishes(chunks) == ["STOP"] and report.warnings == {"finish.map": 1} and not report.counts.get("finish.map")


def test_old_clients_keep_their_function_call() -> None:
    body = {"messages": [], "functions": [{"name": "read"}]}
    chunks = run_stream(
        [delta(function_call={"name": "read", "arguments": "{}"}), delta(finish="function_call")], body=body
    )
    assert chunks[0]["choices"][0]["delta"]["function_call"] == {"name": "read", "arguments": "{}"}
    assert finishes(chunks) == ["function_call"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=14,
)
some_delta = st.dictionaries(st.sampled_from(DELTA_NAMES), anything, max_size=4)
some_choice = st.fixed_dictionaries({}, optional={"index": anything, "delta": some_delta, "finish_reason": anything})
some_choices = st.lists(some_choice, max_size=2)
some_chunk = anything | st.fixed_dictionaries({"choices": some_choices}, optional={"usage": anything})


@given(st.lists(some_chunk, max_size=5), st.booleans(), st.booleans())
def test_whatever_comes_the_outcome_is_legal(chunks: list[Any], done: bool, hold: bool) -> None:
    try:
        out = run_stream(chunks, done=done, last_attempt=True, hold=hold)
    except UpstreamError:
        return
    numbers = {choice["index"] for chunk in out for choice in chunk["choices"]}
    assert len(finishes(out)) == len(numbers) and set(finishes(out)) <= set(LEGAL)
    assert not out[-1]["choices"] and all(type(out[-1]["usage"][name]) is int for name in USAGE)
    for number in numbers:
        made = calls(out, number)
        assert [call["index"] for call in made] == list(range(len(made)))
        assert all(call["id"] and call["function"]["name"] for call in made if call["type"] == "function")
        for call in made:
            orjson.loads(call["function"]["arguments"]) if call["type"] == "function" else None
    orjson.dumps(out)
