"""What chunks show: usage, numbers, ids, pieces, finish reasons, hidden tokens."""

import pytest

from app import probe_reading as reading
from tests.scenarios.builder import Odd, build_chunks, build_completion

CALLS = [("read", {"path": "a"}), ("read", {"path": "b"})]


def chunks(**odd):
    return build_chunks("", CALLS, Odd(**odd))


USAGE = [("own", "own chunk"), ("every", "every chunk"), ("ride", "last content chunk"), ("never", "none"),
         ("no_choices", "own chunk without choices"), ("null", "none")]


@pytest.mark.parametrize(("place", "said"), USAGE)
def test_where_usage_stands(place, said):
    assert reading.usage_place(build_chunks("Hello", (), Odd(usage_at=place))) == said


@pytest.mark.parametrize(("index", "said"), [("good", "good"), ("zero", "all 0"), ("missing", "missing")])
@pytest.mark.parametrize("packing", ["split", "per_call", "one_chunk"])
def test_how_calls_are_numbered(index, said, packing):
    if index != "good" and packing == "split":
        packing = "per_call"
    assert reading.index_habit(chunks(index=index, packing=packing)) == said


IDS = [("good", "good"), ("empty", "empty"), ("missing", "missing"), ("null", "missing")]


@pytest.mark.parametrize(("ids", "said"), IDS)
def test_what_ids_are(ids, said):
    assert reading.id_habit(chunks(ids=ids, packing="per_call")) == said


def test_one_id_for_two_calls():
    assert reading.id_habit(chunks(ids="same", packing="per_call")) == "repeated"


def test_a_name_that_repeats_begins_no_call():
    found = chunks(repeat="id name")
    assert len(reading.call_starts(found)) == 2 and reading.cut_habit(found) == "in pieces"


def test_whole_calls_and_pieces():
    assert reading.cut_habit(chunks(packing="per_call")) == "whole calls"
    assert reading.cut_habit(chunks()) == "in pieces"


def test_hidden_tokens():
    usage = {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1320}
    assert reading.hidden_tokens([build_completion("Hi", (), Odd(usage=usage))]) == 300
    assert reading.hidden_tokens([build_completion("Hi")]) == 0
    assert reading.hidden_tokens([build_completion("Hi", (), Odd(usage_at="never"))]) is None


REASONING = [("reasoning_content", "reasoning_content"), ("reasoning", "reasoning"), ("thought", "<thought>")]


@pytest.mark.parametrize(("way", "said"), REASONING)
def test_where_reasoning_stands(way, said):
    odd = Odd(reasoning="I think", reasoning_as=way)
    assert reading.reasoning_field(build_chunks("Hi", (), odd)) == said
    assert reading.reasoning_field([build_completion("Hi", (), odd)]) == said
    assert reading.reasoning_field(build_chunks("Hi")) is None


def test_a_whole_answer_in_place_of_a_stream():
    assert reading.is_whole([build_completion("Hi")]) and not reading.is_whole(build_chunks("Hi"))


def test_text_and_finish_of_streams_and_answers():
    assert reading.text_of(build_chunks("Hello")) == reading.text_of([build_completion("Hello")]) == "Hello"
    assert reading.finish_reasons(build_chunks("Hi", (), Odd(finish_at="every"))) == ["stop", "stop"]


@pytest.mark.parametrize("odd", [None, [], {}, 7, {"choices": None}, {"choices": [None, {}]}, {"usage": 3}, {"error": "x"}])
def test_what_is_no_chunk_shows_nothing(odd):
    assert reading.text_of([odd]) == "" and reading.call_starts([odd]) == [] and reading.finish_reasons([odd]) == []
    assert reading.usage_place([odd]) == "none" and reading.hidden_tokens([odd]) is None
    assert not reading.is_whole([odd]) and reading.reasoning_field([odd]) is None
