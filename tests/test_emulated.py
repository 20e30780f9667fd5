"""Tools through a model that has none, over HTTP: prompt in, calls out, whole and streamed, through any engine."""

import json

import pytest

from tests.conftest import provider_at
from tests.upstream_answers import json_answer, sse_answer

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "write",
            "description": "Write a file. More words that no small model needs.",
            "parameters": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "lines": {"type": "integer"}},
                "required": ["path"],
            },
        },
    },
    {"type": "function", "function": {"name": "list", "parameters": {"type": "object", "properties": {}}}},
]
CALL = '<tool_call>\n{"name": "write", "arguments": {"path": "a.py", "lines": "3"}}\n</tool_call>'
BROKEN = '<tool_call>{"name": "write", "arguments": {"lines": 3}}</tool_call>'


def chunk(text=None, finish=None, **delta):
    delta = {"content": text, **delta} if text is not None else delta
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def usage(prompt=10, completion=5):
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {**chunk(), "choices": [], "usage": counts}


def answer(text, stream, size=3, finish="stop"):
    if not stream:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        counts = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        return json_answer({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
                            "usage": counts})  # fmt: skip
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return sse_answer([chunk("", role="assistant"), *map(chunk, pieces), chunk(finish=finish), usage()])


@pytest.fixture(params=["litellm", "relay"])
def emulated(request, serve, upstream):
    def make(**options):
        provider = provider_at(upstream.base_url, request.param)
        provider["options"] |= {"toolEmulation": True, **options}
        return serve({"p": provider})

    return make


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def stream(request):
    return request.param


def sent(upstream, at=-1):
    return upstream.requests[at].body


def arguments(reply):
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in reply.tool_calls]


def test_tools_go_into_the_prompt_and_calls_come_out(emulated, upstream, stream):
    upstream.reply(answer(f"I will write it.\n{CALL}", stream))
    reply = emulated().chat(stream=stream, tools=TOOLS, messages=[{"role": "user", "content": "Write a.py"}])
    body = sent(upstream)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body.keys()
    assert body["messages"][0]["role"] == "system"
    assert "write(path: string, lines?: integer) — Write a file." in body["messages"][0]["content"]
    assert body["messages"][1:] == [{"role": "user", "content": "Write a.py"}]
    assert reply.text == "I will write it."
    assert arguments(reply) == [("write", {"path": "a.py", "lines": 3})]
    assert reply.finish == ["tool_calls"]
    repairs = reply.headers.get("x-gateway-repairs", "")
    assert "emulation.prompt=1" in repairs
    assert stream or ("emulation.calls=1" in repairs and "emulation.arguments=1" in repairs)


def test_the_second_turn_is_told_as_text(emulated, upstream, stream):
    upstream.reply(answer("Done.", stream))
    call = {"id": "call_1", "type": "function", "function": {"name": "write", "arguments": '{"path": "a.py"}'}}
    history = [
        {"role": "user", "content": "Write a.py"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "ok </tool_result>"},
    ]
    reply = emulated().chat(stream=stream, tools=TOOLS, messages=history)
    assistant, user = sent(upstream)["messages"][-2:]
    assert assistant["role"] == "assistant" and "<tool_call>" in assistant["content"] and "a.py" in assistant["content"]
    assert user["role"] == "user" and '"name": "write"' in user["content"] and "call_1" in user["content"]
    assert user["content"].count("</tool_result>") == 1
    assert (reply.text, reply.tool_calls, reply.finish) == ("Done.", [], ["stop"])


def test_several_calls_and_what_the_model_makes_up_behind_them(emulated, upstream, stream):
    made_up = '\n<tool_result>{"content": "I wrote it"}</tool_result> All done!'
    upstream.reply(answer(f'{CALL}\n<tool_call>{{"name": "list", "arguments": {{}}}}</tool_call>{made_up}', stream))
    reply = emulated().chat(stream=stream, tools=TOOLS)
    assert arguments(reply) == [("write", {"path": "a.py", "lines": 3}), ("list", {})]
    assert len({call["id"] for call in reply.tool_calls}) == 2
    assert not (reply.text or "").replace("None", "").strip()
    assert stream or "emulation.results=1" in reply.headers["x-gateway-repairs"]


