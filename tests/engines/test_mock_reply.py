import json
import re

import pytest

from app.engines import mock
from app.errors import InvalidRequest
from tests.engines.mock_asking import MODES, TOOLS, WRITE, answered, new_call, only, request, target_with

# --- what is said without a script ----------------------------------------------------------------------------------


def test_canned_texts_by_seed():
    texts = {only(request(seed=seed))["content"] for seed in range(20)}
    assert len(texts) == 7
    assert "Based on the context, I recommend this approach..." in texts
    assert only(request(seed=3), reply="echo")["content"] == "Hello!"
    assert only(request(), reply="canned")["content"] in texts
    assert only(request(seed=1))["content"] != only(request(seed=2))["content"]


def test_parts_are_echoed_with_images_named():
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
    ]
    assert only(request(parts))["content"] == "What is it?\n[image]"


@pytest.mark.parametrize("stream", MODES)
@pytest.mark.parametrize("text", ("", " \n", None))
def test_says_something_when_nothing_was_said(text, stream):
    assert only(request(text), stream)["content"] == "Based on the context, I recommend this approach..."


@pytest.mark.parametrize("stream", MODES)
@pytest.mark.parametrize(
    ("fields", "text", "finish"),
    (
        ({"stop": "two"}, "one ", "stop"),
        ({"stop": ["three", "two"]}, "one ", "stop"),
        ({"stop": []}, "one two three four", "stop"),
        ({"stop": ["", None]}, "one two three four", "stop"),
        ({"max_tokens": 2}, "one two ", "length"),
        ({"max_completion_tokens": 2, "max_tokens": 1000}, "one two ", "length"),
        ({"max_tokens": 2, "stop": "two"}, "one ", "stop"),
        ({"max_tokens": 4}, "one two three four", "stop"),
        ({"max_tokens": None}, "one two three four", "stop"),
    ),
)
def test_stop_and_token_limits_are_honoured(fields, text, finish, stream):
    choice = only(request("one two three four", **fields), stream)
    assert (choice["content"], choice["finish_reason"]) == (text, finish)


@pytest.mark.parametrize("stream", MODES)
def test_json_is_answered_where_it_is_asked_for(stream):
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    asked = {"type": "json_schema", "json_schema": {"name": "A", "schema": schema, "strict": True}}
    assert json.loads(only(request(response_format=asked), stream)["content"]) == {"ok": False}
    assert json.loads(only(request(response_format={"type": "json_object"}), stream)["content"]) == {"text": "Hello!"}
    assert only(request(response_format={"type": "text"}), stream)["content"] == "Hello!"


@pytest.mark.parametrize("stream", MODES)
@pytest.mark.parametrize(
    ("choice", "name", "arguments"),
    (
        ({"type": "function", "function": {"name": "get_weather"}}, "get_weather", {"city": "text", "days": 1}),
        ("required", "other", {}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": TOOLS[1:]}},
            "get_weather",
            {"city": "text", "days": 1},
        ),
    ),
)
def test_a_forced_tool_is_called_with_valid_arguments(choice, name, arguments, stream):
    message = only(request(tools=TOOLS, tool_choice=choice), stream)
    (call,) = message["tool_calls"]
    assert (message["content"], message["finish_reason"]) == (None, "tool_calls")
    assert (call["type"], call["function"]["name"]) == ("function", name)
    assert re.fullmatch(r"call_[0-9a-f]{24}", call["id"])
    assert json.loads(call["function"]["arguments"]) == arguments


@pytest.mark.parametrize("choice", ("auto", "none", None))
def test_tools_that_are_not_forced_are_not_called(choice):
    message = only(request(tools=TOOLS, tool_choice=choice))
    assert message["content"] == "Hello!"
    assert "tool_calls" not in message


def test_a_forced_tool_that_is_not_offered_is_refused():
    with pytest.raises(InvalidRequest) as refused:
        only(request(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "nope"}}))
    assert refused.value.param == "tool_choice"


@pytest.mark.parametrize("choice", ("auto", "required"))
def test_tool_results_are_mentioned(choice):
    called = [{"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in "ab"]
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": called},
        {"role": "tool", "tool_call_id": "a", "content": "sunny"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "rainy"}]},
    ]
    message = only({"model": "m", "messages": messages, "tools": TOOLS, "tool_choice": choice})
    assert message["content"] == "The tool answered: sunny\nrainy"
    assert message["finish_reason"] == "stop"


def title_request(text):
    system = {"role": "system", "content": "You are a title generator. You output ONLY a thread title."}
    asked = {"role": "user", "content": "Generate a title for this conversation:\n"}
    return {"model": "m", "messages": [system, asked, {"role": "user", "content": text}]}


