"""Messages as OpenTelemetry wants them: roles and parts; whatever a client or a model wrote, they can be made."""

from hypothesis import given
from hypothesis import strategies as st

from app.utils.genai_messages import input_messages, output_messages

CALL = {"id": "c1", "type": "function", "function": {"name": "read", "arguments": '{"path": "a"}'}}


def test_a_conversation_with_a_tool():
    assert input_messages([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url":
            {"url": "https://example.com/a.png"}}]},
        {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "text of a"},
    ]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "name": "ann", "parts": [{"type": "text", "content": "Look:"},
                                                  {"type": "uri", "modality": "image", "uri": "https://example.com/a.png"}]},
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "Hm."},
                                        {"type": "tool_call", "id": "c1", "name": "read", "arguments": {"path": "a"}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "text of a"}]},
    ]  # fmt: skip


def test_a_picture_of_a_megabyte_stays_out():
    url = "data:image/png;base64," + "A" * 1_000_000
    (message,) = input_messages([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])
    assert message["parts"][0]["type"] == "image_url" and message["parts"][0]["omitted"] > 1_000_000
    assert len(str(message)) < 200


def test_the_choices_of_an_answer():
    answer = {"choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"},
        {"index": 1, "message": {"content": None, "tool_calls": [CALL | {"function": {"name": "f", "arguments": "{bro"}}]},
         "finish_reason": "tool_calls"},
        {"index": 2, "text": "older", "finish_reason": None},
    ]}  # fmt: skip
    assert output_messages(answer) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hi"}], "finish_reason": "stop"},
        {"role": "assistant", "finish_reason": "tool_call",
         "parts": [{"type": "tool_call", "id": "c1", "name": "f", "arguments": "{bro"}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "older"}], "finish_reason": "error"},
    ]  # fmt: skip


FIELDS = ("role", "content", "tool_calls", "function", "name", "arguments", "choices", "message", "text", "type", "id",
          "finish_reason", "image_url", "url", "reasoning", "tool_call_id")  # fmt: skip
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=15,
)


@given(junk)
def test_anything_can_be_told(value):
    for messages in (input_messages(value), input_messages([value]), output_messages(value),
                     output_messages({"choices": [value]})):  # fmt: skip
        for message in messages:
            assert isinstance(message["role"], str) and all(isinstance(part["type"], str) for part in message["parts"])
