"""What is read from an OpenAI body, and what becomes of shapes that no prompt can hold."""

import pytest

from app.emulation import harmony_body as read
from app.emulation.harmony_body import Choice, Function, HistoryCall

F = {"type": "function", "function": {"name": "f", "description": "F.", "parameters": {"type": "object"}}}
G = {"type": "function", "name": "g"}


@pytest.mark.parametrize(
    ("body", "expected"),
    (
        ({}, []),
        ({"tools": None}, []),
        ({"tools": [F, G]}, [Function("f", "F.", {"type": "object"}), Function("g", "", None)]),
        ({"tools": [F], "tool_choice": "none"}, []),
        ({"tools": ["junk", {"type": "web_search"}, {"function": {"name": ""}}, None]}, []),
        ({"tools": [{"function": {"name": "f", "description": None, "parameters": {}}}]}, [Function("f", "", None)]),
    ),
)
def test_offered_functions(body, expected):
    assert read.functions(body) == expected


@pytest.mark.parametrize(
    ("given", "names", "expected"),
    (
        (None, "f g", Choice("auto")),
        ("auto", "f g", Choice("auto")),
        ("required", "f g", Choice("required")),
        ("required", "f", Choice("required", "f")),
        ({"type": "function", "function": {"name": "g"}}, "f g", Choice("required", "g")),
        ({"type": "function", "name": "g"}, "f g", Choice("required", "g")),
        ({"type": "function", "function": {"name": "gone"}}, "f g", Choice("required")),
        ("required", "", Choice("none")),
    ),
)
def test_the_choice(given, names, expected):
    assert read.choice({"tool_choice": given}, [Function(name, "", None) for name in names.split()]) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    (
        ("a", "a"),
        (None, ""),
        ([], ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        (["a", None], "a\n"),
        ({"sunny": True}, '{"sunny":true}'),
        (5, "5"),
        ([{"type": "refusal", "refusal": "No."}], "No."),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
            "[image left out, this model reads text only: image/png]",
        ),
        (
            [{"type": "image_url", "image_url": "https://x.example/a.png"}],
            "[image left out, this model reads text only: https://x.example/a.png]",
        ),
        ([{"type": "image_url"}], "[image left out, this model reads text only]"),
        ([{"type": "input_audio", "input_audio": {}}], "[audio left out, this model reads text only]"),
        ([{"type": "file", "file": {"filename": "a.pdf"}}], "[file left out, this model reads text only: a.pdf]"),
        ([{"type": "video"}], "[content left out, this model reads text only]"),
    ),
)
def test_content_as_text(content, expected):
    assert read.text_of(content) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    (
        ('{"a": 1}', '{"a": 1}'),
        ({"a": [1]}, '{"a":[1]}'),
        (None, "{}"),
        ("", "{}"),
        ('"{\\"a\\": 1}"', '{"a": 1}'),
        ('"word"', '"word"'),
        ('"cut', '"cut'),
        ('{"a": ', '{"a": '),
    ),
)
def test_arguments_are_never_encoded_twice(given, expected):
    assert read.arguments_text(given) == expected


def test_calls_in_each_spelling():
    nested = {"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}, "junk", {"id": "2"}]}
    assert read.calls(nested) == [HistoryCall("1", "f", "{}"), HistoryCall("2", "unknown_tool", "{}")]
    assert read.calls({"function_call": {"name": "f", "arguments": {"a": 1}}}) == [HistoryCall(None, "f", '{"a":1}')]
    assert read.calls({"tool_calls": None}) == read.calls({"content": "x"}) == []


def test_results_are_named_by_their_calls():
    def asked(*calls):
        return {"role": "assistant", "tool_calls": [{"id": i, "function": {"name": n}} for i, n in calls]}

    def result(identifier=None, **more):
        return {"role": "tool", "tool_call_id": identifier, **more}

    messages = [
        result("0"), asked(("1", "f"), ("2", "g")), result("2"), result("1"), result("9"), result(),
        asked(("1", "h")), result("1"), result("9", name="own"), {"role": "function", "name": "old"}, result(["1"]),
    ]  # fmt: skip
    callers = [caller for message, caller in read.with_callers(messages) if message["role"] != "assistant"]
    assert callers == ["unknown_tool", "g", "f", "g", "g", "h", "own", "old", "h"]


@pytest.mark.parametrize(
    ("message", "expected"),
    (
        ({"reasoning_content": "a", "reasoning": "b"}, "a"),
        ({"reasoning_content": " ", "reasoning": "b"}, "b"),
        ({"reasoning": {"effort": "low"}}, ""),
        ({}, ""),
    ),
)
def test_reasoning(message, expected):
    assert read.reasoning(message) == expected


def test_a_refusal_is_what_was_said():
    assert read.said({"content": None, "refusal": "No."}) == "No."
    assert read.said({"content": "Yes.", "refusal": "No."}) == "Yes."
