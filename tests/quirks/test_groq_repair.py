"""What is read in a refused generation, and what becomes of the turn. The spellings are those of public reports."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import UpstreamError
from app.quirks.answer import TurnUnusable
from app.quirks.groq_repair import Refusal, may_allow, read_generation, read_refusal
from app.quirks.report import Report
from tests.quirks.answers import FakeTarget, calls, delta, finishes, run_stream, run_whole, text, tool

ERRORS = json.loads((Path(__file__).parent.parent / "fixtures" / "groq" / "errors.json").read_text("utf-8"))


def declared(name: str, **types: str) -> dict[str, Any]:
    properties = {key: {"type": kind} for key, kind in types.items()}
    schema = {"type": "object", "properties": properties, "required": list(types)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS = [
    declared("read", path="string"),
    declared("get_weather", city="string"),
    declared("web_search", query="string", filter_year="integer"),
    declared("turn_off", domain="array"),
    declared("now"),
]
BODY = {"messages": [{"role": "user", "content": "x"}], "tools": TOOLS, "stream_options": {"include_usage": True}}
READ = [("read", {"path": "a"})]
FAILED = "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details."


def called(generation: str, message: str = FAILED, **body: Any) -> list[tuple[str, dict]] | None:
    found = read_generation(Refusal(message, generation), BODY | body)
    return None if found is None else [(call.name, json.loads(call.arguments)) for call in found.calls]


@pytest.mark.parametrize(
    "generation",
    (
        '{"name": "read", "arguments": {\n  "path": "a"\n}}',
        '{"name": "functions.read", "arguments": {"path": "a"}}',
        '{"name": "read<|channel|>commentary", "arguments": {"path": "a"}}',
        '{"name": "read", "arguments": "{\\"path\\": \\"a\\"}"}',
        '{"type": "function", "name": "read", "parameters": {"path": "a"}}',
        '[{"name": "read", "arguments": {"path": "a"}}]',
        '{\\"name\\": \\"read\\", \\"arguments\\": {\\n \\"path\\": \\"a\\"}}',
        '```\n{"tool_calls": [{"id": "pending", "type": "function", "function": {"name": "read"}, '
        '"parameters": {"path": "a"}}]}\n```',
        '<tool-use>\n{"tool_calls": [{"function": {"name": "read"}, "parameters": {"path": "a"}}]}\n</tool-use>',
        '<tool_call>{"name": "read", "arguments": {"path": "a"}}</tool_call>',
        '<tool_call>\n{"name": "read", "arguments": {"path": "a"}}\n',
        '<function=read>{"path": "a"}</function>',
        '<function=read={"path": "a"}</function>',
        '<function=read[]{"path": "a"}</function>',
        '<function=read{"path": "a"}</function>',
        '<function=read {"path": "a"}></function>',
        '<function=read({"path": "a"})></function>',
        '<function=read({"path": "a"})</function>',
        '<function=read>{"path": "a"}',
        '<function=read {"path": "a"}>',
        '<function=read,{"path": "a"}>',
        '<function(read)>{"path": "a"}</function>',
        'read {"path": "a"}',
        'read({"path": "a"})',
        '(function=read>{"path": "a"}</function>',
        'read{"path": "a"}</function>',
        '<|python_tag|>{"name": "read", "parameters": {"path": "a"}}<|eom_id|>',
        '<|channel|>commentary to=functions.read <|constrain|>json<|message|>{"path": "a"}<|call|>',
        '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant to=functions.read<|channel|>commentary json'
        '<|message|>{"path": "a"}',
    ),
)
def test_a_call_is_read(generation):
    assert called(generation) == READ
    assert read_generation(Refusal(FAILED, generation), BODY).text == ""


@pytest.mark.parametrize(
    ("generation", "expected"),
    (
        (
            '[{"name": "read", "arguments": {"path": "a"}}, {"name": "get_weather", "parameters": {"city": "b"}}]',
            [*READ, ("get_weather", {"city": "b"})],
        ),
        (
            '<function=read>{"path": "a"}</function>\n<function=get_weather{"city": "b"}</function>',
            [*READ, ("get_weather", {"city": "b"})],
        ),
        ('{"name": "turn_off", "arguments": {"domain": "light"}}', [("turn_off", {"domain": ["light"]})]),
        (
            'web_search{"query": "SPFMV", \n"filter_year": "2016"}</function>',
            [("web_search", {"query": "SPFMV", "filter_year": 2016})],
        ),
        ("<function=now></function>", [("now", {})]),
        (
            '{"name": "read", "arguments": {"path": "<b>})></function></b><|python_tag|>"}}',
            [("read", {"path": "<b>})></function></b><|python_tag|>"})],
        ),
        (
            '<function=read>{"path": "<function=now>{}</function>"}</function>',
            [("read", {"path": "<function=now>{}</function>"})],
        ),
        ('<function=read {"path": "<function=now/>}>"}>', [("read", {"path": "<function=now/>}>"})]),
        ('read({"path": "function f() {}"})', [("read", {"path": "function f() {}"})]),
        ("<function=now/>", [("now", {})]),
        ("<function=now()</function>", [("now", {})]),
    ),
)
def test_calls_are_read(generation, expected):
    assert called(generation) == expected


def test_words_before_a_call_and_thoughts_are_kept():
    found = read_generation(Refusal(FAILED, 'I will look.\n<function=read{"path": "a"}</function>'), BODY)
    assert found is not None and (found.text, found.reasoning) == ("I will look.", "")
    harmony = '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant to=functions.now<|message|>{}<|call|>'
    found = read_generation(Refusal(FAILED, harmony), BODY)
    assert found is not None and (found.text, found.reasoning, len(found.calls)) == ("", "Hm.", 1)


def test_one_call_where_only_one_may_be_made():
    two = '[{"name": "read", "arguments": {"path": "a"}}, {"name": "now", "arguments": {}}]'
    assert called(two, parallel_tool_calls=False) == READ


@pytest.mark.parametrize(
    "generation",
    (
        "",
        "...",
        '{"name": "repo_browser.open_file", "arguments": {"path": "a"}}',
        '[{"name": "read", "arguments": {"path": "a"}}, {"name": "nobody", "arguments": {}}]',
        '<function=read>{"path": "a"}</function> <function=nobody>{}</function>',
        '<|channel|>commentary to=functions.nobody <|constrain|>json<|message|>{"path": "a"}<|call|>',
        "<|channel|>commentary to=python code<|message|>print(1)<|call|>",
        '{"name": "read", "arguments": {"path": "a',
        '<function=read>{"path": "a',
        '<|channel|>commentary to=functions.read <|constrain|>json<|message|>{"path": "a',
        '{"path": "a"}',
        "import csv\\nmax_country=None...",
        "import csv\nwith open('a') as f:\n    pass",
        'print("hello")',
        "x = read('a')",
        'nobody({"path": "a"})',
        "<function=nobody/>",
        "```python\nread('a')\n```",
        "Tool use failed: JSON does not match the expected schema for tool calls",
    ),
)
def test_what_cannot_be_read(generation):
    assert called(generation) is None


@pytest.mark.parametrize("words", ["I need to know the city first.", "Done.", "Die Datei ist leer.", "`a.py` holds x = 1"])
def test_words_are_an_answer(words):
    found = read_generation(Refusal(FAILED, words), BODY)
    assert found is not None and (found.text, found.calls) == (words, ())
    assert called(words, "Failed to parse tool call arguments as JSON") is None, "these are no words of an answer"


def test_what_is_said_in_place_of_a_forced_call():
    message = "Tool choice is required, but model did not call a tool"
    forced = {"tool_choice": {"type": "function", "function": {"name": "read"}}}
    assert called('{"path": "a"}', message, **forced) == READ
    assert called('{"path": "a"}', message, tools=TOOLS[:1], tool_choice="required") == READ
    assert called('{"path": "a"}', message, tool_choice="required") is None, "which tool?"
    assert called('{"city": "a"}', message, **forced) is None
    assert called("```python\nx = 1\n```", message, tool_choice="required") == []


@given(st.text() | st.text(alphabet='{}[]<>()|"\\=/:,` \nfunctiontol_callreadmessagechannel', max_size=200))
def test_nothing_raises(generation):
    found = read_generation(Refusal(FAILED, generation), BODY)
    assert found is None or all(call.name in ("read", "get_weather", "web_search", "turn_off", "now") for call in found.calls)


@given(st.dictionaries(st.sampled_from(["path"]), st.text(), min_size=1))
def test_arguments_come_through_as_they_are(arguments):
    whole = json.dumps({"name": "read", "arguments": arguments})
    assert called(whole) == [("read", arguments)]


@pytest.mark.parametrize("piece", ["<function=", "<tool_call>", "<|channel|>", "} ", "word ", '"name": "', "{", "\\n", "x = "])
def test_long_generations_come_to_an_end(piece):
    """The generation of a refused call may be a whole file; what cannot be read is not read for minutes."""
    assert called(piece * 40_000) == called(piece * 5_000)


@pytest.mark.parametrize(
    ("body", "expected"),
    (
        (ERRORS[2]["body"], Refusal(FAILED, "...")),
        ({"code": "tool_use_failed", "message": "m"}, Refusal("m", "")),
        ({"error": {"code": "tool_use_failed", "message": None, "failed_generation": 3}}, Refusal("", "")),
        (ERRORS[3]["body"], None),
        ({"error": {"code": "output_parse_failed", "message": "m", "failed_generation": "x"}}, Refusal("m", "x")),
        ({"error": {"code": "other", "message": "tool_use_failed"}}, None),
        ({"error": "tool_use_failed"}, None),
        (["tool_use_failed"], None),
        (None, None),
    ),
)
def test_which_errors_are_refused_calls(body, expected):
    assert read_refusal(json.dumps(body).encode() if body is not None else None) == expected
    assert read_refusal(b"tool_use_failed {") is None


@pytest.mark.parametrize(
    ("body", "options", "mode", "expected"),
    (
        ({"tools": TOOLS, "tool_choice": "none"}, {}, "fix", True),
        ({"tools": TOOLS, "tool_choice": {"type": "none"}}, {}, "fix", True),
        ({"tools": TOOLS, "tool_choice": "auto"}, {}, "fix", False),
        ({"tool_choice": "none"}, {}, "fix", False),
        ({"tools": TOOLS, "tool_choice": "none"}, {"toolChoiceNone": "keep"}, "fix", False),
        ({"tools": TOOLS, "tool_choice": "none"}, {}, "off", False),
        ({"tools": TOOLS, "tool_choice": "none"}, {}, "warn", False),
    ),
)
def test_when_tools_may_be_allowed(body, options, mode, expected):
    assert may_allow(body, options, mode) is expected


# --- what becomes of the turn ---------------------------------------------------------------------------------------


def error(generation: str, message: str = FAILED) -> dict:
    return {"error": {"message": message, "type": "invalid_request_error", "code": "tool_use_failed",
                      "failed_generation": generation, "status_code": 400}}  # fmt: skip


def refusal(generation: str, message: str = FAILED) -> UpstreamError:
    body = json.dumps(error(generation, message)).encode()
    return UpstreamError("The upstream answered 400.", status=400, upstream_status=400, upstream_body=body)


CALL = '{"name": "read", "arguments": {"path": "a"}}'


def test_a_refusal_becomes_the_answer_it_holds():
    report = Report()
    for answer in (refusal(CALL), error(CALL)):
        made = run_whole(answer, body=BODY, report=report)
        message, finish = made["choices"][0]["message"], made["choices"][0]["finish_reason"]
        assert finish == "tool_calls" and message["content"] is None
        (call,) = message["tool_calls"]
        assert call["function"] == {"name": "read", "arguments": '{"path":"a"}'} and call["id"].startswith("call_")
    assert report.counts["groq.failed_generation"] == 2


def test_a_refusal_in_a_stream_becomes_the_rest_of_it():
    chunks = run_stream([delta(role="assistant", reasoning="Hm."), delta(content="I look."), error(CALL)], body=BODY)
    assert (text(chunks), text(chunks, "reasoning_content")) == ("I look.", "Hm.")
    assert [call["function"]["name"] for call in calls(chunks)] == ["read"]
    assert finishes(chunks) == ["tool_calls"]
    assert chunks[-1]["usage"]


def test_words_that_were_said_are_not_said_twice():
    said = 'I look.\n<function=read>{"path": "a"}</function>'
    chunks = run_stream([delta(content="I look."), error(said)], body=BODY)
    assert text(chunks) == "I look." and len(calls(chunks)) == 1


def test_a_call_that_was_begun_gives_way_to_the_whole_one():
    begun = delta(tool_calls=[tool("read<|channel|>", "")])
    chunks = run_stream([begun, error(CALL)], body=BODY)
    assert [call["function"] for call in calls(chunks)] == [{"name": "read", "arguments": '{"path":"a"}'}]


def test_a_name_that_was_changed_on_its_way_is_changed_back():
    report = Report()
    report.renames = {"read": "my.read"}
    made = run_whole(refusal(CALL), body=BODY, report=report)
    assert made["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "my.read"


@pytest.mark.parametrize("answer", [refusal("import csv"), error("import csv")], ids=["refused", "in a 200"])
def test_what_cannot_be_read_is_asked_for_once_more_and_then_told(answer):
    with pytest.raises(TurnUnusable):
        run_whole(answer, body=BODY)
    with pytest.raises(UpstreamError) as caught:
        run_whole(answer, body=BODY, last_attempt=True)
    assert caught.value.status == 400 and not isinstance(caught.value, TurnUnusable)
    if isinstance(answer, UpstreamError):
        assert caught.value.upstream_body == answer.upstream_body, "as it came"


def test_what_cannot_be_read_after_the_first_word_is_told():
    with pytest.raises(UpstreamError) as caught:
        run_stream([delta(content="I look."), error("import csv")], body=BODY)
    assert (caught.value.status, caught.value.code) == (400, "tool_use_failed")


def test_arguments_that_do_not_fit_are_asked_for_again_and_then_passed_on():
    generation = '{"name": "web_search", "arguments": {"query": "x"}}'
    message = "tool call validation failed: parameters for tool web_search did not match schema"
    with pytest.raises(TurnUnusable):
        run_whole(refusal(generation, message), body=BODY)
    made = run_whole(refusal(generation, message), body=BODY, last_attempt=True)
    assert made["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"query":"x"}'


def test_words_in_place_of_a_call_that_must_be_made():
    message = "Tool choice is required, but model did not call a tool"
    with pytest.raises(TurnUnusable):
        run_whole(refusal("I cannot.", message), body=BODY | {"tool_choice": "required"})
    made = run_whole(refusal("I cannot.", message), body=BODY | {"tool_choice": "required"}, last_attempt=True)
    choice = made["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("I cannot.", "stop")
    chunks = run_stream([delta(content="I cannot."), error("", message)], body=BODY | {"tool_choice": "required"})
    assert (text(chunks), finishes(chunks)) == ("I cannot.", ["stop"])


def test_a_call_that_may_not_be_made_is_left_to_who_asks_again():
    message = "Tool choice is none, but model called a tool"
    body = BODY | {"tool_choice": "none"}
    with pytest.raises(UpstreamError) as caught:
        run_whole(refusal(CALL, message), body=body)
    assert not isinstance(caught.value, TurnUnusable)
    keeping = FakeTarget(options={"toolChoiceNone": "keep"})
    with pytest.raises(TurnUnusable):
        run_whole(refusal(CALL, message), body=body, target=keeping)
    chunks = run_stream([delta(content="Hm."), error(CALL, message)], body=body)
    assert len(calls(chunks)) == 1, "it is too late to ask again"
    with pytest.raises(UpstreamError):
        run_stream([delta(content="Hm."), error(CALL, message)], body=body, target=keeping)


@pytest.mark.parametrize("mode", ["off", "warn"])
def test_the_rule_may_be_off(mode):
    with pytest.raises(TurnUnusable):
        run_whole(refusal(CALL), body=BODY, modes={"groq.failed_generation": mode})


def test_recorded_refusals():
    expected = {"BerriAI/litellm#21242": None, "OpenHands/OpenHands#10187": None, "groq/groq-typescript#28": None}
    for entry in ERRORS[:3]:
        found = read_refusal(json.dumps(entry["body"]).encode())
        assert found is not None and found.message == entry["body"]["error"]["message"]
        assert read_generation(found, BODY) is expected[entry["source"]]
    open_file = declared("repo_browser.open_file", path="string", line_start="integer", line_end="integer")
    found = read_refusal(json.dumps(ERRORS[0]["body"]).encode())
    assert found is not None
    generation = read_generation(found, {"tools": [open_file]})
    assert generation is not None and generation.calls[0].name == "repo_browser.open_file"


def test_a_generation_may_be_an_object() -> None:
    said = {"name": "read", "arguments": {"path": "a"}}
    for generation in (said, [said]):
        body = {"error": {"message": FAILED, "code": "tool_use_failed", "failed_generation": generation}}
        refusal = read_refusal(json.dumps(body).encode())
        assert refusal is not None and called(refusal.generation) == READ
