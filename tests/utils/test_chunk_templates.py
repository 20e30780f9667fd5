"""What is read by a template is what a parser reads, whatever stands around it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.utils.chunk_templates import MOST, ChunkTemplates

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def chunk(text, field="content", index=0, separators=(",", ":"), **rest):
    delta = {"index": index, "delta": {field: text}, "finish_reason": None}
    return json.dumps({**HEAD, "choices": [delta], **rest}, ensure_ascii=False, separators=separators)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize(("field", "index"), [("content", 0), ("content", 3), ("reasoning_content", 0)])
def test_the_second_chunk_of_a_kind_is_known(field, index, separators):
    templates = ChunkTemplates()
    first, second = chunk("Hel", field, index, separators), chunk(" 안녕!", field, index, separators)
    assert templates.read(first) is None
    templates.learn(first)
    assert templates.read(second) == ((index, "delta", field), " 안녕!")


OTHERS = (
    chunk('a "quoted" word'),
    chunk("line\n"),
    chunk("\x7f"),
    chunk("x", usage={"total_tokens": 1}),
    chunk("x", index=1),
    chunk("x").replace('"m"', '"n"'),
    chunk("x")[:-1],
    chunk("x") + "}",
    chunk("x\ud83d"),
    chunk("x").replace('"x"', '"x\t"'),
    json.dumps(HEAD | {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": '{"content":"x"}'}}]}}]}),
    '{"content":"x"}',
    '"content":"',
    "[DONE]",
    "",
)


@pytest.mark.parametrize("payload", OTHERS)
def test_what_differs_in_more_than_the_word_is_left_to_a_parser(payload):
    templates = ChunkTemplates()
    templates.learn(chunk("Hel"))
    assert templates.read(payload) is None


@pytest.mark.parametrize("payload", OTHERS)
def test_what_is_learned_leads_to_the_text_of_the_only_choice(payload):
    templates = ChunkTemplates()
    templates.learn(payload)
    found = templates.read(payload)
    assert found is None or json.loads(payload)["choices"][0]["delta"]["content"] == found[1]


def test_two_choices_in_one_chunk_are_left_to_a_parser():
    templates = ChunkTemplates()
    two = json.dumps({"choices": [{"index": n, "delta": {"content": "x"}} for n in (0, 1)]}, separators=(",", ":"))
    templates.learn(two)
    assert templates.read(two) is None


def test_of_a_stream_whose_chunks_all_differ_few_are_remembered():
    templates = ChunkTemplates()
    for number in range(MOST + 5):
        templates.learn(chunk("x", number=number))
    assert templates.read(chunk("y", number=MOST - 1)) is not None
    assert templates.read(chunk("y", number=MOST + 1)) is None


WORDS = st.text(st.sampled_from('ab"\\ \n{}:,é\ue000\ue001\x00\ud800') | st.characters(), max_size=12)


@given(st.lists(st.tuples(WORDS, st.integers(0, 1), st.booleans()), min_size=1, max_size=12), WORDS)
def test_a_parser_reads_the_same(said, model):
    """Each payload that a template knows says, parsed, just that text at just that path."""
    templates = ChunkTemplates()
    for text, index, ascii_only in said:
        value = {"model": model, "choices": [{"index": index, "delta": {"content": text}}]}
        payload = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))
        found = templates.read(payload)
        if found is not None:
            assert found == ((index, "delta", "content"), text)
            assert json.loads(payload)["model"] == model
        else:
            templates.learn(payload)
