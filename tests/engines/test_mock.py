import json
import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.call import Timeouts, UpstreamCall
from app.config import Settings
from app.engines import engine_for, mock
from app.errors import ClientGone, ConfigError, InvalidRequest, UpstreamError, UpstreamTimeout, UpstreamTruncated
from app.trace import Trace
from app.utils.model_resolver import resolve_model

MODES = (False, True)
FUNCTION = {
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}, "more": {}},
        "required": ["city", "days"],
    },
}
TOOLS = [{"type": "function", "function": {"name": "other"}}, {"type": "function", "function": FUNCTION}]
WRITE = {"name": "write", "arguments": {"path": "a b", "content": "x"}}


def target_with(**options):
    provider = {"mock": {"options": {"engine": "mock", **options}, "models": {"mock-model": {}}}}
    return resolve_model("mock-model", Settings.load({}, dotenv=False, opencode={"provider": provider}))


def new_call(**fields):
    return UpstreamCall(Trace("POST", "/v1/chat/completions"), **fields)


def request(text="Hello!", **fields):
    return {"model": "mock-model", "messages": [{"role": "user", "content": text}], **fields}


def streamed(body, call=None, **options):
    """Stream an answer; return its chunks."""
    return [chunk for batch in mock.stream(body, target_with(**options), call or new_call()) for chunk in batch]


def answered(body, stream=False, call=None, **options):
    """Ask in one of the two modes; return texts, thoughts, tool calls and finish_reason of each choice, and usage."""
    if not stream:
        answer = mock.complete(body, target_with(**options), call or new_call())
        choices = [{**choice["message"], "finish_reason": choice["finish_reason"]} for choice in answer["choices"]]
        return choices, answer.get("usage")
    chunks = streamed({**body, "stream_options": {"include_usage": True}}, call, **options)
    return [assembled(chunks, index) for index in sorted(indexes(chunks))], chunks[-1].get("usage")


def indexes(chunks):
    return {choice["index"] for chunk in chunks for choice in chunk["choices"]}


def assembled(chunks, index):
    message = {"content": None, "finish_reason": None}
    for choice in (choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index):
        for name in ("content", "reasoning_content"):
            if choice["delta"].get(name) is not None:
                message[name] = (message.get(name) or "") + choice["delta"][name]
        for call in choice["delta"].get("tool_calls", ()):
            calls = message.setdefault("tool_calls", [])
            if call["index"] == len(calls):
                calls.append({"id": call["id"], "type": call["type"], "function": dict(call["function"])})
            else:
                calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
        message["finish_reason"] = message["finish_reason"] or choice["finish_reason"]
    return message


def only(body, stream=False, **options):
    choices, _ = answered(body, stream, **options)
    assert len(choices) == 1
    return choices[0]


# --- the shape of an answer -----------------------------------------------------------------------------------------


def test_the_engine_is_found_by_its_name():
    assert engine_for("mock") is mock


def test_a_whole_answer_has_openais_shape():
    answer = mock.complete(request("Hello you!"), target_with(), new_call())
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{12}", answer.pop("id"))
    assert isinstance(answer.pop("created"), int)
    message = {"role": "assistant", "content": "Hello you!", "refusal": None}
    assert answer == {
        "object": "chat.completion",
        "model": "mock-model",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
    }


def test_a_stream_has_one_chunk_for_each_word_and_the_same_head_on_all():
    chunks = streamed(request("Based on the  context,\n\nI say. "))
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk["model"] for chunk in chunks} == {"mock-model"}
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{12}", chunks[0]["id"])
    assert [(chunk["choices"][0]["delta"], chunk["choices"][0]["finish_reason"]) for chunk in chunks] == [
        ({"role": "assistant", "content": ""}, None),
        *(({"content": word}, None) for word in ("Based ", "on ", "the  ", "context,\n\n", "I ", "say. ")),
        ({}, "stop"),
    ]
    assert all("usage" not in chunk for chunk in chunks)


def test_two_answers_have_two_ids():
    assert len({mock.complete(request(), target_with(), new_call())["id"] for _ in range(20)}) == 20


def test_usage_comes_last_in_a_stream_that_asked_for_it():
    chunks = streamed(request("x" * 40, stream_options={"include_usage": True}))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    assert chunks[-1]["id"] == chunks[0]["id"]
    assert [chunk for chunk in chunks if "usage" in chunk] == chunks[-1:]


