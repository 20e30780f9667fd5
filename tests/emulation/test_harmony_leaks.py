"""Text whose special tokens a server left out, and texts that only look like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.emulation.harmony_leaks import HEADER, MAX_BLANKS, PLAIN, STRIPPED, StrippedReader, read_opening
from app.emulation.harmony_text import HarmonyReader
from tests.emulation.reading import Read, at, cuts, read

DECLARED = {"get_weather": "get_weather", "edit": "edit"}
SF = '{"location":"a}{\\""}'
WEATHER = ("get_weather", SF)

STRIPPED_TEXTS = {
    "analysisWe think.assistantfinalfour": Read("four", "We think.", [], "stop"),
    "analysis사용자가 묻는다.assistantfinal넷": Read("넷", "사용자가 묻는다.", [], "stop"),
    'analysis"2+2"?assistantanalysisYes.assistantfinal4': Read("4", '"2+2"?\n\nYes.', [], "stop"),
    "analysisThe assistant may assist. assistantfinalassistantfinal": Read(
        "assistantfinal", "The assistant may assist. ", [], "stop"
    ),
    f"analysisIt.assistantcommentary to=functions.get_weather json{SF}": Read("", "It.", [WEATHER], "tool_calls"),
    f"analysisIt.assistant to=functions.get_weathercommentary json{SF}": Read("", "It.", [WEATHER], "tool_calls"),
    f"analysisIt.assistantcommentaryI look.assistantcommentary to=functions.get_weatherjson{SF}": Read(
        "I look.", "It.", [WEATHER], "tool_calls"
    ),
    f"commentary to=functions.get_weather {SF}assistantcommentary to=functions.edit {{}}": Read(
        "", "", [WEATHER, ("edit", "{}")], "tool_calls"
    ),
    f" to=functions.get_weathercommentary {SF}": Read("", "", [WEATHER], "tool_calls"),
    "assistantfinalHello": Read("Hello", "", [], "stop"),
    "finalAll done.": Read("All done.", "", [], "stop"),
    "final네, 됐습니다": Read("네, 됐습니다", "", [], "stop"),
    "finalone two": Read("one two", "", [], "stop"),
    "finalsure": Read("sure", "", [], "stop"),
    "final<b>x</b>": Read("<b>x</b>", "", [], "stop"),
    'final json{"a":1}': Read('{"a":1}', "", [], "stop"),
    "analysisIt.assistantfinal json[1]": Read("[1]", "It.", [], "stop"),
    "analysisIt.assistantfinal json": Read(" json", "It.", [], "stop"),
    "final**Done**": Read("**Done**", "", [], "stop"),
    "analysisIt.assistantcommentary to=python codeprint(1)assistantfinalDone": Read("Done", "It.", [], "stop"),
    "analysisIt.assistantcommentary to=functions.get_wea": Read("", "It.", [], "length"),
    'analysisIt.assistantcommentary to=functions.get_weather json{"location":"S': Read("", "It.", [], "length"),
    'analysisIt.assistantcommentary to=functions.edit json{"a":"say <|end|>"}assistantfinalDone': Read(
        "Done", "It.", [("edit", '{"a":"say <|end|>"}')], "tool_calls"
    ),
    "analysisIt.assistantcomm": Read("", "It.assistantcomm", [], "length"),
    "analysisIt.<|end|><|start|>assistant<|channel|>final<|message|>four": Read("four", "It.", [], "stop"),
}


@pytest.mark.parametrize("text", STRIPPED_TEXTS)
def test_stripped_texts(text):
    for pieces in cuts(text):
        reader = HarmonyReader(DECLARED)
        assert read(reader, pieces) == STRIPPED_TEXTS[text], pieces
        assert "harmony.stripped" in reader.repairs


@pytest.mark.parametrize(
    "text",
    (
        "analysis of the data",
        "analysis: none",
        "analysis_results = 3",
        "Analysis",
        "commentary on it",
        "final words",
        "finally",
        "finalize the plan",
        "finalists: 3",
        "finals",
        "final-state machine",
        "final json files",
        "final_value = 1",
        "assistant: hi",
        "to=",
        "to =5",
        "auto=5",
        "analysis",
        " " * (MAX_BLANKS + 1) + "analysisWe",
        "Hello assistantfinal",
        "   indented",
        "\n",
    ),
)
def test_plain_text_stays_plain(text):
    for pieces in cuts(text):
        assert read(HarmonyReader(DECLARED), pieces) == Read(text, "", [], "stop")


@pytest.mark.parametrize(
    ("text", "kind"),
    (
        ("", None), ("  ", None), ("anal", None), ("analysis", None), ("fin", None), ("assistant", None), ("commentary", None),
        ("analysisW", STRIPPED), ("commentary to=", STRIPPED), ("commentaryI", STRIPPED), ("assistantfinal", STRIPPED),
        (" to=f", HEADER), ("assistant to=f", HEADER), ("final ", None), ("final w", PLAIN),
        ("final js", None), ("final json ", PLAIN), ("final json{", STRIPPED), ("finall", None), ("finally", None),
        ("finally,", PLAIN), ("finallet", STRIPPED), ("finalx", STRIPPED), ("final\n", STRIPPED), ("x", PLAIN),
    ),
)  # fmt: skip
def test_how_an_answer_opens(text, kind):
    assert read_opening(text) == kind


def test_the_markers_are_put_back():
    reader = StrippedReader(STRIPPED)
    assert reader.feed("analysisWe as") == ["<|channel|>", "analysis", "<|message|>", "We "]
    assert reader.feed("sistantcomm") == []
    assert reader.feed("entary") == ["<|end|>", "<|start|>", "assistant", "<|channel|>", "commentary"]
    assert reader.feed(" to=functions.a json") == [" to=functions.a json"]
    assert reader.feed('{"a":{}} ') == ["<|message|>", '{"a":{}}', "<|call|>", " "]
    assert reader.feed("assist") == [] and reader.end() == ["assist"]


SEAMS = ("assistantfinal", "assistantcommentary", "assistantanalysis", " to=functions.edit")
PARTS = st.sampled_from([*SEAMS, "assistant", "json", SF, "{", '"', "as", "x "])


@given(st.lists(PARTS, max_size=8).map("".join), st.lists(st.integers(0, 150), max_size=4))
def test_any_cut_says_the_same_and_only_seams_are_lost(text, places):
    text = f"analysisWe {text}"
    whole = read(HarmonyReader(DECLARED), [text])
    assert read(HarmonyReader(DECLARED), at(text, places)) == whole
    if "assistant" not in text:
        assert whole.reasoning == text.removeprefix("analysis")
