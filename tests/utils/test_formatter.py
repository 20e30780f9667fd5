"""The exact OpenAI shapes, under the name that the client used."""

import copy
import time

import pytest

from app.utils.formatter import ChunkFormatter, format_completion
from tests.answers import HEAD, USAGE, chunk, completion


def test_a_whole_answer_carries_the_requested_name():
    answer = completion("Hello!")
    before = copy.deepcopy(answer)
    formatted = format_completion(answer, "my-name")
    message = {"role": "assistant", "content": "Hello!"}
    assert formatted == {
        "id": "chatcmpl-up1", "object": "chat.completion", "created": 1_700_000_000, "model": "my-name", "usage": USAGE,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
    }
    assert answer == before


def test_unknown_fields_of_a_whole_answer_are_kept():
    answer = completion() | {"citations": ["a"], "system_fingerprint": "fp", "x_groq": {"id": 1}}
    answer["choices"][0]["logprobs"] = {"content": []}
    formatted = format_completion(answer, "m")
    assert (formatted["citations"], formatted["system_fingerprint"]) == (["a"], "fp")
    assert formatted["choices"][0]["logprobs"] == {"content": []}


@pytest.mark.parametrize("choices", [None, []])
def test_an_answer_without_choices_has_an_empty_list(choices):
    assert format_completion({"choices": choices}, "m")["choices"] == []


@pytest.mark.parametrize(("identifier", "kept"), [
    ("chatcmpl-1", True), ("gen-1", False), ("", False), (None, False), (7, False), (["chatcmpl-1"], False)])
@pytest.mark.parametrize("make", [
    lambda head: format_completion(head, "m"), lambda head: ChunkFormatter("m").format([{"choices": [], **head}])[0],
], ids=["whole", "chunk"])
def test_the_id_is_openais_kind(identifier, kept, make):
    formatted = make({"id": identifier})
    assert formatted["id"].startswith("chatcmpl-")
    assert (formatted["id"] == identifier) is kept


@pytest.mark.parametrize("created", [None, 0, -5, True, "yesterday", 1.5])
def test_a_time_that_is_none_becomes_now(created):
    before = int(time.time())
    formatted = format_completion({"created": created}, "m")
    assert before <= formatted["created"] <= time.time()


def test_all_chunks_of_a_stream_share_one_head():
    formatter = ChunkFormatter("my-name")
    odd = [{**chunk(content="a"), "id": "one", "created": None}, {**chunk(content="b"), "id": "chatcmpl-two"},
           {"choices": [], "usage": USAGE}]
    first, second, third = [formatted for part in odd for formatted in formatter.format([part])]
    assert first["id"] == second["id"] == third["id"] != "one"
    assert first["created"] == second["created"] == third["created"]
    assert {first["model"], third["model"]} == {"my-name"}
    assert first["object"] == third["object"] == "chat.completion.chunk"
    assert [part["choices"] for part in (first, second, third)] == [part["choices"] for part in odd]
    assert "usage" not in first and third["usage"] == USAGE


def test_a_chunk_holds_nothing_but_openais_fields():
    odd = {**chunk(content="a"), "x_vendor": 1, "service_tier": "auto", "usage": None}
    (formatted,) = ChunkFormatter("m").format([odd])
    assert set(formatted) == {"id", "object", "created", "model", "choices", "service_tier"}


def test_the_role_comes_first_and_alone():
    """As OpenAI sends it: with empty content; some clients take a first delta for nothing but the role."""
    first, second = ChunkFormatter("m").format([chunk(role="assistant", content="a")])
    assert first["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
    assert second["choices"] == [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]
    (alone,) = ChunkFormatter("m").format([chunk(role="assistant")])
    assert alone["choices"][0]["delta"] == {"role": "assistant"}


def test_chunks_of_one_read_leave_in_one_piece():
    data = ChunkFormatter("m").encode([chunk(content="a"), chunk(content="b")])
    assert data.count(b"data: ") == data.count(b"\n\n") == 2
    assert HEAD["id"].encode() in data
