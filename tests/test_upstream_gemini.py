"""The endpoint's double: what it refuses, in the real one's words, and how oddly it answers."""

import json

import pytest

from tests.gemini_rules import schema_complaints
from tests.upstream import Recorded
from tests.upstream_gemini import GeminiMode, Turn

USER = {"role": "user", "content": "Go."}
TOOL = {
    "type": "function",
    "function": {"name": "read", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}},
}
CALLS = [("read", {"path": "a"}), ("read", {"path": "b"})]


def ask(gemini, **body):
    """Send one request straight to the mode: status, parsed answer or list of chunks."""
    body = {"model": "gemini-3", "messages": [USER], "tools": [TOOL], **body}
    answer = gemini(Recorded("POST", "/", {}, b"", 0.0, 1, body))
    if answer.headers["Content-Type"] == "application/json":
        return answer.status, json.loads(answer.body)
    lines = answer.body.decode().splitlines()
    return answer.status, [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def step(calls, signature=None):
    """An assistant step with its tool results."""
    encoded = [
        {"id": f"id{i}", "type": "function", "function": {"name": n, "arguments": json.dumps(a)}}
        for i, (n, a) in enumerate(calls)
    ]
    if signature:
        encoded[0]["extra_content"] = {"google": {"thought_signature": signature}}
    results = [{"role": "tool", "tool_call_id": c["id"], "content": "ok"} for c in encoded]
    return [{"role": "assistant", "tool_calls": encoded}, *results]


def refused(gemini, **body):
    status, answer = ask(gemini, **body)
    assert status == 400
    return answer[0]["error"]["message"]


def test_a_stream_of_calls_is_as_odd_as_the_real_one():
    status, chunks = ask(GeminiMode([Turn(calls=CALLS)]), stream=True, stream_options={"include_usage": True})
    calls = [c for chunk in chunks for c in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert status == 200
    assert [c["id"] for c in calls] == ["", ""]
    assert ["extra_content" in c for c in calls] == [True, False]
    assert not any("index" in c for c in calls)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert all(c["usage"]["total_tokens"] == 1320 for c in chunks)


def test_usage_comes_only_when_asked():
    _, chunks = ask(GeminiMode([Turn("Hello")]), stream=True)
    assert not any("usage" in c for c in chunks)


def test_the_script_follows_the_steps_and_signatures_must_come_back():
    gemini = GeminiMode([Turn(calls=CALLS), Turn("Done.")])
    assert "missing a thought_signature" in refused(gemini, messages=[USER, *step(CALLS)])
    assert refused(gemini, messages=[USER, *step(CALLS, "made up")]) == "Corrupted thought signature."
    _, answer = ask(gemini)
    signature = answer["choices"][0]["message"]["tool_calls"][0]["extra_content"]["google"]["thought_signature"]
    for good in (signature, "skip_thought_signature_validator"):
        status, answer = ask(gemini, messages=[USER, *step(CALLS, good)])
        assert (status, answer["choices"][0]["message"]["content"]) == (200, "Done.")
    assert len(gemini.refusals) == 2


def test_only_the_current_turn_is_checked_when_so_set():
    gemini = GeminiMode([Turn("Hello")], current_turn_only=True)
    assert ask(gemini, messages=[USER, *step(CALLS), USER])[0] == 200


@pytest.mark.parametrize("style", ("short", "google"))
def test_ids_can_be_short_or_long(style):
    _, answer = ask(GeminiMode([Turn(calls=CALLS)], id_style=style))
    ids = [c["id"] for c in answer["choices"][0]["message"]["tool_calls"]]
    assert len(set(ids)) == 2
    assert all(len(i) == 8 if style == "short" else i.startswith("function-call-") for i in ids)


def test_a_request_without_tools_gets_a_title():
    _, answer = ask(GeminiMode([Turn("Hello")], title="Files"), tools=None)
    assert answer["choices"][0]["message"]["content"] == "Files"


def test_only_the_last_system_message_is_obeyed():
    gemini = GeminiMode([Turn("Hello")])
    ask(gemini, messages=[{"role": "system", "content": "one"}, {"role": "system", "content": "two"}, USER])
    assert gemini.obeyed_systems == ["two"]


@pytest.mark.parametrize(
    ("messages", "words"),
    (
        ([{"role": "system", "content": "x"}], "contents is not specified"),
        ([USER, {"role": "user", "content": ""}], "contents.parts must not be empty"),
        ([*step(CALLS, "skip_thought_signature_validator")], "comes immediately after a user turn"),
        ([USER, *step(CALLS, "skip_thought_signature_validator")[:-1]], "number of function response parts"),
        ([USER, {"role": "tool", "tool_call_id": "id0", "content": "x"}], "immediately after a function call turn"),
        ([USER, {**USER, "reasoning_content": "x"}], "Unknown name \"reasoning_content\" at 'messages[1]'"),
        ([{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]}], '"cache_control"'),
    ),
)
def test_histories_that_are_refused(messages, words):
    assert words in refused(GeminiMode([Turn("Hello")]), messages=messages)


def test_ids_of_responses_must_match_and_arguments_must_parse():
    messages = [USER, *step(CALLS, "skip_thought_signature_validator")]
    messages[2] = {**messages[2], "tool_call_id": "other"}
    assert "Name cannot be empty" in refused(GeminiMode([Turn("Hello")]), messages=messages)
    broken = [USER, *step(CALLS, "skip_thought_signature_validator")]
    broken[1]["tool_calls"][0]["function"]["arguments"] = "{"
    assert "invalid argument" in refused(GeminiMode([Turn("Hello")]), messages=broken)


@pytest.mark.parametrize("field", ("seed", "store", "frequency_penalty", "metadata", "parallel_tool_calls", "google"))
def test_unknown_parameters_are_refused(field):
    text = refused(GeminiMode([Turn("Hello")]), **{field: 1})
    assert text == f'Invalid JSON payload received. Unknown name "{field}": Cannot find field.'


@pytest.mark.parametrize(
    ("schema", "words"),
    (
        (
            {"type": "object", "$schema": "x", "properties": {"a": {"type": "string"}}},
            "Unknown name \"$schema\" at 'P'",
        ),
        (
            {"type": "object", "properties": {"n": {"type": "integer", "exclusiveMinimum": 0}}},
            "'P.properties[0].value'",
        ),
        ({"type": ["string", "null"]}, "cannot start list"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "P.any_of[1].type' (type"),
        ({"type": "integer", "enum": [7]}, "'P.enum[0]' (TYPE_STRING), 7"),
        ({"type": "string", "enum": [""]}, "cannot be empty"),
        ({"type": "string", "format": "uri"}, "only 'enum' and 'date-time'"),
        ({"type": "object", "properties": {}}, "should be non-empty for OBJECT type"),
        ({"type": "array"}, "items: missing field"),
        ({"type": "array", "items": {"const": 1}}, "Unknown name \"const\" at 'P.items'"),
        ({"description": "x"}, "must be specified"),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]}, "required[0]"),
        (True, "Invalid value"),
    ),
)
def test_schemas_that_are_refused(schema, words):
    assert words in "\n".join(schema_complaints(schema, "P"))


