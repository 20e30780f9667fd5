"""Harmony's text in pieces: the vectors cut everywhere, what models and servers get wrong, properties, cost."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.emulation.events import Call, End, Reasoning, Text
from app.emulation.harmony_header import MARKERS, NAMES
from app.emulation.harmony_names import Names
from app.emulation.harmony_render import assistant
from app.emulation.harmony_text import HarmonyReader
from app.emulation.json_end import JsonEnd
from tests.emulation.reading import VECTORS, at, cuts, events_of, expected, read

HARMONY = [vector for vector in VECTORS if not vector["name"].startswith("pseudo_")]
PUBLIC = Path(__file__).resolve().parents[3] / "shared" / "data" / "public" / "harmony"
DECLARED = {"get_weather": "get-weather", "edit": "edit"}
NEXT = "<|start|>assistant"
CALL_HEADER = "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>"
SF = '{"location":"SF"}'
WEATHER = ("get-weather", SF)
EDIT = "<|channel|>commentary to=functions.edit <|constrain|>json<|message|>"
SAMPLE = (
    f'<|start|>user<|message|>hi<|end|>{NEXT}<|channel|>final<|message|>"Hello"<|return|>\n{NEXT}{EDIT}{{}}<|call|>'
)


@pytest.mark.parametrize("vector", HARMONY, ids=lambda vector: vector["name"])
def test_vectors_cut_at_every_character(vector):
    declared = {name: name for name in vector["declared_tools"]}
    for pieces in cuts(vector["completion"]):
        assert read(HarmonyReader(declared), pieces) == expected(vector), pieces


def test_the_vectors_are_all_there():
    assert len(VECTORS) == 52 and len(HARMONY) == 48


# Sound texts: the official parser's own reading of the vectors, where it has one and ours does not differ on purpose.
ON_PURPOSE = {
    "builtin_python_on_analysis": "a tool that nobody declared gets no call, and its text is not shown",
    "call_truncated_no_end": "half a call is no call",
    "name_leak_channel_in_recipient": "the official recipient is functions.get_weather<|channel|>commentary",
    "unknown_channel": "an unknown channel is reasoning",
    "role_is_tool_name": "a result that the model invented is not shown",
    "final_json_schema": "the official recipient of the final answer is <|constrain|>json",
}
OFFICIAL = [vector for vector in HARMONY if "error" not in str(vector.get("official_strict", "error"))[:10]]


@pytest.mark.parametrize("vector", OFFICIAL, ids=lambda vector: vector["name"])
def test_sound_texts_read_as_the_official_parser_reads_them(vector):
    content, reasoning, calls = [], [], []
    for message in vector["official_strict"]["messages"]:
        text, recipient = message["content"][0]["text"], message.get("recipient")
        if recipient:
            calls.append((recipient.removeprefix("functions."), text))
        else:
            (reasoning if message.get("channel") == "analysis" else content).append(text)
    ours = read(HarmonyReader({name: name for name in vector["declared_tools"]}), [vector["completion"]])
    same = ours[:3] == ("".join(content), "".join(reasoning), calls)
    assert same is (vector["name"] not in ON_PURPOSE)


SPOILED = {
    # what models write: llama.cpp #27720, openai/harmony #38, tinker-cookbook #947, vLLM #32587, #35906, #50690
    "a channel with signs": (f"<|channel|>commentary?<|end|>{NEXT}<|channel|>––final?<|message|>ok<|return|>", "ok", "", []),
    "a channel of signs": (f"<|channel|>??<|end|>{NEXT}<|channel|>final<|message|>ok<|return|>", "ok", "", []),
    "free text for a channel": ("<|channel|>I think so<|end|><|start|><|channel|>final<|message|>ok", "ok", "I think so", []),
    "doubled": (
        f"<|channel|>commentary to=assistant<|channel|>commentary?<|end|>{NEXT}<|channel|>final<|message|>ok", "ok", "", []
    ),
    "constrained to a function": ("<|channel|>final <|constrain|>functions.get_weather<|message|>" + SF, "", "", [WEATHER]),
    "case of the name": ("<|channel|>commentary to=functions.Get_Weather<|message|>" + SF, "", "", [WEATHER]),
    "the client's name": ("<|channel|>commentary to=functions.get-weather<|message|>" + SF, "", "", [WEATHER]),
    "message without a marker": (f"<|channel|>commentary to=functions.get_weather {SF}<|call|>", "", "", [WEATHER]),
    "type without a marker": (f"<|channel|>commentary to=get_weather <|constrain|>json{SF}<|call|>", "", "", [WEATHER]),
    "speech of recipients": ("<|channel|>analysis Say to=functions.edit now<|end|>", "", "Say to=functions.edit now", []),
    "glued": (f"{NEXT}final<|message|>ok<|return|>", "ok", "", []),
    "two messages": ("<|message|><|message|>o<|constrain|>k<|return|>", "ok", "", []),
    "no start": ("<|channel|>analysis<|message|>a<|channel|>final<|message|>b", "b", "a", []),
    "no start but the role": ("<|channel|>analysis<|message|>a<|end|>assistant<|channel|>final<|message|>b", "b", "a", []),
    "no start but a recipient": (
        f"{CALL_HEADER}{SF}<|call|> to=edit<|message|>{{}}<|call|>", "", "", [WEATHER, ("edit", "{}")]
    ),
    "twice the start": (f"{NEXT}{NEXT}<|channel|>final<|message|>ok", "ok", "", []),
    "the end first": ("<|end|><|return|>ok", "ok", "", []),
    "return after analysis": (f"<|channel|>analysis<|message|>a<|return|>{NEXT}<|channel|>final<|message|>b", "b", "a", []),
    "a name without its channel": ("final<|message|>ok", "ok", "", []),
    "preamble and answer": (f"<|channel|>commentary<|message|>a<|end|>{NEXT}<|channel|>final<|message|>b", "a\n\nb", "", []),
    "two thoughts": ("<|channel|>analysis<|message|>a<|end|><|start|><|channel|>analysis<|message|>b<|end|>", "", "a\n\nb", []),
    "an invented result and its answer": (
        f"{CALL_HEADER}{SF}<|call|><|start|>functions.get_weather to=assistant<|channel|>commentary<|message|>sunny<|end|>"
        f"{NEXT}<|channel|>final<|message|>It is sunny.<|return|>",
        "", "", [WEATHER],
    ),
    "an invented question": (f"<|message|>a<|end|><|start|>user<|message|>b<|end|>{NEXT}<|message|>c", "a", "", []),
    "another without a message": (f"<|message|>a<|end|><|start|>user b<|end|>{NEXT}<|message|>c", "a", "", []),
    # what servers do: llama-server with reasoning_format "none"
    "an answer without a header": ("<|channel|>analysis<|message|>a<|end|>The answer is 4.", "The answer is 4.", "a", []),
    "a call of nothing": ("<|channel|>commentary to=functions.edit<|message|><|call|>", "", "", [("edit", "{}")]),
    "a copied token": (
        '<|channel|>commentary to=functions.edit<|message|>{"a":"<\u200d|end|> <\\u200d|call|> \u200d"}<|call|>',
        "", "", [("edit", '{"a":"<|end|> <|call|> \u200d"}')],
    ),
    # a file about Harmony is no Harmony
    "a token in a string": (f'{EDIT}{{"a":"say <|end|> here"}}<|call|>', "", "", [("edit", '{"a":"say <|end|> here"}')]),
    "tokens in a string": (f"{EDIT}{json.dumps({'a': SAMPLE})}<|call|>", "", "", [("edit", json.dumps({"a": SAMPLE}))]),
    "a token in a string, and no end": (f'{EDIT}{{"a":"<|call|>"}}', "", "", [("edit", '{"a":"<|call|>"}')]),
    "a token in a key": (f'{EDIT}{{"<|start|>":1}}<|end|>', "", "", [("edit", '{"<|start|>":1}')]),
    "tokens in two calls": (
        f'{EDIT}{{"a":"<|call|>"}}<|call|>{NEXT}{EDIT}{{"b":["<|channel|>"]}}<|call|>{NEXT}<|channel|>final<|message|>ok',
        "ok", "", [("edit", '{"a":"<|call|>"}'), ("edit", '{"b":["<|channel|>"]}')],
    ),
    "tokens in JSON that is repaired": (f'{EDIT}{{a:"<|end|>",}}<|call|>', "", "", [("edit", '{"a":"<|end|>"}')]),
    "a token in a call of nobody": (
        f'<|channel|>commentary to=python<|message|>{{"a":"<|end|> is said"}}<|call|>{NEXT}<|channel|>final<|message|>ok',
        "ok", "", [],
    ),
    "text of the model's own": ("a <|notatoken|> <| end |> <", "a <|notatoken|> <| end |> <", "", []),
    "a text that begins like a header": ("assistant: hi", "assistant: hi", "", []),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILED)
def test_what_models_and_servers_get_wrong(name):
    text, content, reasoning, calls = SPOILED[name]
    for pieces in cuts(text):
        assert read(HarmonyReader(DECLARED), pieces)[:3] == (content, reasoning, calls), pieces


OPEN = f'{EDIT}{{"a":"x'
FINAL = f"{NEXT}<|channel|>final<|message|>"


@pytest.mark.parametrize(
    ("text", "finish", "ended"),
    (
        ("", None, "stop"),
        ("Hello", "stop", "stop"),
        ("Hello", "length", "length"),
        ("Hello <|en", "stop", "stop"),
        ("<|channel|>analysis<|message|>I was", "stop", "stop"),
        ("<|channel|>analysis<|message|>I was", "length", "length"),
        ("<|channel|>analysis<|message|>a<|end|>", None, "stop"),
        ("<|channel|>analysis<|message|>a<|end|>", "length", "length"),
        ("<|channel|>analysis<|message|>a<|end|><|sta", None, "length"),
        ("<|channel|>final<|message|>a<|return|>", "length", "stop"),
        ("<|channel|>fin", "stop", "length"),
        ("<|chan", None, "length"),
        (f"{CALL_HEADER}{SF}", "length", "tool_calls"),
        (f"{CALL_HEADER}{SF}<|ca", "stop", "tool_calls"),
        (f"{CALL_HEADER}{SF}<|call|>", "length", "tool_calls"),
        (f"{CALL_HEADER}{SF}<|call|>{NEXT}{CALL_HEADER}{SF[:-3]}", "length", "length"),
        (f"{CALL_HEADER}{SF}<|call|>{NEXT}<|channel|>analysis<|message|>and", None, "tool_calls"),
        (f"{CALL_HEADER}print(1)", "stop", "tool_calls"),
    ),
)
def test_how_a_turn_ends(text, finish, ended):
    for pieces in cuts(text):
        reader = HarmonyReader(DECLARED)
        assert events_of(reader, pieces, finish)[-1] == End(ended)
        assert reader.feed("more") == []


def test_the_calls_that_are_not_passed_on_are_kept_aside():
    reader = HarmonyReader(DECLARED)
    text = f"<|channel|>commentary to=python code<|message|>print(1)<|call|>{NEXT}{CALL_HEADER}" + '{"location":"S'
    assert read(reader, [text]) == ("", "", [], "length")
    python, cut = reader.dropped
    assert python == Call("python", "print(1)", "not declared", raw=text.partition("<|call|>")[0])
    assert (cut.name, cut.arguments, cut.problem) == ("get-weather", '{"location":"S', "cut off")
    assert cut.raw == f"{NEXT}{CALL_HEADER}" + '{"location":"S'
    assert reader.repairs == {"harmony.undeclared": "python", "harmony.cut": "get-weather"}


def test_what_was_tolerated_is_named():
    reader = HarmonyReader(DECLARED)
    read(reader, [f"<|channel|>hm<|message|>a<|end|>junk{NEXT}<|channel|>final<|message|>b<|message|>c<|end|>"])
    assert reader.repairs == {"harmony.channel": "hm", "harmony.junk": "junk", "harmony.marker": "<|message|>"}
    sound = HarmonyReader(DECLARED)
    read(sound, [f"<|channel|>analysis<|message|>a<|end|>{NEXT}{CALL_HEADER}{SF}<|call|>"])
    assert sound.repairs == {} and sound.dropped == []


def test_text_leaves_at_once_and_a_call_as_soon_as_it_is_whole():
    reader = HarmonyReader(DECLARED)
    assert reader.feed("<|channel|>analysis<|message|>Think") == [Reasoning("Think")]
    assert reader.feed("ing <") == [Reasoning("ing ")]
    assert reader.feed("b> <|e") == [Reasoning("<b> ")]
    assert reader.feed(f"nd|>{NEXT}<|channel|>commentary<|message|>I ") == [Text("I ")]
    assert reader.feed("call.") == [Text("call.")]
    assert reader.feed(f"<|end|>{NEXT}{CALL_HEADER}") == []
    assert reader.feed(SF) == []
    assert reader.feed("<|call|>") == [Call(*WEATHER, raw=f"{NEXT}{CALL_HEADER}{SF}")]
    assert reader.end("stop") == [End("tool_calls")]


def test_a_long_text_without_a_header_is_not_held_back():
    reader = HarmonyReader(DECLARED)
    reader.feed("<|channel|>analysis<|message|>a<|end|>")
    assert reader.feed("It is so. " * 30) == [Text("It is so. " * 30)]
    assert reader.feed("And more.") == [Text("And more.")]
    opened = HarmonyReader(DECLARED)
    assert len(opened.feed("<|channel|>analysis and no marker" + " word" * 1000)) == 2
    assert opened.feed("Still") == [Reasoning("Still")]


# --- properties -------------------------------------------------------------------------------------------------------

TOKEN = re.compile(rf"<\|(?:{'|'.join(NAMES)})\|>")
WORDS_OF_HEADERS = "assistant analysis commentary final user json to=python functions.edit assistantfinal".split()
FRAGMENTS = st.sampled_from(
    [*(f"<|{name}|>" for name in NAMES), *WORDS_OF_HEADERS, " to=functions.edit", "edit json{", SF, CALL_HEADER, NEXT]
    + ["<", "<|", "<|st", "art|>", "|>", "<|x|>", " ", "\n", "{", "}", '"', "\\", "a", "한", "👋🏽", "\ud800", "x" * 90]
    + [OPEN, OPEN, '"}', '",', "{'a': '", ",}", '{"a":"<|end|>"}']
)
TEXTS = st.lists(FRAGMENTS, max_size=14).map("".join)
FINISH = st.sampled_from([None, "stop", "length", "tool_calls", "eos"])


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 200), max_size=6), FINISH)
def test_any_cut_of_any_text_says_the_same_and_no_token_is_text(text, places, finish):
    whole = HarmonyReader(DECLARED)
    events = events_of(whole, [text], finish)
    for pieces in (at(text, places), list(text)):
        reader = HarmonyReader(DECLARED)
        assert events_of(reader, pieces, finish) == events
        assert (reader.dropped, reader.repairs) == (whole.dropped, whole.repairs)
    for event in events:
        if isinstance(event, Text | Reasoning):
            assert not TOKEN.search(event.text)
        elif isinstance(event, Call):
            assert event.name in DECLARED.values() and in_strings(event.arguments)
            assert event.problem or isinstance(json.loads(event.arguments), dict)


def in_strings(arguments):
    """Whether tokens stand in strings alone."""
    scan, at = JsonEnd(), 0
    for token in TOKEN.finditer(arguments):
        scan.feed(arguments[at : token.start()])
        at = token.start()
        if not scan.quoted:
            return False
    return True


WORDS = st.text(max_size=20).filter(lambda text: "<" not in text)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["analysis", "commentary", "final"]), WORDS.filter(bool)), max_size=4),
    st.sampled_from(["", "<|end|>"]),
)
def test_no_text_of_a_message_is_lost(messages, between):
    text = between.join(f"{NEXT}<|channel|>{channel}<|message|>{words}" for channel, words in messages)
    found = read(HarmonyReader(DECLARED), [text])
    assert found.content == "\n\n".join(words for channel, words in messages if channel != "analysis")
    assert found.reasoning == "\n\n".join(words for channel, words in messages if channel == "analysis")


VALUES = st.dictionaries(
    st.text(max_size=8), st.text(max_size=12) | st.integers() | st.sampled_from(["<|end|>", "f(x)}", SAMPLE])
)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.text(max_size=5), st.lists(FRAGMENTS, max_size=6).map("".join).filter(str.isprintable), max_size=3)
    .map(json.dumps),
    FINISH, st.lists(st.integers(0, 400), max_size=4),
)  # fmt: skip
def test_a_sound_call_is_never_lost_whatever_its_strings_hold(arguments, finish, places):
    text = f"{EDIT}{arguments}<|call|>{FINAL}ok<|return|>"
    assert read(HarmonyReader(DECLARED), at(text, places), finish) == ("ok", "", [("edit", arguments)], "tool_calls")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["read-file", "a.b", "edit"]), VALUES.map(json.dumps)), min_size=1, max_size=3),
    WORDS, WORDS, st.lists(st.integers(0, 400), max_size=4),
)  # fmt: skip
def test_what_is_rendered_is_read_again(calls, said, thought, places):
    names = Names(["read-file", "a.b", "edit"])
    made = [{"type": "function", "id": "x", "function": {"name": name, "arguments": given}} for name, given in calls]
    message = {"role": "assistant", "content": said, "reasoning_content": thought, "tool_calls": made}
    text = "".join(assistant(message, True, names)).removeprefix(NEXT)
    found = read(HarmonyReader(names.back), at(text, places), "stop")
    assert found == (said if said.strip() else "", thought if thought.strip() else "", calls, "tool_calls")


# --- published cases --------------------------------------------------------------------------------------------------


@pytest.fixture
def published():
    if not PUBLIC.is_dir():
        pytest.skip(
            "OLLAMA'S AND OPENAI'S HARMONY CASES ARE ABSENT (shared/data/public/harmony): only ours were tested"
        )
    return PUBLIC


def test_published_streams(published):
    """Ollama's low-level parser passes on a user's message too; ours reads an answer, so the role is left out here."""
    for case in json.loads((published / "streaming_vectors.json").read_text("utf-8")):
        reader = HarmonyReader(DECLARED)
        for piece, shown in case["steps"]:
            piece = piece.replace("user", "").replace("|>u", "|>").replace("ser<", "<")
            assert "".join(event.text for event in reader.feed(piece)) == shown, case["desc"]


def test_published_conversations(published):
    texts = {path.name: path.read_text("utf-8") for path in (published / "upstream-test-data").glob("*.txt")}
    text = texts["test_streamable_parser.txt"]
    found = read(HarmonyReader({"browser.search": "browser.search"}), [text])
    assert found.content == "" and found.reasoning.endswith("Let's browse to confirm.")
    assert found.calls == [
        ("browser.search", '{"query": "current US president July 2025", "topn": 10, "source": "news"}')
    ]
    assert read(HarmonyReader(DECLARED), [text])[2:] == ([], "stop")
    behind = texts["test_does_not_drop_if_ongoing_analysis.txt"].partition(NEXT)[2]
    found = read(HarmonyReader({"lookup_weather": "lookup_weather"}), list(behind))
    assert found.reasoning.startswith("User asks: “What") and found.content == ""
    assert found.calls == [("lookup_weather", '{"location": "San Francisco"}')]


# --- cost -------------------------------------------------------------------------------------------------------------


SIZE = 1_000_000
LONG = {
    "final": ("<|channel|>final<|message|>", "word "),
    "analysis": ("<|channel|>analysis<|message|>", "word "),
    "arguments": (f'{CALL_HEADER}{{"a":"', "word "),
    "open brackets": (CALL_HEADER, '{"a":['),
    "tokens in arguments": (OPEN, "<|end|>"),
    "ends in arguments": (OPEN, "<|end|><|start|>"),
    "calls that break off": ("", f'{EDIT}{{", "a":"x<|end|>{NEXT}'),
    "stripped": ("analysisW", "assist "),
    "header": ("<|channel|>", "word "),
    **{unit: ("", unit) for unit in ("<", "<|", "<|start|>", "<|channel|>", "<|end|>x", "<|st<|constrain|>", " ", "to=")},
}  # fmt: skip


@pytest.mark.parametrize("name", LONG)
def test_long_answers_are_read_alike_in_pieces_and_in_one(name):
    """A reader that looked at its text again and again would not come back within the limit of a test; see bench/."""
    before, unit = LONG[name]
    text = before + unit * (SIZE // len(unit))
    pieces = [text[start : start + 64] for start in range(0, len(text), 64)]
    finish = "stop" if before else None
    assert read(HarmonyReader(DECLARED), [text], finish) == read(HarmonyReader(DECLARED), pieces, finish)


def test_markers_are_those_of_the_vocabulary():
    assert MARKERS.search("<|start|>", 0) and not MARKERS.search("<|endoftext|>", 0)