@pytest.mark.parametrize("stream", MODES)
def test_n_choices(stream):
    choices, usage = answered(request("one two", n=3), stream)
    assert [choice["content"] for choice in choices] == ["one two"] * 3
    assert usage["completion_tokens"] == 3


def test_n_choices_advance_side_by_side():
    batches = list(mock.stream(request("one two", n=2), target_with(), new_call()))
    assert [[choice["index"] for chunk in batch for choice in chunk["choices"]] for batch in batches] == [[0, 1]] * 4


@given(st.text())
def test_pieces_join_to_the_whole_text(text):
    whole = only(request(text))
    assert only(request(text), True)["content"] == whole["content"]
    assert whole["content"] == (text if text.strip() else whole["content"])


@given(st.text(), st.integers(), st.integers(1, 4))
def test_any_seed_gives_the_same_text_in_both_modes_each_time(text, seed, n):
    body = request(text, seed=seed, n=n)
    first = [choice["content"] for choice in answered(body)[0]]
    assert first == [choice["content"] for choice in answered(body)[0]]
    assert first == [choice["content"] for choice in answered(body, True)[0]]


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


def test_the_request_field_goes_before_the_message_and_that_before_the_configuration(tmp_path):
    script = {"text": "configured"}
    path = tmp_path / "script.json"
    path.write_text(json.dumps(script))
    assert only(request(), script=script)["content"] == "configured"
    assert only(request(), script=str(path))["content"] == "configured"
    said = request('mock-script: {"text": "said"}')
    assert only(said, script=script)["content"] == "said"
    assert only({**said, "mock": {"text": "field"}}, script=script)["content"] == "field"


def test_the_mock_script_variable_names_a_file(tmp_path, monkeypatch):
    path = tmp_path / "script.json"
    path.write_text('{"text": "from the environment"}')
    monkeypatch.setenv("GATEWAY_MOCK_SCRIPT", str(path))
    assert only(request())["content"] == "from the environment"


@pytest.mark.parametrize(
    "options",
    (
        {"script": "/nowhere/script.json"},
        {"script": {"txet": 1}},
        {"delay": "fast"},
        {"reply": "sing"},
        {"script": __file__},
    ),
)
def test_a_bad_option_is_the_configurations_fault(options):
    with pytest.raises(ConfigError):
        only(request(), **options)


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


@pytest.mark.parametrize(
    ("step", "pieces"),
    (
        ({}, ["", '{"path": ', '"a ', 'b", ', '"content": ', '"x"}']),
        ({"arguments_pieces": 12}, ["", '{"path": "a ', 'b", "content', '": "x"}']),
        ({"chunk": "whole"}, ['{"path": "a b", "content": "x"}']),
        ({"chunk": "whole", "arguments_pieces": 20}, ['{"path": "a b", "con', 'tent": "x"}']),
    ),
)
def test_arguments_come_in_pieces(step, pieces):
    chunks = streamed(request(mock={"tool_calls": [WRITE], **step}))
    calls = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert [call["function"]["arguments"] for call in calls] == pieces
    assert [call["index"] for call in calls] == [0] * len(pieces)
    assert [("id" in call, "name" in call["function"]) for call in calls] == [
        (True, True),
        *[(False, False)] * (len(pieces) - 1),
    ]


@pytest.mark.parametrize(("chunk", "pieces"), (("char", list("a bc")), ("whole", ["a bc"]), ("word", ["a ", "bc"])))
def test_text_comes_in_pieces(chunk, pieces):
    chunks = streamed(request("a bc", mock={"chunk": chunk}))
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks[1:-1]] == pieces


def test_raw_chunks_and_answers_are_sent_as_they_are():
    raw = [{"any": 1}, [{"two": 2}, {"three": 3}], []]
    assert list(mock.stream(request(mock={"raw_chunks": raw}), target_with(), new_call())) == [[{"any": 1}], raw[1], []]
    assert mock.complete(request(mock={"raw_answer": {"any": 1}}), target_with(), new_call()) == {"any": 1}
    assert streamed(request(mock={"raw_chunks": []})) == []


# --- faults and time ------------------------------------------------------------------------------------------------

REFUSAL = {"status": 429, "message": "slow down", "code": "quota", "retry_after": 2.5}