@pytest.mark.parametrize("name", ("pattern", "format", "default", "$schema", "const", "title", "properties"))
def test_names_of_properties_are_not_keywords(name):
    schema = {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}
    assert list(schema_complaints(schema, "P", bounds=True)) == []


def test_bounds_are_refused_only_when_so_set():
    schema = {"type": "string", "pattern": "x"}
    assert list(schema_complaints(schema, "P")) == []
    assert "pattern" in next(schema_complaints(schema, "P", bounds=True))


@pytest.mark.parametrize("name", ("1st", "a b", "x" * 65, ""))
def test_bad_function_names_are_refused(name):
    tool = {"type": "function", "function": {"name": name}}
    assert "Invalid function name" in refused(GeminiMode([Turn("Hello")]), tools=[tool])


def test_each_strictness_can_be_switched_off():
    lax = GeminiMode(
        [Turn("Hello")],
        check_schema=False,
        check_parameters=False,
        check_messages=False,
        check_order=False,
        check_signatures=False,
    )
    bad = {"type": "function", "function": {"name": "1", "strict": True, "parameters": {"$schema": "x"}}}
    assert ask(lax, tools=[bad], seed=1, messages=[*step(CALLS)])[0] == 200
    assert "unsupported" in refused(
        GeminiMode([Turn("Hello")], json_mode_with_tools=False), response_format={"type": "json_object"}
    )