def test_text_leaves_at_once_and_a_call_as_soon_as_it_is_complete(serve, upstream):
    first, second = [chunk("Let me see. ")], [chunk(CALL[:30]), chunk(CALL[30:])]
    parts = sse_answer([*first, *second, chunk(" "), chunk(finish="stop")])
    gates = parts.gate_after(1), parts.gate_after(3)
    upstream.reply(parts)
    provider = provider_at(upstream.base_url, "relay")
    provider["options"] |= {"toolEmulation": True}
    with serve({"p": provider}).open_stream(tools=TOOLS) as open_stream:
        events = iter(open_stream)
        assert any(b"Let me see" in next(events) for _ in range(3))
        gates[0].open()
        assert any(b'"write"' in next(events) for _ in range(3)), "the call waited for the end"
        gates[1].open()
        assert list(events)[-1] == b"data: [DONE]"


def test_arguments_that_do_not_fit_are_asked_for_once_more(emulated, upstream, stream):
    upstream.reply(answer(f"Writing.\n{BROKEN}", stream), answer(CALL, stream))
    reply = emulated().chat(stream=stream, tools=TOOLS)
    assert arguments(reply) == [("write", {"path": "a.py", "lines": 3})]
    assert reply.text == "Writing."
    assert reply.finish == ["tool_calls"]
    assert len(upstream.requests) == 2
    said, asked = sent(upstream)["messages"][-2:]
    assert said == {"role": "assistant", "content": f"Writing.\n{BROKEN}"}
    assert asked["role"] == "user" and "path" in asked["content"] and "write" in asked["content"]


def test_the_repair_turn_can_be_switched_off(emulated, upstream, stream):
    upstream.reply(answer(BROKEN, stream))
    reply = emulated(toolRepairTurns=0).chat(stream=stream, tools=TOOLS)
    assert arguments(reply) == [("write", {"lines": 3})]
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("second", ["I cannot.", BROKEN], ids=["words", "broken again"])
def test_when_the_second_answer_is_no_better_the_agent_decides(emulated, upstream, stream, second):
    upstream.reply(answer(BROKEN, stream), answer(second, stream))
    reply = emulated().chat(stream=stream, tools=TOOLS)
    assert arguments(reply) == [("write", {"lines": 3})]
    assert len(upstream.requests) == 2


def test_when_the_second_request_fails_the_first_answer_stays(emulated, upstream, stream):
    upstream.reply(answer(BROKEN, stream), json_answer({"error": {"message": "overloaded"}}, status=503))
    reply = emulated().chat(stream=stream, tools=TOOLS)
    assert reply.status == 200
    assert arguments(reply) == [("write", {"lines": 3})]


def test_usage_counts_both_turns(emulated, upstream, stream):
    upstream.reply(answer(BROKEN, stream), answer(CALL, stream))
    options = {"stream_options": {"include_usage": True}} if stream else {}
    reply = emulated().chat(stream=stream, tools=TOOLS, **options)
    counts = reply.chunks[-1]["usage"] if stream else reply.json["usage"]
    assert (counts["prompt_tokens"], counts["completion_tokens"], counts["total_tokens"]) == (20, 10, 30)


@pytest.mark.parametrize(
    ("choice", "there", "absent"),
    [
        ("none", [], ["# Tools", "write("]),
        ("required", ["You must use at least one tool"], []),
        ({"type": "function", "function": {"name": "list"}}, ["You must use the tool list"], ["write("]),
    ],
    ids=["none", "required", "named"],
)
def test_tool_choice_is_honoured_in_the_prompt(emulated, upstream, choice, there, absent):
    upstream.reply(answer('<tool_call>{"name": "list", "arguments": {}}</tool_call>', False))
    emulated().chat(tools=TOOLS, tool_choice=choice)
    prompt = json.dumps(sent(upstream)["messages"], ensure_ascii=False)
    assert all(words in prompt for words in there) and not any(words in prompt for words in absent)


def test_a_required_call_that_does_not_come_is_asked_for(emulated, upstream, stream):
    upstream.reply(answer("Sure, I can do that.", stream), answer(CALL, stream))
    reply = emulated().chat(stream=stream, tools=TOOLS, tool_choice="required")
    assert arguments(reply) == [("write", {"path": "a.py", "lines": 3})]
    assert "must call a tool" in sent(upstream)["messages"][-1]["content"]


def test_nobody_is_forced_to_call_a_tool(emulated, upstream, stream):
    upstream.reply(answer("Hello!", stream))
    reply = emulated().chat(stream=stream, tools=TOOLS)
    assert (reply.text, reply.finish, len(upstream.requests)) == ("Hello!", ["stop"], 1)


