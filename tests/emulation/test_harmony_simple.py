"""The simplified dialect: the described shape, and the same safety as Harmony's."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.emulation.harmony_names import Names
from app.emulation.harmony_simple import prefill, render
from tests.emulation.harmony_bodies import CAPTURED, FIND_ALL, HOSTILE, bodies, harmless

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TIME = {"type": "function", "function": {"name": "get-time", "description": "The time of a city", "parameters": SCHEMA}}
NOW = {"type": "function", "function": {"name": "now"}}
USER = {"role": "user", "content": "What time is it in Seoul?"}


def test_the_described_shape():
    body = {"messages": [{"role": "system", "content": "Be terse."}, USER], "tools": [TIME, NOW]}
    assert render(body) == (
        "<|system|>\nBe terse.\n<|end|>\n\n"
        "<|system|>\nAvailable tools:\n- get_time: The time of a city\n"
        '  Parameters: {"type":"object","properties":{"city":{"type":"string"}}}\n'
        "- now: no description\n\n"
        'To call a tool, write: <|tool_call|>function_name({"param": "value"})<|end_tool_call|>\n<|end|>\n\n'
        "<|user|>\nWhat time is it in Seoul?\n<|end|>\n\n"
        "<|assistant|>"
    )


def test_the_history():
    calls = [
        {"id": "1", "function": {"name": "get-time", "arguments": '{"city": "a)b"}'}},
        {"id": "2", "function": {"name": "now", "arguments": {}}},
    ]
    messages = [
        USER,
        {"role": "assistant", "content": "I look.", "reasoning_content": "hidden", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "noon"}]},
        {"role": "tool", "tool_call_id": "1", "content": None},
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": "Noon."},
    ]
    prompt = render({"messages": messages, "tools": [TIME], "tool_choice": "none"})
    assert prompt == (
        "<|system|>\nYou are a helpful assistant.\n<|end|>\n\n<|user|>\nWhat time is it in Seoul?\n<|end|>\n\n"
        '<|assistant|>\nI look.\n<|tool_call|>get_time({"city": "a)b"})<|end_tool_call|>\n'
        "<|tool_call|>now({})<|end_tool_call|>\n<|end|>\n\n"
        "<|tool_result|>\nTool: now\nResult: noon\n<|end|>\n\n<|tool_result|>\nTool: get_time\nResult: \n<|end|>\n\n"
        "<|assistant|>\nNoon.\n<|end|>\n\n<|assistant|>"
    )


@pytest.mark.parametrize(
    ("tools", "choice", "sentence", "begun"),
    (
        ([TIME, NOW], "auto", "", ""),
        ([TIME, NOW], "required", "You must call at least one tool now.", ""),
        ([TIME], "required", "You must call the tool get_time now.", "\n<|tool_call|>get_time("),
        (
            [TIME, NOW],
            {"type": "function", "function": {"name": "now"}},
            "You must call the tool now now.",
            "\n<|tool_call|>now(",
        ),
    ),
)
def test_a_choice_becomes_a_sentence_and_a_prefill(tools, choice, sentence, begun):
    body = {"messages": [USER], "tools": tools, "tool_choice": choice}
    assert re.findall(r"You must call .*", render(body)) == ([sentence] if sentence else [])
    assert prefill(body, Names(["get-time", "now"])) == begun


@pytest.mark.parametrize(
    ("form", "expected"),
    (
        ({"type": "text"}, ""),
        ({"type": "json_object"}, "Answer with one JSON object and nothing else."),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
            'Answer with nothing but JSON that fits this schema:\n{"type":"object"}',
        ),
    ),
)
def test_structured_output(form, expected):
    wanted = f"<|system|>\n{expected}\n<|end|>\n\n<|user|>" if expected else "assistant.\n<|end|>\n\n<|user|>"
    assert wanted in render({"messages": [USER], "response_format": form})


@pytest.mark.parametrize("name", CAPTURED)
def test_requests_of_real_agents(name):
    body = CAPTURED[name]
    prompt = render(body)
    assert prompt.endswith("<|assistant|>")
    assert prompt.count("\n- ") >= len(body.get("tools") or ())
    calls = sum(len(message.get("tool_calls") or ()) for message in body["messages"])
    assert prompt.count("<|tool_call|>") == calls + bool(body.get("tools"))


@settings(max_examples=150)
@given(bodies(HOSTILE))
def test_no_text_forges_a_mark(body):
    assert FIND_ALL.findall(render(body)) == FIND_ALL.findall(render(harmless(body)))


@settings(max_examples=100)
@given(bodies(st.text()))
def test_any_body_renders_the_same_each_time_and_stays_as_it_is(body):
    before = json.dumps(body)
    assert render(body).endswith("<|assistant|>") and render(body) == render(body)
    assert json.dumps(body) == before
