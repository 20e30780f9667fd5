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
