import pytest

from app.quirks.preparation import prepare
from app.quirks.report import Report
from app.quirks.responses_body import from_responses, is_responses_body
from tests.quirks.strict_gemini import refusals
from tests.quirks.targets import FakeTarget, apply, facts

CURSOR = {
    "model": "gemini-3-pro",
    "stream": True,
    "instructions": "You are an agent.",
    "input": [
        {"role": "system", "content": [{"type": "input_text", "text": "Rules."}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Read both."}]},
        {"type": "reasoning", "summary": [], "encrypted_content": "x"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I will."}]},
        {"type": "function_call", "call_id": "c1", "name": "Read", "arguments": '{"p":"a"}'},
        {"type": "custom_tool_call", "call_id": "c2", "name": "Patch", "input": "*** Begin"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "A"}]},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "B"},
        {"type": "item_reference", "id": "x"},
        {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA"}]},
    ],
    "tools": [
        {"type": "function", "name": "Read", "parameters": {"type": "object", "properties": {"p": {"type": "string"}}}},
        {"type": "function", "function": {"name": "Write", "parameters": {"type": "object"}}},
        {"type": "custom", "name": "Patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}},
        {"type": "web_search"},
    ],
    "tool_choice": {"type": "function", "name": "Read"},
    "max_output_tokens": 900,
    "reasoning": {"effort": "high", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}},
    "include": ["reasoning.encrypted_content"],
    "store": False,
}


def test_an_agents_responses_body_becomes_a_chat_request():
    report = Report()
    body = prepare(CURSOR, FakeTarget(), report)
    assert refusals(body) == []
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert body["messages"][0]["content"] == "You are an agent.\n\nRules."
    calls = body["messages"][2]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == ['{"p":"a"}', '{"input":"*** Begin"}']
    assert [message["content"] for message in body["messages"][3:5]] == ["A", "B"]
    assert body["messages"][5]["content"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
    assert [tool["function"]["name"] for tool in body["tools"]] == ["Read", "Write", "Patch"]
    assert (body["max_completion_tokens"], body["reasoning_effort"]) == (900, "high")
    assert body["tool_choice"] == {"type": "function", "function": {"name": "Read"}}
    assert report.counts["client.responses_body"] == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    (
        ({"input": "hi"}, {"messages": [{"role": "user", "content": "hi"}]}),
        ({"input": ["hi"]}, {"messages": [{"role": "user", "content": "hi"}]}),
        ({"input": [3, {"type": "message"}]}, {"messages": []}),
        ({"input": "hi", "text": {"format": {"type": "json_object"}}, "max_output_tokens": 5, "max_tokens": 9},
         {"messages": [{"role": "user", "content": "hi"}], "response_format": {"type": "json_object"},
          "max_tokens": 9}),
        ({"input": "hi", "text": {"format": {"type": "text"}}, "previous_response_id": "r", "user": "u"},
         {"messages": [{"role": "user", "content": "hi"}], "user": "u"}),
    ),
)  # fmt: skip
def test_shapes(given, expected):
    body, places = apply(from_responses, given)
    assert body == expected and places == ["input"]


@pytest.mark.parametrize(
    ("body", "expected"),
    (
        ({"input": "hi"}, True),
        ({"input": [], "messages": []}, True),
        ({"input": "hi", "messages": [{"role": "user"}]}, False),
        ({"input": {"odd": 1}}, False),
        ({"messages": []}, False),
    ),
)
def test_what_counts_as_a_responses_body(body, expected):
    assert is_responses_body(body) is expected


def test_the_clients_limit_wins_over_the_gateways_default():
    known = facts()._replace(defaulted=frozenset({"max_tokens"}))
    body, _ = apply(from_responses, {"input": "hi", "max_output_tokens": 5, "max_tokens": 1000}, known)
    assert body == {"messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 5}