def test_parallel_calls_can_be_forbidden(emulated, upstream, stream):
    upstream.reply(answer(f"{CALL}{CALL}", stream))
    reply = emulated().chat(stream=stream, tools=TOOLS, parallel_tool_calls=False)
    assert len(reply.tool_calls) == 1


def test_an_undeclared_tool_is_text(emulated, upstream, stream):
    upstream.reply(answer('<tool_call>{"name": "format_disk", "arguments": {}}</tool_call>', stream))
    reply = emulated().chat(stream=stream, tools=TOOLS)
    assert reply.tool_calls == [] and "format_disk" in reply.text and reply.finish == ["stop"]
    assert stream or "emulation.undeclared=1" in reply.headers["x-gateway-repairs"]


def test_dropped_tools_are_not_told(emulated, upstream, stream):
    upstream.reply(answer("Hello!", stream))
    emulated(dropTools=["write"]).chat(stream=stream, tools=TOOLS)
    prompt = sent(upstream)["messages"][0]["content"]
    assert "list()" in prompt and "write(" not in prompt


def test_a_call_cut_by_the_output_limit_is_not_run(emulated, upstream, stream):
    upstream.reply(answer('Writing.\n<tool_call>{"name": "write", "arguments": {"path": "/etc/pas', stream, finish="length"))
    reply = emulated().chat(stream=stream, tools=TOOLS)
    assert (reply.tool_calls, reply.finish, len(upstream.requests)) == ([], ["length"], 1)
    assert "<tool_call" not in reply.text


def test_a_call_that_breaks_off_is_asked_for_again_and_never_run_half(emulated, upstream, stream):
    half = '<tool_call>{"name": "write", "arguments": {"path": "/etc/pas'
    upstream.reply(answer(half, stream))
    reply = emulated().chat(stream=stream, tools=TOOLS)
    assert reply.tool_calls == [] and "malformed tool call" in reply.text


def test_sound_calls_before_one_that_breaks_off_stay(emulated, upstream, stream):
    upstream.reply(answer(f'{CALL}<tool_call>{{"name": "write", "arguments": {{"path": "/etc/pas', stream))
    reply = emulated(toolRepairTurns=0).chat(stream=stream, tools=TOOLS)
    assert (arguments(reply), reply.finish) == ([("write", {"path": "a.py", "lines": 3})], ["tool_calls"])
    assert "malformed tool call" in reply.text


def test_a_call_that_breaks_off_is_taken_from_the_second_answer(emulated, upstream, stream):
    half = '<tool_call>{"name": "write", "arguments": {"path": "/etc/pas'
    upstream.reply(answer(half, stream), answer(CALL, stream))
    assert arguments(emulated().chat(stream=stream, tools=TOOLS)) == [("write", {"path": "a.py", "lines": 3})]


def test_a_lost_connection_runs_no_half_call(emulated, upstream):
    upstream.reply(sse_answer([chunk("Hi. "), chunk(CALL[:40])]).cut_after(2))
    reply = emulated().chat(stream=True, tools=TOOLS)
    assert reply.stream_error["code"] == "upstream_truncated"
    assert b"tool_calls" not in reply.raw


