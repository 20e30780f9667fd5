import json
import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.call import Timeouts
from app.engines import engine_for, mock
from app.errors import ClientGone, ConfigError, UpstreamError, UpstreamTimeout, UpstreamTruncated
from tests.engines.mock_asking import MODES, WRITE, answered, new_call, only, request, streamed, target_with

# --- the shape of an answer -----------------------------------------------------------------------------------------


def test_the_engine_is_found_by_its_name():
    assert engine_for("mock") is mock


def test_a_whole_answer_has_openais_shape():
    answer = mock.complete(request("Hello you!"), target_with(), new_call())
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{12}", answer.pop("id"))
    assert isinstance(answer.pop("created"), int)
    message = {"role": "assistant", "content": "Hello you!", "refusal": None}
    assert answer == {
        "object": "chat.completion",
        "model": "mock-model",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
    }


def test_a_stream_has_one_chunk_for_each_word_and_the_same_head_on_all():
    chunks = streamed(request("Based on the  context,\n\nI say. "))
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk["model"] for chunk in chunks} == {"mock-model"}
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{12}", chunks[0]["id"])
    assert [(chunk["choices"][0]["delta"], chunk["choices"][0]["finish_reason"]) for chunk in chunks] == [
        ({"role": "assistant", "content": ""}, None),
        *(({"content": word}, None) for word in ("Based ", "on ", "the  ", "context,\n\n", "I ", "say. ")),
        ({}, "stop"),
    ]
    assert all("usage" not in chunk for chunk in chunks)


def test_two_answers_have_two_ids():
    assert len({mock.complete(request(), target_with(), new_call())["id"] for _ in range(20)}) == 20


def test_usage_comes_last_in_a_stream_that_asked_for_it():
    chunks = streamed(request("x" * 40, stream_options={"include_usage": True}))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    assert chunks[-1]["id"] == chunks[0]["id"]
    assert [chunk for chunk in chunks if "usage" in chunk] == chunks[-1:]


@pytest.mark.parametrize("stream", MODES)
def test_n_choices(stream):
    choices, usage = answered(request("one two", n=3), stream)
    assert [choice["content"] for choice in choices] == ["one two"] * 3
    assert usage["completion_tokens"] == 3


def test_n_choices_advance_side_by_side():
    batches = list(mock.stream(request("one two", n=2), target_with(), new_call()))
    assert [[choice["index"] for chunk in batch for choice in chunk["choices"]] for batch in batches] == [[0, 1]] * 4


@given(st.text())
def test_pieces_join_to_the_whole_text(text):
    whole = only(request(text))
    assert only(request(text), True)["content"] == whole["content"]
    assert whole["content"] == (text if text.strip() else whole["content"])


@given(st.text(), st.integers(), st.integers(1, 4))
def test_any_seed_gives_the_same_text_in_both_modes_each_time(text, seed, n):
    body = request(text, seed=seed, n=n)
    first = [choice["content"] for choice in answered(body)[0]]
    assert first == [choice["content"] for choice in answered(body)[0]]
    assert first == [choice["content"] for choice in answered(body, True)[0]]


# --- options ---


def test_the_request_field_goes_before_the_message_and_that_before_the_configuration(tmp_path):
    script = {"text": "configured"}
    path = tmp_path / "script.json"
    path.write_text(json.dumps(script))
    assert only(request(), script=script)["content"] == "configured"
    assert only(request(), script=str(path))["content"] == "configured"
    said = request('mock-script: {"text": "said"}')
    assert only(said, script=script)["content"] == "said"
    assert only({**said, "mock": {"text": "field"}}, script=script)["content"] == "field"


@pytest.mark.parametrize(
    "options",
    (
        {"script": "/nowhere/script.json"},
        {"script": {"txet": 1}},
        {"delay": "fast"},
        {"reply": "sing"},
        {"script": __file__},
    ),
)
def test_a_bad_option_is_the_configurations_fault(options):
    with pytest.raises(ConfigError):
        only(request(), **options)


# --- pieces ---


@pytest.mark.parametrize(
    ("step", "pieces"),
    (
        ({}, ["", '{"path": ', '"a ', 'b", ', '"content": ', '"x"}']),
        ({"arguments_pieces": 12}, ["", '{"path": "a ', 'b", "content', '": "x"}']),
        ({"chunk": "whole"}, ['{"path": "a b", "content": "x"}']),
        ({"chunk": "whole", "arguments_pieces": 20}, ['{"path": "a b", "con', 'tent": "x"}']),
    ),
)
def test_arguments_come_in_pieces(step, pieces):
    chunks = streamed(request(mock={"tool_calls": [WRITE], **step}))
    calls = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert [call["function"]["arguments"] for call in calls] == pieces
    assert [call["index"] for call in calls] == [0] * len(pieces)
    assert [("id" in call, "name" in call["function"]) for call in calls] == [
        (True, True),
        *[(False, False)] * (len(pieces) - 1),
    ]


@pytest.mark.parametrize(("chunk", "pieces"), (("char", list("a bc")), ("whole", ["a bc"]), ("word", ["a ", "bc"])))
def test_text_comes_in_pieces(chunk, pieces):
    chunks = streamed(request("a bc", mock={"chunk": chunk}))
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks[1:-1]] == pieces