@pytest.mark.parametrize(
    ("text", "title"),
    (
        ('"Do exactly this and nothing else, please"', "Do exactly this and nothing else,"),
        ('"mock-script: {"text": "x"}"', "Mock conversation"),
    ),
)
def test_a_title_is_short_and_no_turn_of_the_script(text, title):
    assert only(title_request(text))["content"] == title
    assert only({**title_request("Name it"), "mock": {"error": {}}})["content"] == "Name it"


# --- scripts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", MODES)
def test_an_agent_is_led_from_tool_call_to_tool_call_to_text(stream):
    turns = [{"tool_calls": [WRITE]}, {"text": "Now: ", "tool_calls": [WRITE, WRITE]}, {"text": "I saw {{last_tool}}"}]
    messages = [{"role": "user", "content": "Do it.\nmock-script: " + json.dumps({"turns": turns})}]
    seen = []
    for _ in range(4):
        message = only({"model": "m", "messages": messages, "tools": TOOLS, "tool_choice": "auto"}, stream)
        seen.append((message["content"], len(message.get("tool_calls", ())), message["finish_reason"]))
        messages.append({"role": "assistant", **message})
        for call in message.get("tool_calls", ()):
            assert json.loads(call["function"]["arguments"]) == WRITE["arguments"]
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": "done"})
    assert seen == [
        (None, 1, "tool_calls"),
        ("Now: ", 2, "tool_calls"),
        ("I saw done", 0, "stop"),
        ("Do it.", 0, "stop"),
    ]
    assert len({message["tool_call_id"] for message in messages if message["role"] == "tool"}) == 3


@pytest.mark.parametrize("stream", MODES)
def test_a_bad_scenario_is_refused_at_once(stream):
    with pytest.raises(InvalidRequest, match=r"mock scenario: turns\[0\]\.txet is not known"):
        (mock.stream if stream else mock.complete)(request(mock={"turns": [{"txet": 1}]}), target_with(), new_call())


@pytest.mark.parametrize("stream", MODES)
@pytest.mark.parametrize(
    ("step", "expected"),
    (
        ({"reasoning": "let me see", "text": "yes"}, {"content": "yes", "reasoning_content": "let me see"}),
        ({"reasoning": "hm"}, {"content": "Hello!", "reasoning_content": "hm"}),
        ({"text": "{{last_user}} again"}, {"content": "Hello! again"}),
        ({"empty": True}, {"content": "", "finish_reason": "stop"}),
        ({"empty": True, "text": "not said"}, {"content": ""}),
        ({"finish_reason": "MAX_TOKENS"}, {"content": "Hello!", "finish_reason": "MAX_TOKENS"}),
        ({"finish_reason": None}, {"content": "Hello!", "finish_reason": None}),
        ({"tool_calls": [WRITE], "finish_reason": "stop"}, {"content": None, "finish_reason": "stop"}),
        (
            {"expect": "ok", "tool_calls": [WRITE]},
            {"content": "The mock expected 'ok' in the last tool result, but it was: (there is none)"},
        ),
    ),
)
def test_what_a_step_says(step, expected, stream):
    message = only(request(mock=step), stream)
    assert {name: message.get(name) for name in expected} == expected


def test_expect_looks_at_the_last_tool_result():
    turns = {"turns": [{"tool_calls": [WRITE]}, {"expect": "success", "text": "fine"}]}
    asked = request(mock=turns)["messages"] + [{"role": "assistant", "content": ""}]
    good, bad = ([*asked, {"role": "tool", "content": text}] for text in ("a success", "denied"))
    assert only({"messages": good, "mock": turns})["content"] == "fine"
    assert only({"messages": bad, "mock": turns})["content"].endswith("but it was: denied")


@pytest.mark.parametrize("stream", MODES)
def test_usage_is_counted_or_what_the_script_says(stream):
    assert answered(request(mock={"usage": {"total_tokens": 7}}), stream)[1] == {"total_tokens": 7}
    assert answered(request(mock={"usage": False}), stream)[1] is None
    counted = answered(
        request("x" * 8, mock={"reasoning": "y" * 8, "tool_calls": [{"name": "four", "arguments": "{}  "}]}), stream
    )[1]
    assert (counted["completion_tokens"], counted["completion_tokens_details"]) == (4, {"reasoning_tokens": 2})


@pytest.mark.parametrize("stream", MODES)
def test_arguments_are_sent_as_they_are_and_ids_may_be_bad(stream):
    calls = [{"name": "f", "arguments": "{broken", "id": ""}, {"name": "g"}]
    sent = only(request(mock={"tool_calls": calls}), stream)["tool_calls"]
    assert sent[0] == {"id": "", "type": "function", "function": {"name": "f", "arguments": "{broken"}}
    assert sent[1]["function"] == {"name": "g", "arguments": "{}"}
