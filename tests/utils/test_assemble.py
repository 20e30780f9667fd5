import time

from app.utils.assemble import assemble


def chunk(delta, index=0, **rest):
    return {"id": "c1", "model": "m", "choices": [{"index": index, "delta": delta, **rest}]}


def test_texts_are_joined_and_the_end_is_kept():
    answer = assemble(
        [
            chunk({"role": "assistant", "content": "Hel"}),
            chunk({"content": "lo", "reasoning_content": "because"}),
            chunk({}, finish_reason="stop"),
            {"choices": [], "usage": {"prompt_tokens": 1}},
        ]
    )
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello", "reasoning_content": "because"},
            "finish_reason": "stop",
        }
    ]
    assert (answer["id"], answer["model"], answer["usage"]) == ("c1", "m", {"prompt_tokens": 1})


def test_tool_calls_are_joined_by_index():
    answer = assemble(
        [
            chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "bash", "arguments": ""}}]}),
            chunk({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "read", "arguments": "{}"}}]}),
            chunk({"tool_calls": [{"index": 0, "id": None, "function": {"name": None, "arguments": '{"x":'}}]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
        ]
    )
    assert answer["choices"][0]["message"]["tool_calls"] == [
        {"id": "a", "function": {"name": "bash", "arguments": '{"x":1}'}},
        {"id": "b", "function": {"name": "read", "arguments": "{}"}},
    ]


def test_choices_are_kept_apart_and_texts_of_completions_joined():
    chunks = [
        {"choices": [{"index": 1, "text": "b"}]},
        {"choices": [{"index": 0, "text": "a"}]},
        {"choices": [{"index": 1, "text": "c"}]},
    ]
    assert [choice["text"] for choice in assemble(chunks)["choices"]] == ["a", "bc"]


def test_what_is_no_chunk_is_passed_over():
    odd = [
        None,
        "x",
        {},
        {"choices": "x"},
        {"choices": [None, {"delta": "x"}]},
        chunk({"tool_calls": "x"}),
        chunk({"tool_calls": [{}]}),
    ]
    assert assemble(odd)["choices"][0]["message"]["tool_calls"] == [{"function": {}}]


def test_a_long_answer_takes_linear_time():
    def seconds(count):
        chunks = [chunk({"content": "x" * 1_000, "tool_calls": [{"index": 0, "function": {"arguments": "y" * 1_000}}]})] * count
        began = time.process_time()
        message = assemble(chunks)["choices"][0]["message"]
        assert len(message["content"]) == len(message["tool_calls"][0]["function"]["arguments"]) == 1_000 * count
        return time.process_time() - began

    assert seconds(20_000) < max(0.5, 60 * seconds(1_000))


def test_arguments_may_change_their_kind():
    parts = [{"a": 1}, '{"b":', "2}"]
    answer = assemble(chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}) for part in parts)
    assert answer["choices"][0]["message"]["tool_calls"][0]["function"] == {"arguments": '{"b":2}'}


def test_logprobs_are_joined():
    parts = [{"content": [{"token": "a"}], "refusal": None}, None, {"content": [{"token": "b"}]}]
    chunks = [{"choices": [{"index": 0, "delta": {}, "logprobs": part}]} for part in parts]
    assert assemble(chunks)["choices"][0]["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}]}


def test_ten_choices_are_in_their_order():
    answer = assemble(chunk({"content": "x"}, index) for index in range(11))
    assert [choice["index"] for choice in answer["choices"]] == list(range(11))


def test_frames_of_the_websocket_are_a_text():
    frames = [{"token": "Hel"}, {"token": "lo"}, {"done": True, "finish_reason": "length", "usage": {"total_tokens": 3}}]
    answer = assemble(frames)
    assert answer["choices"] == [{"index": 0, "finish_reason": "length", "text": "Hello"}]
    assert answer["usage"] == {"total_tokens": 3}
