import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.utils import tokens

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    (("", 0), ("abc", 0), ("abcd", 1), ("Hello!", 1), ("한국어로 말해요", 2), ("x" * 4001, 1000)),
)
def test_a_token_is_four_characters_rounded_down(text, expected):
    assert tokens.count_text(text) == expected


@pytest.mark.parametrize(
    ("message", "characters"),
    (
        ({"role": "user", "content": "x" * 40}, 40),
        ({"role": "user", "content": None}, 0),
        ({"role": "user"}, 0),
        ({"content": [{"type": "text", "text": "x" * 10}, {"type": "text", "text": "x" * 10}]}, 20),
        ({"content": ["x" * 8, {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 900}}]}, 8),
        ({"content": "", "refusal": "x" * 12}, 12),
        ({"content": [{"type": "refusal", "refusal": "x" * 12}]}, 12),
        ({"content": None, "tool_calls": [{"function": {"name": "x" * 5, "arguments": "y" * 15}}] * 2}, 40),
        ({"content": None, "tool_calls": [{"function": {"name": "abc", "arguments": {"a": 1, "b": "cde"}}}]}, 20),
        ({"content": None, "tool_calls": [{"custom": {"name": "abcd", "input": "x" * 8}}]}, 12),
        ({"content": None, "function_call": {"name": "abcd", "arguments": "x" * 8}}, 12),
        ({"content": "x" * 4, "reasoning_content": "y" * 8}, 12),
        ({"content": {"odd": 1}, "tool_calls": "odd"}, 0),
    ),
)
def test_counts_what_a_message_says(message, characters):
    assert tokens.count_message(message) == characters // 4
    assert tokens.count_request({"messages": [message] * 4}) == characters


def test_characters_of_all_messages_are_added_before_dividing():
    assert tokens.count_request({"messages": [{"content": "ab"}, {"content": "cd"}]}) == 1


def test_tool_definitions_count_as_json():
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    text = '[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]'
    assert tokens.count_request({"messages": [], "tools": tools}) == len(text) // 4
    assert tokens.count_request({"messages": [], "tools": None}) == 0


def test_usage_adds_up():
    assert tokens.usage(12, 9) == {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21}
    assert tokens.usage(12, 9, 4)["completion_tokens_details"] == {"reasoning_tokens": 4}


@pytest.mark.parametrize("value", ("\ud800", 2**70))
def test_counts_what_orjson_cannot_write(value):
    assert tokens.count_message({"tool_calls": [{"function": {"name": "f", "arguments": {"a": value}}}]}) > 0


@given(
    st.dictionaries(st.sampled_from(("messages", "tools", "functions")), JSON)
    | st.builds(
        lambda m: {"messages": [m]}, st.dictionaries(st.sampled_from(("content", "tool_calls", "refusal")), JSON)
    )
)
def test_never_fails_on_any_shape(body):
    if not isinstance(body.get("messages", []), (list, type(None))):
        body["messages"] = []
    assert tokens.count_request(body) >= 0
