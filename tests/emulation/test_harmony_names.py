"""Tool names as identifiers: ollama's rule, restated as a table, and its own published cases where they lie beside."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.emulation.harmony_names import Names, identifier

PUBLISHED = (
    Path(__file__).resolve().parents[3] / "shared" / "data" / "public" / "harmony" / "function_name_vectors.json"
)


@pytest.fixture
def published():
    if not PUBLISHED.is_file():
        pytest.skip("OLLAMA'S NAME CASES ARE ABSENT (shared/data/public/harmony): only our own table was tested")
    return json.loads(PUBLISHED.read_text("utf-8"))


def test_published_single_names(published):
    assert [(name, Names().sent(name)) for name, _ in published["single"]] == list(map(tuple, published["single"]))


def test_published_lists_of_names(published):
    for given_names, expected in published["sequence"]:
        names = Names(given_names)
        assert list(names.back) == expected and list(names.back.values()) == given_names


@pytest.mark.parametrize(
    ("name", "expected"),
    (
        ("read_file", "read_file"),
        ("read file", "read_file"),
        ("read-file.v2", "read_file_v2"),
        ("mcp__server__do it!", "mcp__server__do_it"),
        ("a/b:c", "abc"),
        ("1st", "_1st"),
        ("!1", "_1"),
        ("$x", "$x"),
        ("파일-읽기", "파일_읽기"),
        ("<|end|>", "end"),
        ("a\n} // namespace functions", "a__namespace_functions"),
        ("", "unnamed"),
        ("🙂", "unnamed"),
    ),
)
def test_identifiers(name, expected):
    assert identifier(name) == expected


def test_names_that_collide_are_numbered_and_come_back():
    names = Names(["a-b", "a_b", "a.b", "a b_2", "a_b_2"])
    assert names.back == {"a_b": "a-b", "a_b_2": "a_b", "a_b_3": "a.b", "a_b_2_2": "a b_2", "a_b_2_3": "a_b_2"}
    assert names.sent("a.b") == "a_b_3"


def test_an_undeclared_tool_of_the_history_gets_an_identifier_but_no_way_back():
    names = Names(["read-file"])
    assert names.sent("read_file") == "read_file_2" and names.sent("read_file") == "read_file_2"
    assert names.back == {"read_file": "read-file"}


def test_tools_that_the_model_was_trained_on_keep_their_names():
    assert Names(["browser.open", "python", "browser.close"]).back == {
        "browser.open": "browser.open", "python": "python", "browser_close": "browser.close",
    }  # fmt: skip


def test_a_thousand_names_of_one_identifier_stay_apart():
    assert len(Names(f"{'-' * (n % 7)}{chr(0x1F600 + n)}" for n in range(1000)).back) == 1000


@given(st.lists(st.text(max_size=8), unique=True, max_size=20))
def test_every_name_comes_back_and_every_identifier_is_one(given_names):
    names = Names(given_names)
    assert [names.back[names.sent(name)] for name in given_names] == given_names
    assert all(sign.isalnum() or sign in "_$." for sent in names.back for sign in sent)
