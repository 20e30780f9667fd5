"""Calls whose JSON is not whole, and what the end of the answer and its reason make of them; arguments and their tool."""

import pytest

from app.emulation.events import Call
from app.emulation.harmony_text import HarmonyReader
from tests.emulation.reading import cuts, events_of, fold

DECLARED = {"edit": "edit"}
NEXT = "<|start|>assistant"
EDIT = "<|channel|>commentary to=functions.edit <|constrain|>json<|message|>"
OPEN = f'{EDIT}{{"a":"x'
FINAL = f"{NEXT}<|channel|>final<|message|>"
BROKEN = ("edit", '{"a":"x')
UNSOUND = {  # text, the upstream's reason -> content, calls, how it ended
    "told to be whole": (OPEN, "stop", "", [BROKEN], "tool_calls"),
    "cut by a limit": (OPEN, "length", "", [], "length"),
    "cut by nobody knows what": (OPEN, None, "", [], "length"),
    "an end": (f"{OPEN}<|call|>", "stop", "", [BROKEN], "tool_calls"),
    "an end, and no reason": (f"{OPEN}<|call|> \n", None, "", [BROKEN], "tool_calls"),
    "an end at a limit": (f"{OPEN}<|call|>", "length", "", [], "length"),
    "an end and an answer": (f"{OPEN}<|end|>{FINAL}ok<|return|>", "stop", "ok", [BROKEN], "tool_calls"),
    "an end and a call": (f"{OPEN}<|call|>\n{NEXT}{EDIT}{{}}<|call|>", "stop", "", [BROKEN, ("edit", "{}")], "tool_calls"),
    "an end and a broken call": (f"{OPEN}<|call|>{NEXT}{OPEN}<|call|>", "stop", "", [BROKEN, BROKEN], "tool_calls"),
    "a token, an end": (f"{OPEN} <|end|> y<|call|>", "stop", "", [("edit", '{"a":"x <|end|> y')], "tool_calls"),
    "a token": (f"{OPEN} <|end|> y", "stop", "", [("edit", '{"a":"x <|end|> y')], "tool_calls"),
    "half a token": (f"{OPEN}<|en", "stop", "", [("edit", '{"a":"x<|en')], "tool_calls"),
    "a sample that is cut": (f"{OPEN}<|end|>{FINAL}Hel", "length", "", [], "length"),
    "a sample that is lost": (f"{OPEN}<|end|>{FINAL}Hel", None, "", [], "length"),
    "an answer with quotes": (f'{OPEN}<|end|>{FINAL}"ok" {{}}', "stop", '"ok" {}', [BROKEN], "tool_calls"),
    "an open object": (f'{EDIT}{{"a":"x"<|call|>', "stop", "", [("edit", '{"a":"x"')], "tool_calls"),
    "an open object, a token": (f'{EDIT}{{"a":"<|end|>"<|call|>', "stop", "", [("edit", '{"a":"<|end|>"')], "tool_calls"),
    "no arguments": (EDIT, "stop", "", [("edit", "{}")], "tool_calls"),
    "no arguments at a limit": (EDIT, "length", "", [], "length"),
    "no header's end": (EDIT.removesuffix("<|message|>"), "stop", "", [], "length"),
    "no header's end, but arguments": ('<|channel|>commentary to=edit {"a":"x', "stop", "", [BROKEN], "tool_calls"),
    "no header's end after an answer": (f"{FINAL}ok<|end|>{NEXT}<|channel|>comm", "stop", "ok", [], "stop"),
    "no header's end after a call": (f"{EDIT}{{}}<|call|>{NEXT}", "stop", "", [("edit", "{}")], "tool_calls"),
    "no header's end after a preamble": (f"<|channel|>commentary<|message|>a<|end|>{NEXT} to=e", "stop", "a", [], "length"),
    "an answer without its marker": ("<|channel|>final It is so", "stop", "It is so", [], "stop"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSOUND)
def test_calls_that_are_not_whole(name):
    text, finish, content, calls, ended = UNSOUND[name]
    for pieces in cuts(text):
        reader = HarmonyReader(DECLARED)
        events = events_of(reader, pieces, finish)
        assert fold(events) == (content, "", calls, ended), pieces
        assert not [
            event for event in events if isinstance(event, Call) and not event.problem and event.arguments != "{}"
        ]


@pytest.mark.parametrize(
    ("end", "finish", "calls", "ended"),
    (
        ("<|call|>", "stop", [("edit", '{"code":"print(1)"}')], "tool_calls"),
        ("<|call|>", None, [("edit", '{"code":"print(1)"}')], "tool_calls"),
        ("", "stop", [("edit", '{"code":"print(1)"}')], "tool_calls"),
        ("", "length", [], "length"),
        ("", None, [], "length"),
    ),
)
def test_a_bare_text_is_a_call_where_it_is_whole(end, finish, calls, ended):
    parameters = {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}
    tools = [{"type": "function", "function": {"name": "edit", "parameters": parameters}}]
    for pieces in cuts(f"<|channel|>commentary to=functions.edit code<|message|>print(1){end}"):
        assert fold(events_of(HarmonyReader(DECLARED, tools=tools), pieces, finish)) == ("", "", calls, ended), pieces


def test_arguments_are_fitted_to_their_tool():
    parameters = {"type": "object", "properties": {"days": {"type": "integer"}}}
    tools = [{"type": "function", "function": {"name": "edit", "parameters": parameters}}]
    reader = HarmonyReader(DECLARED, tools=tools)
    (call, _) = events_of(reader, [f"{EDIT}{{'days': \"3\",}}<|call|>"], "stop")
    assert call[:4] == ("edit", '{"days":3}', None, ("JSON repaired", "types converted"))
