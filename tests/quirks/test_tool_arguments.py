"""Arguments of calls: what is whole, what is repaired without a guess, what is broken."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.quirks.tool_arguments import ObjectEnd, encode, read_arguments

REPAIRED = {
    '{"a":1}': ('{"a":1}',),
    ' {"a": 1} ': (' {"a": 1} ',),
    "": ("{}",),
    "  \n": ("{}",),
    "null": ("{}",),
    '"{\\"a\\":1}"': ('{"a":1}',),
    "[1]": ("[1]",),
    '{"a":"x\ny"}': ('{"a":"x\\ny"}',),
    '{"a":1}}': ('{"a":1}',),
    '{"a":1}</tool_call>': ('{"a":1}',),
    '{"a":1}<|im_end|>': ('{"a":1}',),
    '```json\n{"a":1}\n```': ('{"a":1}',),
    '{"a":1}{"a":2}': ('{"a":1}', '{"a":2}'),
    '{"a":1}\n{"a":2}': ('{"a":1}', '{"a":2}'),
    '{"a":1}{"a":1}': ('{"a":1}',),
    '{}{"a":1}': ('{"a":1}',),
    "{}{}": ("{}",),
}

BROKEN = ('{"a":1', '{"a":"x', "{", "{'a': 1}", "read the file", '{"a":1}{"b":', '{"path":"a.txt","content":"half')


@pytest.mark.parametrize(("text", "expected"), REPAIRED.items())
def test_repairs_that_need_no_guess(text: str, expected: tuple[str, ...]) -> None:
    found = read_arguments(text)
    assert found == (expected, None)
    assert all(read_arguments(repaired).texts == (repaired,) for repaired in found.texts)


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_cut_or_no_json_is_broken(text: str) -> None:
    found = read_arguments(text)
    assert found.texts == ()
    assert found.broken


def test_lone_surrogates_become_replacement_characters() -> None:
    assert encode({"a": "x\ud83d"}) == '{"a":"x\ufffd"}'
    assert encode({"n": 2**70}) == '{"n":1180591620717411303424}'


objects = st.dictionaries(st.text(max_size=5), st.text(max_size=8) | st.lists(st.integers(), max_size=2), max_size=3)


@given(objects, st.lists(st.integers(0, 60), max_size=5))
def test_the_end_of_an_object_is_found_wherever_it_is_cut(value: dict, cuts: list[int]) -> None:
    text = json.dumps(value)
    places = sorted({min(cut, len(text) - 1) for cut in cuts} - {0})
    end = ObjectEnd()
    for low, high in zip([0, *places], [*places, len(text)], strict=True):
        assert not end.complete
        end.feed(text[low:high])
    assert end.complete


@given(st.text(max_size=40))
def test_any_text_ends_as_json_or_is_called_broken(text: str) -> None:
    found = read_arguments(text)
    assert found.broken or found.texts
    for repaired in found.texts:
        json.loads(repaired)
