"""Shimmy's generation request as a chat, and chat answers as its answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest
from app.utils.text_generation import as_chat, check_generate_request, format_generation, frame_of, generation_events
from tests.answers import USAGE, chunk, completion, stream

ASKED = {"model": "m", "prompt": "Hello"}
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(("body", "chat"), [
    (ASKED, {"model": "m", "messages": HELLO, "max_tokens": 100, "temperature": 0.7}),
    ({**ASKED, "max_tokens": None, "temperature": None, "stream": False, "messages": None, "system": None},
     {"model": "m", "messages": HELLO, "max_tokens": 100, "temperature": 0.7}),
    ({**ASKED, "max_tokens": 5, "temperature": 0, "top_p": 0.5, "top_k": 3, "seed": 1, "stop": ["x"]},
     {"model": "m", "messages": HELLO, "max_tokens": 5, "temperature": 0, "top_p": 0.5, "top_k": 3, "seed": 1, "stop": ["x"]}),
    ({**ASKED, "system": "Be brief."}, {"model": "m", "messages": [{"role": "system", "content": "Be brief."}, *HELLO],
                                       "max_tokens": 100, "temperature": 0.7}),
    ({"model": "m", "prompt": "", "messages": [{"role": "assistant", "content": "x"}, {"role": "tool", "content": "y"}]},
     {"model": "m", "messages": [{"role": "assistant", "content": "x"}, {"role": "tool", "content": "y"}],
      "max_tokens": 100, "temperature": 0.7}),
    ({**ASKED, "stream": True}, {"model": "m", "messages": HELLO, "max_tokens": 100, "temperature": 0.7, "stream": True,
                                "stream_options": {"include_usage": True}}),
])
def test_as_a_chat(body, chat):
    assert as_chat(check_generate_request(body)) == chat


@pytest.mark.parametrize(("changes", "param"), [
    ({"model": None}, "model"), ({"model": ""}, "model"), ({"model": 5}, "model"), ({"prompt": None}, "prompt"),
    ({"prompt": ""}, "prompt"), ({"prompt": ["a"]}, "prompt"), ({"messages": [{"role": "user", "content": "x"}]}, "messages"),
    ({"prompt": None, "messages": []}, "prompt"), ({"prompt": None, "messages": "x"}, "messages"),
    ({"prompt": None, "messages": ["x"]}, "messages[0]"), ({"prompt": None, "messages": [{"role": "x"}]}, "messages[0].role"),
    ({"system": ["x"]}, "system"), ({"max_tokens": 0}, "max_tokens"), ({"max_tokens": 131073}, "max_tokens"),
    ({"max_tokens": "5"}, "max_tokens"), ({"max_tokens": 1.5}, "max_tokens"), ({"max_tokens": True}, "max_tokens"),
    ({"temperature": -0.1}, "temperature"), ({"temperature": 2.1}, "temperature"), ({"temperature": "hot"}, "temperature"),
    ({"top_p": 1.1}, "top_p"), ({"top_k": -1}, "top_k"), ({"stream": "yes"}, "stream"), ({"n": 0}, "n"), ({"stop": 5}, "stop")])
def test_what_is_refused(changes, param):
    with pytest.raises(InvalidRequest) as caught:
        check_generate_request({**ASKED, **changes})
    assert caught.value.param == param


@pytest.mark.parametrize("body", [None, [], "x", 5])
def test_a_body_that_is_no_object(body):
    with pytest.raises(InvalidRequest):
        check_generate_request(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6)
NAMES = st.sampled_from(["model", "prompt", "messages", "system", "max_tokens", "temperature", "top_p", "top_k", "stream", "n"])


@given(st.dictionaries(NAMES, JSON | st.just([{"role": "user", "content": "x"}]), max_size=10))
def test_any_body_is_taken_or_refused_in_words(body):
    try:
        chat = as_chat(check_generate_request(body))
    except InvalidRequest as error:
        assert str(error)
    else:
        assert chat["messages"] and chat["model"] and chat["max_tokens"] >= 1


def test_a_whole_answer():
    assert format_generation(completion("Hi"), "m") == {
        "model": "m", "choices": [{"text": "Hi", "index": 0, "finish_reason": "stop"}], "usage": completion().get("usage"),
        "response": "Hi"}


def test_an_answer_without_text():
    answer = format_generation(completion(None), "m")
    assert (answer["response"], answer["choices"][0]["text"]) == ("", "")


def test_a_stream():
    batches = [[], [*stream("Hel", "lo"), {"choices": [], "usage": USAGE}], []]
    *events, last = [event for batch in generation_events(iter(batches)) for event in batch]
    assert events == [{"choices": [{"text": text, "index": 0}]} for text in ("Hel", "lo")]
    assert last == {"choices": [{"text": "", "index": 0, "finish_reason": "stop"}], "usage": USAGE}


def test_silence_stays_silence():
    assert list(generation_events(iter([[], []])))[:2] == [[], []]


def test_two_answers_in_one_stream():
    chunks = [chunk(content="a"), chunk(content="b"), chunk("length"), chunk("stop")]
    for second in chunks[1:3]:
        second["choices"][0]["index"] = 1
    *_, last = [event for batch in generation_events(iter([chunks])) for event in batch]
    assert [(end["index"], end["finish_reason"]) for end in last["choices"]] == [(0, "stop"), (1, "length")]


@pytest.mark.parametrize(("reason", "told"), [
    ("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), ("tool_calls", "stop"), (None, "stop")])
def test_reasons(reason, told):
    answer = completion()
    answer["choices"][0]["finish_reason"] = reason
    assert format_generation(answer, "m")["choices"][0]["finish_reason"] == told


def test_what_it_reads_from_is_closed():
    closed = []

    def batches():
        try:
            yield [chunk(content="a")]
        finally:
            closed.append(True)

    events = generation_events(batches())
    next(events)
    events.close()
    assert closed == [True]


def test_frames_of_the_websocket():
    assert frame_of({"choices": [{"text": "Hi", "index": 0}]}) == {"token": "Hi"}
    last = {"choices": [{"text": "", "index": 0, "finish_reason": "length"}], "usage": {"total_tokens": 1}}
    assert frame_of(last) == {"done": True, "finish_reason": "length", "usage": {"total_tokens": 1}}
