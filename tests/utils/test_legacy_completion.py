"""Text completions in terms of a chat, and back."""

import json

import pytest

from app.errors import InvalidRequest
from app.utils.formatter import ChunkFormatter, format_completion
from app.utils.legacy_completion import (
    FILL_INSTRUCTION,
    INSTRUCTION,
    TextChunks,
    as_chat,
    check_completion_request,
    format_text_completion,
    read_prompt,
)
from tests.answers import USAGE, chunk, completion


@pytest.mark.parametrize("body", [
    {"prompt": "def f("}, {"prompt": ["def f("]}, {"prompt": "x", "suffix": ")"}, {"prompt": "x", "logprobs": None},
    {"prompt": "x", "logprobs": 0}, {"prompt": "x", "n": 3, "best_of": 2}, {"prompt": "x", "echo": True, "stream": True},
    {"prompt": "x", "max_tokens": 1, "stop": ["\n"], "temperature": 0, "unknown": 1}])
def test_good_requests_pass(body):
    assert check_completion_request(body) is body


@pytest.mark.parametrize(("body", "param"), [
    (None, None), ([], None), ("x", None), ({}, "prompt"), ({"prompt": None}, "prompt"), ({"prompt": ""}, "prompt"),
    ({"prompt": []}, "prompt"), ({"prompt": 1}, "prompt"), ({"prompt": {}}, "prompt"),
    ({"prompt": "x", "logprobs": 5}, "logprobs"), ({"prompt": "x", "best_of": 2}, "best_of"),
    ({"prompt": "x", "suffix": 1}, "suffix"), ({"prompt": "x", "echo": "yes"}, "echo"), ({"prompt": "x", "n": 0}, "n"),
    ({"prompt": "x", "max_tokens": "5"}, "max_tokens"), ({"prompt": "x", "stream": "yes"}, "stream"),
    ({"prompt": "x", "model": 3}, "model")])
def test_bad_requests_are_refused(body, param):
    with pytest.raises(InvalidRequest) as refused:
        check_completion_request(body)
    assert refused.value.param == param


@pytest.mark.parametrize("prompt", [["a", "b"], [1, 2], [[1, 2]], [["a"]], ["a", 1]])
def test_prompts_that_a_chat_cannot_ask_are_refused(prompt):
    with pytest.raises(InvalidRequest) as refused:
        read_prompt({"prompt": prompt})
    assert refused.value.param == "prompt"


def test_a_prompt_becomes_a_chat():
    body = {"model": "m", "prompt": ["def f("], "max_tokens": 9, "stop": ["\n"], "echo": True, "best_of": 1, "logprobs": 0}
    assert as_chat(body) == {"model": "m", "max_tokens": 9, "stop": ["\n"], "messages": [
        {"role": "system", "content": INSTRUCTION}, {"role": "user", "content": "def f("}]}


def test_a_suffix_marks_the_place_to_fill():
    assert as_chat({"prompt": "a = ", "suffix": "\nprint(a)"})["messages"] == [
        {"role": "system", "content": FILL_INSTRUCTION}, {"role": "user", "content": "a = <CURSOR>\nprint(a)"}]


@pytest.mark.parametrize(("reason", "expected"), [
    ("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), ("tool_calls", "stop"), (None, "stop")])
def test_a_whole_answer_becomes_text(reason, expected):
    answer = completion(" x)")
    answer["choices"][0]["finish_reason"] = reason
    text = format_text_completion(format_completion(answer, "m"), {"prompt": "def f("})
    assert text == {"id": "cmpl-up1", "object": "text_completion", "created": 1_700_000_000, "model": "m", "usage": USAGE,
                    "choices": [{"text": " x)", "index": 0, "logprobs": None, "finish_reason": expected}]}


def test_echo_puts_the_prompt_first():
    answer = format_completion(completion(" x)"), "m")
    assert format_text_completion(answer, {"prompt": "def f(", "echo": True})["choices"][0]["text"] == "def f( x)"


def test_an_answer_without_text_is_empty_text():
    answer = format_completion(completion(None), "m")
    assert format_text_completion(answer, {"prompt": "x"})["choices"][0]["text"] == ""


def stream_of(chunks, **body):
    data = TextChunks(ChunkFormatter("m").format, {"prompt": "P", **body}).encode(chunks)
    return [json.loads(event.removeprefix(b"data: ")) for event in data.split(b"\n\n") if event]


CHUNKS = [chunk(role="assistant", content=""), chunk(content="a"), chunk(content="b"), chunk("stop"),
          {"choices": [], "usage": USAGE}]


def test_a_stream_becomes_text_and_says_nothing_empty():
    *texts, usage = stream_of(CHUNKS)
    assert [[choice["text"], choice["finish_reason"]] for part in texts for choice in part["choices"]] == [
        ["a", None], ["b", None], ["", "stop"]]
    assert {part["object"] for part in texts} == {"text_completion"}
    assert {part["id"] for part in texts} == {"cmpl-up1"}
    assert (usage["choices"], usage["usage"]) == ([], USAGE)


def test_a_stream_echoes_the_prompt_once_per_choice():
    second = chunk(content="z")
    second["choices"][0]["index"] = 1
    parts = stream_of([*CHUNKS[:3], second, CHUNKS[3]], echo=True)
    said = {}
    for part in parts:
        for choice in part["choices"]:
            said[choice["index"]] = said.get(choice["index"], "") + choice["text"]
    assert said == {0: "Pab", 1: "Pz"}


def test_a_stream_that_says_nothing_still_echoes_and_ends():
    assert [part["choices"][0]["text"] for part in stream_of([chunk("stop")], echo=True)] == ["P"]
