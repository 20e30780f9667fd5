"""A fence around JSON that was asked for: cut at every character, and texts that are to stay as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.emulation.events import Text
from app.emulation.json_fence import FenceReader, TextReader
from app.emulation.tool_call_xml import ToolCallReader

OBJECT = '{"a": "```\\n} \\" ]", "b": [{}]}'
FENCED = {
    f"```json\n{OBJECT}\n```": OBJECT,
    f"```\n{OBJECT}\n```\n\nThis is the answer.": OBJECT,
    f"\n\n```JSON {OBJECT}```": OBJECT,
    "```json\n[1, 2]\n```": "[1, 2]",
    '```json\n{"a": 1': '{"a": 1',
}
CODE, LATER = "```python\nprint(1)\n```", "Here:\n```json\n{}\n```"
LEFT = (OBJECT, "", "  ", "``", "```", "```json\n", CODE, LATER, "no JSON", "```json\nx{}```")


def said(pieces):
    reader = FenceReader(TextReader())
    events = [event for piece in pieces for event in reader.feed(piece)] + reader.end()
    assert all(isinstance(event, Text) for event in events)
    return "".join(event.text for event in events), reader.unfenced


@pytest.mark.parametrize("text", FENCED)
def test_the_fence_is_left_out(text):
    expected = said([text])
    assert expected == (FENCED[text], True)
    assert said(list(text)) == expected
    assert all(said([text[:cut], text[cut:]]) == expected for cut in range(len(text)))


@pytest.mark.parametrize("text", LEFT)
def test_what_is_no_fenced_json_stays(text):
    assert said([text]) == said(list(text)) == (text, False)


@given(st.lists(st.sampled_from(["```", "json", "\n", " ", "{", "}", '"', "\\", "x", "["]), max_size=12), st.integers(0, 40))
def test_any_cut_says_the_same(parts, cut):
    text = "".join(parts)
    assert said([text]) == said(list(text)) == said([text[:cut], text[cut:]])


def test_calls_are_still_read():
    tools = [{"type": "function", "function": {"name": "now", "parameters": {}}}]
    reader = FenceReader(ToolCallReader(tools))
    events = [*reader.feed('```json\n{"name": "now", "arguments": {}}\n```'), *reader.end()]
    assert [event.name for event in events] == ["now"] and reader.undeclared == []