@pytest.mark.parametrize("stream", MODES)
def test_a_refusal_comes_before_anything_with_status_and_retry_after(stream):
    with pytest.raises(UpstreamError) as refused:
        answered(request(mock={"error": REFUSAL}), stream)
    error = refused.value
    assert (error.status, error.type, error.code, str(error)) == (429, "rate_limit_error", "quota", "slow down")
    assert error.headers == error.upstream_headers == {"Retry-After": "2.5"}
    assert error.upstream_status == 429
    assert json.loads(error.upstream_body)["error"]["message"] == "slow down"


def test_an_error_without_details_is_a_500():
    with pytest.raises(UpstreamError) as refused:
        only(request(mock={"error": {}}))
    assert (refused.value.status, refused.value.type, refused.value.headers) == (500, "server_error", {})


@pytest.mark.parametrize(("after", "sent"), ((0, 0), (1, 1), (3, 3), (99, 5)))
@pytest.mark.parametrize("error", (None, REFUSAL))
def test_an_error_within_a_stream(after, sent, error):
    step = {"text": "a b c", "error_after": after} | ({"error": error} if error else {})
    batches = mock.stream(request(mock=step), target_with(), new_call())
    with pytest.raises(UpstreamError):
        for _ in range(9):
            next(batches)
            sent -= 1
    assert sent == 0


@pytest.mark.parametrize(("after", "sent"), ((0, 0), (2, 2), (99, 5)))
def test_a_cut_stream_ends_without_done(after, sent):
    call = new_call()
    assert len(streamed(request(mock={"text": "a b c", "cut_after": after}), call)) == sent
    assert call.saw_done is False


def test_a_stream_that_ends_well_says_so():
    call = new_call()
    streamed(request(), call)
    assert call.saw_done is True


def test_a_whole_answer_fails_where_its_stream_would():
    with pytest.raises(UpstreamError):
        only(request(mock={"error_after": 3}))
    with pytest.raises(UpstreamTruncated):
        only(request(mock={"cut_after": 3}))


@pytest.mark.parametrize(("after", "sent"), ((0, 0), (2, 2), (99, 3)))
def test_a_stall_within_the_limits_sends_empty_batches_and_goes_on(after, sent):
    call = new_call(keep_alive=0.02)
    batches = list(mock.stream(request(mock={"stall_after": after, "seconds": 0.4}), target_with(), call))
    empty = [number for number, batch in enumerate(batches) if not batch]
    assert 1 <= len(empty) <= 20
    assert empty == list(range(sent, sent + len(empty)))
    assert len(batches) - len(empty) == 3


@pytest.mark.parametrize(("after", "limits"), ((0, Timeouts(9, 0.01, 9)), (1, Timeouts(9, 9, 0.01))))
def test_a_stall_beyond_the_limits_is_a_timeout(after, limits):
    with pytest.raises(UpstreamTimeout):
        streamed(request(mock={"stall_after": after, "seconds": 60}), new_call(timeouts=limits))


def test_a_whole_answer_that_stalls_too_long_is_a_timeout():
    with pytest.raises(UpstreamTimeout):
        only_call = new_call(timeouts=Timeouts(9, 0.01, 9))
        mock.complete(request(mock={"stall_after": 2, "seconds": 60}), target_with(), only_call)


@pytest.mark.parametrize("step", ({"stall_after": 1, "seconds": 200}, {"delay": 200}))
@pytest.mark.parametrize("stream", MODES)
def test_a_client_that_goes_away_ends_the_wait(step, stream):
    call = new_call()
    timer = threading.Timer(0.05, call.cancel.cancel)
    timer.start()
    with pytest.raises(ClientGone):
        answered(request(mock=step), stream, call)
    timer.join()


@pytest.mark.parametrize("stream", MODES)
def test_a_client_that_has_gone_gets_nothing_more(stream):
    call = new_call()
    call.cancel.cancel()
    with pytest.raises(ClientGone):
        answered(request(), stream, call)


def test_the_delay_of_the_configuration_is_waited_between_words():
    call = new_call(keep_alive=0.001)
    batches = list(mock.stream(request(), target_with(delay=0.3), call))
    assert batches[0] and not batches[1], "the first chunk comes at once, the second later"
    assert answered(request(mock={"delay": 0}), True, delay=86400)[0][0]["content"] == "Hello!"