def test_raw_chunks_and_answers_are_sent_as_they_are():
    raw = [{"any": 1}, [{"two": 2}, {"three": 3}], []]
    assert list(mock.stream(request(mock={"raw_chunks": raw}), target_with(), new_call())) == [[{"any": 1}], raw[1], []]
    assert mock.complete(request(mock={"raw_answer": {"any": 1}}), target_with(), new_call()) == {"any": 1}
    assert streamed(request(mock={"raw_chunks": []})) == []


# --- faults and time ------------------------------------------------------------------------------------------------

REFUSAL = {"status": 429, "message": "slow down", "code": "quota", "retry_after": 2.5}


@pytest.mark.parametrize("stream", MODES)
def test_a_refusal_comes_before_anything_with_status_and_retry_after(stream):
    with pytest.raises(UpstreamError) as refused:
        answered(request(mock={"error": REFUSAL}), stream)
    error = refused.value
    assert (error.status, error.type, error.code, str(error)) == (429, "rate_limit_error", "quota", "slow down")
    assert error.headers == error.upstream_headers == {"Retry-After": "2.5"}
    assert error.upstream_status == 429
    assert json.loads(error.upstream_body)["error"]["message"] == "slow down"


def test_an_error_without_details_is_a_500():
    with pytest.raises(UpstreamError) as refused:
        only(request(mock={"error": {}}))
    assert (refused.value.status, refused.value.type, refused.value.headers) == (500, "server_error", {})


@pytest.mark.parametrize(("after", "sent"), ((0, 0), (1, 1), (3, 3), (99, 5)))
@pytest.mark.parametrize("error", (None, REFUSAL))
def test_an_error_within_a_stream(after, sent, error):
    step = {"text": "a b c", "error_after": after} | ({"error": error} if error else {})
    batches = mock.stream(request(mock=step), target_with(), new_call())
    with pytest.raises(UpstreamError):
        for _ in range(9):
            next(batches)
            sent -= 1
    assert sent == 0


@pytest.mark.parametrize(("after", "sent"), ((0, 0), (2, 2), (99, 5)))
def test_a_cut_stream_ends_without_done(after, sent):
    call = new_call()
    assert len(streamed(request(mock={"text": "a b c", "cut_after": after}), call)) == sent
    assert call.saw_done is False


def test_a_stream_that_ends_well_says_so():
    call = new_call()
    streamed(request(), call)
    assert call.saw_done is True


def test_a_whole_answer_fails_where_its_stream_would():
    with pytest.raises(UpstreamError):
        only(request(mock={"error_after": 3}))
    with pytest.raises(UpstreamTruncated):
        only(request(mock={"cut_after": 3}))


@pytest.mark.parametrize(("after", "sent"), ((0, 0), (2, 2), (99, 3)))
def test_a_stall_within_the_limits_sends_empty_batches_and_goes_on(after, sent):
    call = new_call(keep_alive=0.02)
    batches = list(mock.stream(request(mock={"stall_after": after, "seconds": 0.4}), target_with(), call))
    empty = [number for number, batch in enumerate(batches) if not batch]
    assert 1 <= len(empty) <= 20
    assert empty == list(range(sent, sent + len(empty)))
    assert len(batches) - len(empty) == 3


@pytest.mark.parametrize(("after", "limits"), ((0, Timeouts(9, 0.01, 9)), (1, Timeouts(9, 9, 0.01))))
def test_a_stall_beyond_the_limits_is_a_timeout(after, limits):
    with pytest.raises(UpstreamTimeout):
        streamed(request(mock={"stall_after": after, "seconds": 60}), new_call(timeouts=limits))


def test_a_whole_answer_that_stalls_too_long_is_a_timeout():
    with pytest.raises(UpstreamTimeout):
        only_call = new_call(timeouts=Timeouts(9, 0.01, 9))
        mock.complete(request(mock={"stall_after": 2, "seconds": 60}), target_with(), only_call)


@pytest.mark.parametrize("step", ({"stall_after": 1, "seconds": 200}, {"delay": 200}))
@pytest.mark.parametrize("stream", MODES)
def test_a_client_that_goes_away_ends_the_wait(step, stream):
    call = new_call()
    timer = threading.Timer(0.05, call.cancel.cancel)
    timer.start()
    with pytest.raises(ClientGone):
        answered(request(mock=step), stream, call)
    timer.join()


@pytest.mark.parametrize("stream", MODES)
def test_a_client_that_has_gone_gets_nothing_more(stream):
    call = new_call()
    call.cancel.cancel()
    with pytest.raises(ClientGone):
        answered(request(), stream, call)


def test_the_delay_of_the_configuration_is_waited_between_words():
    call = new_call(keep_alive=0.001)
    batches = list(mock.stream(request(), target_with(delay=0.3), call))
    assert batches[0] and not batches[1], "the first chunk comes at once, the second later"
    assert answered(request(mock={"delay": 0}), True, delay=86400)[0][0]["content"] == "Hello!"
