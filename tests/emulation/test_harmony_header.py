"""Headers of Harmony messages, sound and misspelt; ollama's published cases."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.emulation.harmony_header import CHANNEL, CONSTRAIN, Header, may_imply_header, read_header

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "data" / "public" / "harmony" / "header_vectors.json"
GET = "functions.get_weather"

HEADERS = {
    "assistant<|channel|>analysis": Header(channel="analysis"),
    "assistant<|channel|>final <|constrain|>json": Header(channel="final"),
    f"assistant to={GET}<|channel|>commentary json": Header(channel="commentary", recipients=(GET,)),
    f"assistant<|channel|>commentary to={GET}<|constrain|>json": Header(channel="commentary", recipients=(GET,)),
    f"assistant to= {GET} abc<|channel|>analysis": Header(channel="analysis", recipients=(GET,)),
    f"to={GET}<|channel|>commentary": Header(channel="commentary", recipients=(GET,)),
    f"<|channel|>commentary<|channel|>analysis to={GET}": Header(channel="analysis", recipients=(GET,)),
    f"<|channel|>analysis to={GET}<|channel|>": Header(channel="analysis", recipients=(GET,)),
    f"<|channel|>commentary to=assistant to={GET}": Header(channel="commentary", recipients=("assistant", GET)),
    f"<|channel|>final <|constrain|>{GET}": Header(channel="final", named=(GET,)),
    f"<|channel|>commentary {GET} json": Header(channel="commentary", named=(GET,)),
    "<|channel|>commentary to=functions.web-browsing.v2{}": Header(
        channel="commentary", recipients=("functions.web-browsing.v2",)
    ),
    "<|channel|>": Header(),
    "<|channel|>??": Header(),
    "<|channel|>COMMENTARY?": Header(channel="commentary"),
    "<|channel|>––commentary": Header(channel="commentary"),
    "<|channel|>finale": Header(channel="finale"),
    "<|channel|>thinking": Header(channel="thinking"),
    "": Header(),
    "assistantfinal": Header(channel="final"),
    "final": Header(channel="final"),
    "functions.bash to=assistant<|channel|>commentary": Header(
        "functions.bash", "commentary", recipients=("assistant",)
    ),
    "user": Header("user"),
}


@pytest.mark.parametrize("text", HEADERS)
def test_headers(text):
    assert read_header(text)._replace(rest="") == HEADERS[text]


UNENDED = {
    "<|channel|>analysis I must refuse": Header(channel="analysis", rest="I must refuse"),
    "assistant Hello": Header(rest="Hello"),
    "<|channel|>I think so": Header(channel="I", rest="I think so"),
    f"<|channel|>commentary to={GET} <|constrain|>json{{}}": Header(channel="commentary", recipients=(GET,), rest="{}"),
    f"<|channel|>commentary to={GET} code {{}}": Header(channel="commentary", recipients=(GET,), rest="{}"),
    f"<|channel|>commentary? to={GET}[1]": Header(channel="commentary", recipients=(GET,), rest="[1]"),
    f"<|channel|>final say to={GET} or {GET}": Header(channel="final", rest=f"say to={GET} or {GET}"),
}


@pytest.mark.parametrize("text", UNENDED)
def test_what_is_no_header_begins_the_message(text):
    assert read_header(text, ended=False) == UNENDED[text]


@pytest.mark.parametrize(
    ("text", "header"),
    (
        ("assistant", True),
        (" to=functions.a", True),
        (" to=python code", True),
        ("functions.a to=assistant", True),
        ("final", True),
        ("", True),
        ("junk", False),
        ("I say final", False),
        ("auto=5", False),
    ),
)
def test_what_may_stand_before_a_channel_without_a_start(text, header):
    assert may_imply_header(text) is header
    role = "functions.a" if header and "functions.a " in text else "assistant"
    found = read_header(f"{text}<|channel|>analysis", started=False)
    assert (found.role, found.channel) == (role, "analysis")
    assert bool(found.recipients) is (header and "to=" in text)


PARTS = st.sampled_from(
    ["assistant", "final", "to=", "to=a", GET, "json", " ", "x", "{", "<", "<|", CHANNEL, CONSTRAIN]
)


@given(st.lists(PARTS, max_size=8).map("".join), st.booleans(), st.booleans())
def test_any_text_is_a_header(text, started, ended):
    found = read_header(text, started=started, ended=ended)
    assert not any("<" in name for name in (*found.recipients, *found.named))


def test_published_headers():
    """Ollama gives a header without a role to a tool; ours follows a prompt that ends in `assistant`, so it is the model."""
    if not PUBLISHED.is_file():
        pytest.skip("OLLAMA'S HEADER CASES ARE ABSENT (shared/data/public/harmony): only our own table was tested")
    for case in json.loads(PUBLISHED.read_text("utf-8")):
        found = read_header(case["header"])
        assert (found.channel, "".join(found.recipients)) == (case["channel"], case["recipient"])
        role = "assistant" if case["header"].startswith("to=") else case["role"]
        assert found.role == role
