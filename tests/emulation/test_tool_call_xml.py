"""Calls in an answer's text: every form, cut at every character."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.emulation.declared_tools import CUT_OFF
from app.emulation.events import Call, Text
from app.emulation.special_tokens import TOKENS
from app.emulation.tool_call_xml import ToolCallReader
from app.emulation.tool_prompt import call_text
from tests.emulation.tools import TOOLS, joined, pieces_of, read_pieces

FIXTURES = Path(__file__).parents[1] / "fixtures" / "chatjimmy"
RECORDED = [case["text"] for case in json.loads((FIXTURES / "tool_call_parse_cases.json").read_text("utf-8"))]


def bash(command: str, raw: str | None = None, *notes: str, problem: str | None = None) -> Call:
    arguments = json.dumps({"command": command}, ensure_ascii=False, separators=(",", ":"))
    return Call("bash", arguments, problem, notes, raw if raw is not None else f'{{"name":"bash","arguments":{arguments}}}')


def block(command: str) -> str:
    return f"<tool_call>{bash(command).raw}</tool_call>"


LS, LIST = bash("ls"), block("ls")
LIST_RAW = bash("ls").raw

# In the order of the recorded cases; the last one says with brackets that the tag may be missing.
EXPECTED = (
    [LS],
    [bash("echo hi >> f", '{"name":"bash","input":"echo hi >> f"}', "bare value wrapped")],
    [Text("text before"), bash("echo '</tool_call>'")],
    [bash("ls", LIST_RAW[:-1], "closed")],
    [bash("ls", "{'name': 'bash', 'arguments': {'command': 'ls',}}", "JSON repaired")],
    [bash("find . -name '{}'")],
    [bash("a"), bash("b")],
    [bash("ls", RECORDED[7][11:-12])],
    [LS],
    [bash("ls", '<function=bash>{"command":"ls"}')],
    [Text('{"name":"not_a_tool","arguments":{}}')],
    [LS],
    [bash("a"), bash("a")],
    [Text(RECORDED[13])],
    [Text(RECORDED[14])],
)


@pytest.mark.parametrize(("text", "expected"), list(zip(RECORDED, EXPECTED, strict=True)), ids=range(len(RECORDED)))
def test_the_recorded_answers_cut_at_every_character(text, expected):
    assert read_pieces([text]) == expected
    assert read_pieces(list(text)) == expected
    for cut in range(1, len(text)):
        assert read_pieces([text[:cut], text[cut:]]) == expected


KEYWORDS = 'bash.call(command="ls")'


def half(raw):
    """A call that ends before its name does."""
    return Call("", "{}", CUT_OFF, (), raw)


PARAMETERS = "<function=read>\n<parameter=filePath>\na.txt\n</parameter>\n<parameter=limit>\n5\n</parameter>"
CUT = '{"name":"bash","arguments":{"command":"cat > a <<E\\nhalf a'
TEMPLATE = '{"name": "bash", "arguments": {"command": `a \\`b\\`\n}`}}'
RESULT = '<tool_result>{"content":"x"}</tool_result>'

ANSWERS = {
    "plain text": ("Hello, world.", [Text("Hello, world.")]),
    "text with marks": ("a < b, x <tool, `c`, {1}, </tool_call>", [Text("a < b, x <tool, `c`, {1}, </tool_call>")]),
    "blanks at the end": ("a\n\n", [Text("a\n\n")]),
    "python tag": (f"<|python_tag|>{KEYWORDS}", [bash("ls", f"<|python_tag|>{KEYWORDS}", "JSON repaired")]),
    "no python tag": (KEYWORDS, [bash("ls", KEYWORDS, "JSON repaired")]),
    "python tag, JSON": (f"<|python_tag|>{LIST_RAW}<|eom_id|>", [LS]),
    "python code": ("<|python_tag|>print(1)", [Text("<|python_tag|>print(1)")]),
    "text around": (f"I look. \n\n{LIST}\n\nDone.", [Text("I look."), LS, Text(" \n\nDone.")]),
    "text behind": (f"\n{LIST}\n\nDone.\n", [LS, Text("Done.\n")]),
    "token": (f"<|start_header_id|>assistant<|end_header_id|>\n\n{LIST}<|eot_id|>", [LS]),
    "tokens in text": ("a<|eot_id|> b <|pipe|> c<|eot_", [Text("a b <|pipe|> c<|eot_")]),
    "token in a string": (f"{block('echo <|eot_id|>')}", [bash("echo <|eot_id|>")]),
    "an invented result": (f"{LIST}\n{RESULT}\nIt says x.{LIST}", [LS]),
    "an invented response": (f"{LIST} So: <tool_response>x", [LS, Text("So:")]),
    "results without a call": (RESULT, [Text(RESULT)]),
    "thoughts": (f"<think>{LIST}</think>\n\n{LIST}", [Text(f"<think>{LIST}</think>"), LS]),
    "thoughts, then bare JSON": (f"\n<think>a</think>\n{LIST_RAW}", [Text("\n<think>a</think>"), LS]),
    "thoughts without end": (f"<think>{LIST}", [Text(f"<think>{LIST}")]),
    "thoughts later": (f"a <think>{LIST}</think>", [Text("a <think>"), LS, Text("</think>")]),
    "a missing brace": (f"<tool_call>{LIST_RAW[:-1]}</tool_call> x", [bash("ls", LIST_RAW[:-1], "closed"), Text("x")]),
    "a brace too many": (f"<tool_call>{LIST_RAW}}}</tool_call> x", [LS, Text("x")]),
    "no closing tag": (f"<tool_call>{LIST_RAW}\n<tool_call>{LIST_RAW}\nDone.", [LS, LS, Text("Done.")]),
    "two in a tag": (f"<tool_call>{LIST_RAW}\n{LIST_RAW}</tool_call>", [LS, LS]),
    "calls in calls": (f"<tool_calls>\n{LIST}\n{LIST}\n</tool_calls>", [LS, LS]),
    "a fence around": (f"Now:\n```xml\n{LIST}\n```\nDone", [Text("Now:"), LS, Text("\nDone")]),
    "a fence around calls": (f"```\n{LIST}\n\n{LIST}\n```\nDone", [LS, LS, Text("Done")]),
    "a fence that text ends": (f"```\n{LIST}\nand {LIST}```", [LS, Text("and"), LS, Text(" ```")]),
    "a name, an object in brackets": ('<tool_call>bash({"command": "ls"})</tool_call> x',
                                      [bash("ls", '<tool_call>bash({"command": "ls"})', "JSON repaired"), Text("x")]),
    "a fence inside": (f"<tool_call>\n```json\n{LIST_RAW}\n```\n</tool_call>", [LS]),
    "a fence of code": ("```xml\n<tool>\n```", [Text("```xml\n<tool>\n```")]),
    "a word for a tag": ("Write <tool_call> to call.", [Text("Write <tool_call> to call.")]),
    "a word, then a call": (f"Write <tool_call> {LIST}", [Text("Write"), LS]),
    "an undeclared function": ("<function=sh>{}</function>", [Text("<function=sh>{}</function>")]),
    "an undeclared call among others": (f"<tool_call>[{{\"name\":\"sh\",\"arguments\":{{}}}},{LIST_RAW}]</tool_call>",
                                        [Text('{"name":"sh","arguments":{}}'), LS]),
    "no name": ('<tool_call>{"a":1}</tool_call>', [Text('<tool_call>{"a":1}</tool_call>')]),
    "a cut string": (f"a <tool_call>{CUT}", [Text("a"), bash("cat > a <<E\nhalf a", CUT, problem=CUT_OFF)]),
    "a cut bare call": (CUT, [bash("cat > a <<E\nhalf a", CUT, problem=CUT_OFF)]),
    "a cut opening tag": (f"{LIST}<tool_ca", [LS, half("<tool_ca")]),
    "an opening tag alone": ("a\n<tool_call>\n", [Text("a"), half("<tool_call>\n")]),
    "a cut key": ('a <tool_call>{"na', [Text("a"), half('<tool_call>{"na')]),
    "a cut name": ('<tool_call>{"name": "ba', [half('{"name": "ba')]),
    "a cut name of nobody's": ('<tool_call>{"name": "xy', [Text('{"name": "xy')]),
    "a cut function": ("<function=wri", [half("<function=wri")]),
    "a cut name without JSON": ("<tool_call>\nba", [half("<tool_call>\nba")]),
    "the beginning of anything": ("a <to", [Text("a <to")]),
    "a cut closing tag": (f"{LIST[:-6]}", [LS]),
    "a string that swallows": (f'<tool_call>{{"name":"bash","arguments":{{"command":"a}}}}</tool_call>\n{LIST}',
                               [bash("a}}", '{"name":"bash","arguments":{"command":"a}}', problem=CUT_OFF), LS]),
    "JavaScript's text": (f"<tool_call>{TEMPLATE}</tool_call> x", [bash("a `b`\n}", TEMPLATE, "JSON repaired"), Text("x")]),
    "a fence for a brace": (f"<tool_call>\n```json\n{LIST_RAW[:-1]}\n```\n</tool_call>",
                            [bash("ls", f"{LIST_RAW[:-1]}\n```\n", "closed")]),
    "bare calls": (f"{LIST_RAW};\n{LIST_RAW}\n", [LS, LS]),
    "a bare list": (f"[{LIST_RAW}, {LIST_RAW}]", [LS, LS]),
    "a bare call, closed": (f"{LIST_RAW}</tool_call>", [LS]),
    "a bare call, a result": (f"{LIST_RAW}\n{RESULT}", [LS]),
    "a bare call, a call": (f"{LIST_RAW}\n{LIST}", [LS, LS]),
    "a bare call, a text": (f"{LIST_RAW}\nThis lists.", [Text(f"{LIST_RAW}\nThis lists.")]),
    "a text, a bare call": (f"I run:\n{LIST_RAW}", [Text(f"I run:\n{LIST_RAW}")]),
    "a bare call without arguments": ('{"name": "bash"}', [Text('{"name": "bash"}')]),
    "bare JSON": ('{"title": "<tool_call>"}', [Text('{"title": "<tool_call>"}')]),
    "a fenced call, a text": (f"```json\n{LIST_RAW}\n```\nThere.", [Text(f"```json\n{LIST_RAW}\n```\nThere.")]),
    "parameters": (f"<tool_call>\n{PARAMETERS}\n</function>\n</tool_call>",
                   [Call("read", '{"filePath":"a.txt","limit":5}', None, ("types converted",), f"<tool_call>\n{PARAMETERS}")]),
    "cut parameters": ("<function=write><parameter=filePath>a</parameter><parameter=content>half",
                       [Call("write", '{"filePath":"a","content":"half"}', CUT_OFF, (),
                             "<function=write><parameter=filePath>a</parameter><parameter=content>half")]),
    "missing arguments": ('<tool_call>{"name":"write","arguments":{}}</tool_call>',
                          [Call("write", "{}", "missing: filePath, content", (), '{"name":"write","arguments":{}}')]),
    "another spelling": ('<tool_call>{"name":"default_api.BASH","arguments":{"command":"ls"}}</tool_call>',
                         [bash("ls", '{"name":"default_api.BASH","arguments":{"command":"ls"}}', "name corrected")]),
    "nested too deep": (f"<tool_call>{'[' * 300}", [Text(f"<tool_call>{'[' * 300}")]),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_cut_at_every_character(name):
    text, expected = ANSWERS[name]
    assert read_pieces([text]) == expected
    assert read_pieces(list(text)) == expected
    for cut in range(1, len(text)):
        assert read_pieces([text[:cut], text[cut:]]) == expected


def test_a_call_leaves_when_it_is_complete():
    reader = ToolCallReader(TOOLS)
    assert reader.feed("Now. ") == [Text("Now.")]
    assert reader.feed(LIST[:-13]) == []
    assert reader.feed(LIST[-13]) == [LS]
    assert reader.feed(LIST[-12:]) == [] and reader.end() == []


@pytest.mark.parametrize(
    ("pieces", "leaves"),
    (
        (["```python", "\nx", " = 1"], ["```python", "\nx", " = 1"]),
        (['{"t', 'itle": "x'], ["", '{"title": "x']),
        (["Hel", "lo <", "b", "> `x` ", "y"], ["Hel", "lo", " <b", "> `x`", " y"]),
        (["[1, ", "2]"], ["[1,", " 2]"]),
        (["Re", "ad it"], ["", "Read it"]),
    ),
)
def test_text_goes_out_at_once(pieces, leaves):
    reader = ToolCallReader(TOOLS)
    assert ["".join(event.text for event in reader.feed(piece)) for piece in pieces] == leaves


def test_swallowed_closing_tags_are_found_a_few_times_and_never_make_a_call_of_two():
    broken = '<tool_call>{"name":"bash","arguments":{"command":"a}}</tool_call>\n'
    for count in (1, 3, 8, 20):
        events = read_pieces([broken * count + LIST])
        commands = [json.loads(event.arguments)["command"] for event in events if isinstance(event, Call)]
        assert set(commands) <= {"a}}", "ls"} and len(commands) >= min(count, 8)


def test_only_the_first_call_where_calls_are_single():
    assert read_pieces([f"a {LIST}\n{block('b')} c"], single=True) == [Text("a"), LS]
    assert read_pieces([f"<tool_call>[{LIST_RAW},{LIST_RAW}]</tool_call>"], single=True) == [LS]
    assert read_pieces([f"{LIST_RAW}\n{LIST_RAW}"], single=True) == [LS]
    assert read_pieces(["a b"], single=True) == [Text("a b")]


def test_what_is_dropped_and_what_nobody_declared_is_told():
    reader = ToolCallReader(TOOLS)
    reader.feed(f"{LIST}\n{RESULT}")
    reader.feed("more")
    reader.end()
    assert (reader.dropped, reader.undeclared) == (len(RESULT) + 4, [])
    reader = ToolCallReader(TOOLS)
    reader.feed('<tool_call>{"name":"sh","args":{}}</tool_call><function=zsh>')
    reader.end()
    assert (reader.dropped, reader.undeclared) == (0, ["sh", "zsh"])


def test_without_tools_all_is_text():
    assert read_pieces([LIST], []) == [Text(LIST_RAW)]
    assert read_pieces(["a<|eot_id|>"], []) == [Text("a")]


FRAGMENTS = (
    *TOKENS, "<tool_call>", "<tool_call ", "</tool_call>", "<tool_calls>", "<function=bash>", "<function=sh>", "</function>",
    "<parameter=command>", "</parameter>", "<|python_tag|>", "<tool_result>", "<think>", "</think>", "```", "```json\n",
    LIST, LIST_RAW, '{"name":"bash","arguments":', '{"command":"ls"}', '{"command":"l', "}", "{", "[", "]", '"', "'", "\\",
    ",", "bash", ".call(", "command=", ")", "<", ">", " ", "\n", "text", "é🙂", "\ud800",
)  # fmt: skip
ANYTHING = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)


@settings(max_examples=400)
@given(ANYTHING, st.lists(st.integers(1, 12), min_size=1, max_size=6), st.booleans())
def test_how_it_is_cut_makes_no_difference(text, sizes, single):
    pieces, at, turn = [], 0, 0
    while at < len(text):
        pieces.append(text[at : at + sizes[turn % len(sizes)]])
        at += len(pieces[-1])
        turn += 1
    assert read_pieces(pieces, single=single) == read_pieces([text], single=single) == read_pieces(list(text), single=single)


@given(ANYTHING | st.text())
def test_calls_are_declared_and_sound(text):
    for event in read_pieces([text]):
        if isinstance(event, Call):
            assert event.name in ("bash", "read", "write", "Todo_Read") or (event.name, event.problem) == ("", CUT_OFF)
            assert isinstance(json.loads(event.arguments), dict)


TEXTS = st.text(st.sampled_from("ab .,<>{}\n'\"é"), max_size=12).filter(lambda text: text.strip() and "<t" not in text)
COMMANDS = st.text(max_size=20) | st.sampled_from((LIST, RESULT, "</tool_call>", "<|eot_id|>", "'}\"", "\\"))


@given(st.lists(COMMANDS, min_size=1, max_size=3), TEXTS, st.integers(1, 40))
def test_calls_as_they_are_rendered_come_back_and_leave_no_markup(commands, text, size):
    calls = [{"function": {"name": "bash", "arguments": json.dumps({"command": command})}} for command in commands]
    whole = "x" + text + "\n".join(map(call_text, calls)) + "\n" + text
    events = read_pieces(pieces_of(whole, size))
    found = [json.loads(event.arguments)["command"] for event in events if isinstance(event, Call)]
    assert found == [json.loads(json.dumps(command).encode("utf-8")) for command in commands]
    said = "".join(event.text for event in events if isinstance(event, Text))
    assert "tool_call" not in said
    assert "".join(said.split()) == "".join(("x" + text + text).split())


PATHOLOGICAL = {
    "angles": "<",
    "braces": "{",
    "brackets": "[",
    "blanks": " ",
    "fences": "```",
    "opening tags": "<tool_call>",
    "tags with blanks": "<tool_call> ",
    "cut calls": '<tool_call>{"a": "',
    "closed cut calls": '<tool_call>{"a": "</tool_call>\n',
    "quotes": '<tool_call>{"name": "bash", "arguments": {"command": "a" b" c',
    "functions": "<function=bash>",
    "parameters": "<function=bash><parameter=command>x</parameter> ",
    "closing tags": "</parameter> </function> ",
    "tokens": "<|eot_id|>",
    "half tokens": "<|eot",
    "names": "bash.call(",
    "calls": LIST,
    "bare calls": LIST_RAW,
}


PREFIXES = ("", "<tool_call>", "<tool_call>{", '<tool_call>{"a": "', "<function=bash><parameter=command>", LIST_RAW)


@pytest.mark.parametrize("name", PATHOLOGICAL)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_long_answers_are_read_alike_in_pieces_and_in_one(name, prefix):
    """A reader that looked at its text again and again would not come back within the limit of a test; see bench/."""
    text = prefix + PATHOLOGICAL[name] * (200_000 // len(PATHOLOGICAL[name]))
    assert joined(read_pieces([text])) == joined(read_pieces(pieces_of(text, 64)))


def test_joined_texts_of_a_long_answer():
    text = "word " * 2000
    assert joined(event for event in read_pieces(pieces_of(text, 5))) == [Text(text)]
