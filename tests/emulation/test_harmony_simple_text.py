"""The simplified dialect's answers in pieces: the vectors cut everywhere, spoiled calls, properties, cost."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.emulation.events import Call, End, Text
from app.emulation.harmony_guard import SIMPLE
from app.emulation.harmony_names import Names
from app.emulation.harmony_simple import conversation
from app.emulation.harmony_simple_text import SimpleReader
from tests.emulation.reading import VECTORS, Read, at, cuts, events_of, expected, read

PSEUDO = [vector for vector in VECTORS if vector["name"].startswith("pseudo_")]
DECLARED = {"get_weather": "get-weather", "edit": "edit"}
SCHEMA = {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}
TOOLS = [{"type": "function", "function": {"name": "get-weather", "parameters": SCHEMA}}]
SF = '{"location": "f(x)}"}'
SOUND = f"<|tool_call|>get_weather({SF})<|end_tool_call|>"
WEATHER = ("get-weather", json.loads(SF))


def values(found):
    """Arguments as values: the vectors do not agree about blanks."""
    calls = [(name, json.loads(arguments)) for name, arguments in found.calls]
    return found._replace(content=found.content.strip(), calls=calls)


@pytest.mark.parametrize("vector", PSEUDO, ids=lambda vector: vector["name"])
def test_vectors_cut_at_every_character(vector):
    declared = {name: name for name in vector["declared_tools"]}
    for pieces in cuts(vector["completion"]):
        assert values(read(SimpleReader(declared), pieces)) == values(expected(vector)), pieces
    assert len(PSEUDO) == 4


def calls(*found, content=""):
    return Read(content, "", list(found), "tool_calls" if found else "stop")


ANSWERS = {
    "sound": (SOUND, calls(WEATHER)),
    "two": (SOUND + "\n" + SOUND, calls(WEATHER, WEATHER)),
    "text around": (f"I look.\n\n{SOUND}\nDone.\n<|end|>", calls(WEATHER, content="I look.\n\n\nDone.")),
    "a hyphen": (f"<|tool_call|>get-weather({SF})<|end_tool_call|>", calls(WEATHER)),
    "a namespace": (f"<|tool_call|> functions.get_weather ({SF} ) <|end_tool_call|>", calls(WEATHER)),
    "no arguments": ("<|tool_call|>edit()<|end_tool_call|>", calls(("edit", {}))),
    "a name alone": ("<|tool_call|>edit<|end_tool_call|>", calls(("edit", {}))),
    "no end": (f"<|tool_call|>get_weather({SF})", calls(WEATHER)),
    "no bracket": (f"<|tool_call|>get_weather({SF}", calls(WEATHER)),
    "no brackets at all": (f"<|tool_call|>get_weather{SF}<|end_tool_call|>ok", calls(WEATHER, content="ok")),
    "no end and text": (f"<|tool_call|>get_weather({SF})\nDone", calls(WEATHER, content="Done")),
    "no end and another": (f"<|tool_call|>get_weather({SF})<|tool_call|>edit({{}})", calls(WEATHER, ("edit", {}))),
    "another end": (f"<|tool_call|>get_weather({SF})<|end|>", calls(WEATHER)),
    "keywords": ("<|tool_call|>edit(a=1, b='x')<|end_tool_call|>", calls(("edit", {"a": 1, "b": "x"}))),
    "loose JSON": (
        "<|tool_call|>edit({a: 'x', b: True,})<|end_tool_call|>ok", calls(("edit", {"a": "x", "b": True}), content="ok")
    ),
    "loose JSON and no end": ("<|tool_call|>edit({a: 1})\nDone", calls(("edit", {"a": 1}), content="Done")),
    "open object": ('<|tool_call|>edit({"a": "x")<|end_tool_call|>', calls(("edit", {"a": "x"}))),
    "quotes inside": (
        '<|tool_call|>edit({"a": "echo "hi""})<|end_tool_call|>ok', calls(("edit", {"a": 'echo "hi"'}), content="ok")
    ),
    "JSON of other dialects": (
        '<|tool_call|>{"name": "get_weather", "arguments": {"location": "SF"}}<|end_tool_call|>',
        calls(("get-weather", {"location": "SF"})),
    ),
    "marks in a string": (
        '<|tool_call|>edit({"a": "<|tool_call|>x<|end_tool_call|> <|end|>"})<|end_tool_call|>',
        calls(("edit", {"a": "<|tool_call|>x<|end_tool_call|> <|end|>"})),
    ),
    "a copied mark": (
        '<|tool_call|>edit({"a": "<\u200d|end_tool_call|>"})<|end_tool_call|>', calls(("edit", {"a": "<|end_tool_call|>"}))
    ),
    "a call in a string": (
        f"<|tool_call|>edit({json.dumps({'a': SOUND})})<|end_tool_call|>ok", calls(("edit", {"a": SOUND}), content="ok")
    ),
    "a call in a string, and no end": (f"<|tool_call|>edit({json.dumps({'a': SOUND})}", calls(("edit", {"a": SOUND}))),
    "a mark behind a backslash": (
        '<|tool_call|>edit({"a": "\\<|end_tool_call|>", "b": 1})<|end_tool_call|>ok',
        calls(("edit", {"a": "\\<|end_tool_call|>", "b": 1}), content="ok"),
    ),
    "marks in JSON that is repaired": (
        '<|tool_call|>edit({a: "f(x)<|end_tool_call|>",})<|end_tool_call|>ok',
        calls(("edit", {"a": "f(x)<|end_tool_call|>"}), content="ok"),
    ),
    "undeclared": ('a <|tool_call|>rm({"x": 1})<|end_tool_call|> b', calls(content='a rm({"x": 1}) b')),
    "loose JSON of other dialects": (
        "<|tool_call|>{name: 'edit', arguments: {a: 1}}<|end_tool_call|>", calls(("edit", {"a": 1}))
    ),
    "an object that is no call": ('<|tool_call|>{"a": "x<|end|>y"}<|end_tool_call|>', calls(content='{"a": "x y"}')),
    "half an object that is no call": ("<|tool_call|>{<|end|>", calls(content="{")),
    "undeclared, as JSON": ('<|tool_call|>{"name": "rm"}<|end_tool_call|>', calls(content='{"name": "rm"}')),
    "no call": (f"<|tool_call|>{'word ' * 60}(", calls(content=f"{'word ' * 60}(")),
    "roles": ("<|assistant|>\nHi\n<|end|>\n\n<|assistant|>there", calls(content="Hi\n\n\nthere")),
    "an invented question": ("Hi\n<|end|>\n<|user|>\nfoo\n<|end|>\n<|assistant|>bar", calls(content="Hi")),
    "an invented result": (f"{SOUND}\n<|tool_result|>\nResult: 5", calls(WEATHER)),
    "another's role first": ("<|user|>\nHi", calls(content="Hi")),
    "signs": ("a < b <|x|> <| end |>", calls(content="a < b <|x|> <| end |>")),
    "blanks": ("\n  a\n\n b \n<|end|>", calls(content="  a\n\n b")),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_cut_at_every_character(name):
    text, wanted = ANSWERS[name]
    for pieces in cuts(text):
        found = read(SimpleReader(DECLARED), pieces)
        assert found._replace(calls=values(found).calls) == wanted, pieces


PROBLEMS = {
    "never JSON": ("<|tool_call|>edit(do it)<|end_tool_call|>ok", "do it"),
    "a string without end": ('<|tool_call|>edit({"a": "x})<|end_tool_call|>ok', '{"a": "x})'),
    "a string that took the mark": ('<|tool_call|>edit({"a": "x<|end_tool_call|>ok', '{"a": "x'),
    "two calls in one": (
        '<|tool_call|>edit({"a": "x<|end_tool_call|> <|tool_call|>edit({"b": "y"})<|end_tool_call|>ok',
        '{"a": "x<|end_tool_call|> <|tool_call|>edit({"b": "y"})',
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_arguments_that_cannot_be_read_are_a_problem_and_stay_as_they_are(name):
    text, arguments = PROBLEMS[name]
    for pieces in cuts(text):
        call, said, end = events_of(SimpleReader(DECLARED), pieces, "stop")
        assert (call.name, call.arguments, said, end) == ("edit", arguments, Text("ok"), End("tool_calls"))
        assert call.problem.startswith("the arguments are not JSON")


@pytest.mark.parametrize("name", sorted(PROBLEMS.keys() - {"never JSON"}))
@pytest.mark.parametrize("finish", (None, "length"))
def test_in_an_answer_that_was_cut_a_string_without_end_was_cut(name, finish):
    """A connection that is lost within a file about this dialect must not show the rest of the file."""
    for pieces in cuts(PROBLEMS[name][0]):
        assert read(SimpleReader(DECLARED), pieces, finish) == ("", "", [], "length")


def test_an_end_that_comes_last_is_one_even_if_nobody_says_so():
    for pieces in cuts('<|tool_call|>edit({"a": "x<|end_tool_call|>\n'):
        assert read(SimpleReader(DECLARED), pieces) == ("", "", [("edit", '{"a": "x')], "tool_calls")


def test_repairs_are_told():
    (loose, *_) = events_of(SimpleReader(DECLARED), ["<|tool_call|>edit({a: 1)<|end_tool_call|>"])
    assert loose == Call("edit", '{"a":1}', None, ("JSON repaired", "closed"), "<|tool_call|>edit({a: 1)")
    reader = SimpleReader(DECLARED, tools=TOOLS)
    (wrapped, *_) = events_of(reader, ['<|tool_call|>get_weather("SF")<|end_tool_call|>'])
    assert wrapped[:4] == ("get-weather", '{"location":"SF"}', None, ("bare value wrapped",))
    (missing, *_) = events_of(SimpleReader(DECLARED, tools=TOOLS), ["<|tool_call|>get_weather({})<|end_tool_call|>"])
    assert missing.problem == "missing: location"


@pytest.mark.parametrize(
    ("text", "finish", "ended", "count"),
    (
        ("", None, "stop", 0),
        ("Hi", "length", "length", 0),
        ("Hi <|en", None, "length", 0),
        ("Hi <|en", "stop", "stop", 0),
        ("<|tool_call|>ed", "stop", "length", 0),
        ("<|tool_call|>edit(", None, "length", 0),
        ('<|tool_call|>edit({"a": "x', "stop", "tool_calls", 1),
        ('<|tool_call|>edit({"a": "x', "length", "length", 0),
        ('<|tool_call|>edit({"a": "x', None, "length", 0),
        ('<|tool_call|>edit({"a": "x<|en', "stop", "tool_calls", 1),
        ('<|tool_call|>edit({"a": 1', "stop", "tool_calls", 1),
        ("<|tool_call|>edit(a=1", "stop", "tool_calls", 1),
        ('<|tool_call|>{"name": "edit", "arguments": {"a": "x', "stop", "tool_calls", 1),
        ("<|tool_call|>edit(", "stop", "length", 0),
        (f"{SOUND}<|tool_call|>ed", "stop", "tool_calls", 1),
        ('<|tool_call|>edit({"a": 1', None, "length", 0),
        ('<|tool_call|>edit({"a": "x"', None, "length", 0),
        ('<|tool_call|>edit({"a": "x"', "stop", "tool_calls", 1),  # the model thought that it was done
        ("<|tool_call|>edit(a=1", None, "length", 0),
        (SOUND, "length", "tool_calls", 1),
        (f"{SOUND} and", "length", "length", 1),
        (f'{SOUND}<|tool_call|>edit({{"a": "x', "stop", "tool_calls", 2),
        (f'{SOUND}<|tool_call|>edit({{"a": "x', "length", "length", 1),
    ),
)
def test_how_a_turn_ends(text, finish, ended, count):
    for pieces in cuts(text):
        reader = SimpleReader(DECLARED)
        events = events_of(reader, pieces, finish)
        assert events[-1] == End(ended)
        assert len([event for event in events if isinstance(event, Call)]) == count
        assert reader.feed("more") == []
        assert bool(reader.dropped) is ("<|tool_call|>ed" in text and (ended == "length" or text.endswith("ed")))


def test_text_leaves_at_once_and_a_call_as_soon_as_its_object_ends():
    reader = SimpleReader(DECLARED)
    assert reader.feed("I ") == [Text("I")]
    assert reader.feed("look <") == [Text(" look")]
    assert reader.feed("b>.\n") == [Text(" <b>.")]
    assert reader.feed('<|tool_call|>edit({"a":') == []
    assert reader.feed("1}") == [Call("edit", '{"a":1}', raw='<|tool_call|>edit({"a":1}')]
    assert reader.feed(")<|end_tool_call|>\nYes") == [Text("\n\nYes")]
    assert reader.feed(" sir") == [Text(" sir")]


# --- properties -------------------------------------------------------------------------------------------------------

TOKEN = re.compile(rf"<\|(?:{'|'.join(SIMPLE)}|start|end|message|channel)\|>")
FRAGMENTS = st.sampled_from(
    [*(f"<|{name}|>" for name in (*SIMPLE, "end", "start")), SOUND, SF, "edit(", "rm(", "x=1", "hello", "<|us", "er|>", "<|x|>"]
    + ["<", "<|", " ", "\n", "{", "}", ")", '"', "'", "\\", ",", ":", "한", "\ud800"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.lists(FRAGMENTS, max_size=14).map("".join), st.lists(st.integers(0, 200), max_size=6),
    st.sampled_from([None, "stop", "length"]),
)  # fmt: skip
def test_any_cut_of_any_text_says_the_same_and_no_mark_is_text(text, places, finish):
    whole = SimpleReader(DECLARED)
    events = events_of(whole, [text], finish)
    for pieces in (at(text, places), list(text)):
        reader = SimpleReader(DECLARED)
        assert events_of(reader, pieces, finish) == events
        assert (reader.dropped, reader.repairs) == (whole.dropped, whole.repairs)
    for event in events:
        assert not isinstance(event, Text) or not TOKEN.search(event.text)
        if isinstance(event, Call):
            assert event.name in DECLARED.values()
            assert event.problem or isinstance(json.loads(event.arguments), dict)


WORDS = st.text(st.characters(exclude_characters="<", exclude_categories=["Cs"]), min_size=1, max_size=20).map(
    str.strip
)
VALUES = st.dictionaries(
    st.text(max_size=8), st.text(max_size=12) | st.integers() | st.sampled_from(["<|end|>", "f(x)}", SOUND])
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["read-file", "a.b", "edit"]), VALUES.map(json.dumps)), min_size=1, max_size=3),
    WORDS.filter(bool), st.lists(st.integers(0, 300), max_size=4),
)  # fmt: skip
def test_what_is_rendered_is_read_again(called, said, places):
    names = Names(["read-file", "a.b", "edit"])
    made = [{"type": "function", "id": "x", "function": {"name": name, "arguments": given}} for name, given in called]
    body = {"messages": [{"role": "assistant", "content": said, "tool_calls": made}]}
    text = "".join(conversation(body, names)).removeprefix("<|assistant|>")
    assert read(SimpleReader(names.back), at(text, places), "stop") == (said, "", called, "tool_calls")


# --- cost -------------------------------------------------------------------------------------------------------------

CALL = '<|tool_call|>edit({"a": "'
UNITS = (
    "word ", "<", "<|tool_call|>edit(", '<|tool_call|>edit({"', "<|end_tool_call|>", "{", " ", "<|us<|end|>",
    ")<|end_tool_call|>", '<|tool_call|>edit({"a": "x)<|end_tool_call|>',
)  # fmt: skip


@pytest.mark.parametrize("before", ("", CALL, "<|tool_call|>edit(x"))
@pytest.mark.parametrize("unit", UNITS)
def test_long_answers_are_read_alike_in_pieces_and_in_one(before, unit):
    """A reader that looked at its text again and again would not come back within the limit of a test; see bench/."""
    text = before + unit * (500_000 // len(unit))
    pieces = [text[start : start + 64] for start in range(0, len(text), 64)]
    finish = "stop" if before else None
    assert read(SimpleReader(DECLARED), [text], finish) == read(SimpleReader(DECLARED), pieces, finish)