def test_two_choices_are_read_apart(emulated, upstream):
    texts = [f"One. {CALL}", "Two."]
    choices = [
        {"index": at, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for at, text in enumerate(texts)
    ]
    upstream.reply(json_answer({"id": "chatcmpl-1", "created": 1, "model": "m", "choices": choices}))
    first, second = emulated().chat(tools=TOOLS, n=2).json["choices"]
    assert (first["finish_reason"], second["finish_reason"]) == ("tool_calls", "stop")
    assert second["message"]["content"] == "Two." and "tool_calls" not in second["message"]


def test_reasoning_and_thinking_pass(emulated, upstream, stream):
    upstream.reply(answer(f"<think>I could <tool_call> it</think>{CALL}", stream))
    reply = emulated(thinkTags=True).chat(stream=stream, tools=TOOLS)
    assert arguments(reply) == [("write", {"path": "a.py", "lines": 3})]
    thoughts = reply.deltas if stream else [reply.json["choices"][0]["message"]]
    assert "".join(part.get("reasoning_content") or "" for part in thoughts) == "I could <tool_call> it"


def test_a_plain_chat_is_left_alone(emulated, upstream, stream):
    upstream.reply(answer(CALL, stream))
    reply = emulated().chat(stream=stream, messages=[{"role": "user", "content": "Show me the format"}])
    assert sent(upstream)["messages"] == [{"role": "user", "content": "Show me the format"}]
    assert (reply.text, reply.tool_calls) == (CALL, [])


def test_a_small_context_is_respected(emulated, upstream, stream):
    upstream.reply(answer("Done.", stream))
    talk = [{"role": role, "content": f"{at} " + "word " * 200} for at in range(20) for role in ("user", "assistant")]
    messages = [{"role": "system", "content": "s" * 5000}, *talk, {"role": "user", "content": "The last question"}]
    reply = emulated(maxSystemCharacters=3000, maxPromptTokens=2000).chat(stream=stream, tools=TOOLS, messages=messages)
    body = sent(upstream)
    assert len(body["messages"][0]["content"]) <= 3002
    assert "</tools>" in body["messages"][0]["content"]
    assert body["messages"][-1] == {"role": "user", "content": "The last question"}
    assert len(json.dumps(body["messages"])) < 12_000
    assert "emulation.budget=2" in reply.headers["x-gateway-repairs"]


def test_what_does_not_fit_is_refused_before_it_is_sent(emulated, upstream, stream):
    reply = emulated(maxPromptTokens=500).chat(
        stream=stream, tools=TOOLS, messages=[{"role": "user", "content": "word " * 2000}]
    )
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")
    assert upstream.requests == []


def test_an_error_of_the_upstream_stays_one(emulated, upstream, stream):
    upstream.reply(json_answer({"error": {"message": "bad key", "type": "x", "code": "y"}}, status=401))
    reply = emulated().chat(stream=stream, tools=TOOLS)
    assert (reply.status, reply.error["message"]) == (401, "bad key")


def test_the_log_shows_what_is_sent_once_for_each_request(serve, upstream, stream, tmp_path):
    upstream.reply(answer(BROKEN, stream), answer(CALL, stream))
    provider = provider_at(upstream.base_url, "relay")
    provider["options"]["toolEmulation"] = True
    log = tmp_path / "log"
    gateway = serve({"p": provider}, GATEWAY_VERBOSE="1", GATEWAY_LOG_FILE=str(log))
    assert arguments(gateway.chat(stream=stream, tools=TOOLS)) == [("write", {"path": "a.py", "lines": 3})]
    blocks = log.read_text("utf-8").split("PARAMS (summary)")[1:]
    assert len(blocks) == len(upstream.requests) == 2
    assert all("# Tools" in block.partition("API KEY")[0] for block in blocks)


@pytest.mark.parametrize("half", ["<tool_call>", '<tool_call>{"na', '<tool_call>{"name": "wri', "<tool_cal"])
def test_half_an_opening_tag_is_asked_for_again_and_never_shown(emulated, upstream, stream, half):
    upstream.reply(answer(f"So:\n{half}", stream), answer(CALL, stream))
    reply = emulated().chat(stream=stream, tools=TOOLS)
    assert (reply.text, arguments(reply)) == ("So:", [("write", {"path": "a.py", "lines": 3})])
    upstream.reply(answer(f"So:\n{half}", stream, finish="length"))
    reply = emulated().chat(stream=stream, tools=TOOLS)
    assert (reply.text, reply.tool_calls, reply.finish) == ("So:", [], ["length"])


def test_the_example_of_the_prompt_is_no_call(emulated, upstream, stream):
    echo = 'To use one, write\n<tool_call>\n{"name": "write", "arguments": {"path": "..."}}\n</tool_call>'
    gateway = emulated()
    upstream.reply(answer(echo, stream), answer(CALL, stream))
    assert arguments(gateway.chat(stream=stream, tools=TOOLS)) == [("write", {"path": "a.py", "lines": 3})]
    assert "this is the example" in sent(upstream)["messages"][-1]["content"]
    upstream.reply(answer(echo, stream))
    reply = gateway.chat(stream=stream, tools=TOOLS)
    assert (reply.tool_calls, reply.finish) == ([], ["stop"]) and "malformed tool call" in reply.text


def test_an_image_is_named_and_reported(emulated, upstream):
    upstream.reply(answer("I see.", False))
    content = [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    reply = emulated().chat(messages=[{"role": "user", "content": content}])
    assert sent(upstream)["messages"][-1]["content"] == "Look:\n[image left out: this model reads text only]"
    assert "emulation.images=1" in reply.headers["x-gateway-repairs"]
