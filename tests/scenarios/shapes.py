"""Scenarios about the shape of chunks, answers and the event stream around them: bodies, reasoning, usage, SSE."""

from dataclasses import replace

from tests.scenarios.builder import SIGNATURE, Odd, answer_of, build_chunks, build_completion, stream_of, wrap
from tests.scenarios.builder import USAGE as PLAIN_USAGE
from tests.scenarios.table import GEMINI, ONE, TWO, Expect, Scenario, scenario, turn
from tests.upstream_answers import Answer, encode_event

HELLO = Expect("Hello", usage=(10, 5, 15))
NOTHING = Expect(says="*", max_requests=2)  # retried once, then one visible line
NOTHING_OR_ERROR = replace(NOTHING, otherwise=Expect(error_status=502, max_requests=2))
TRUNCATED = Expect(error_status=502, error_code="upstream_truncated", max_requests=2)
SILENT = replace(TRUNCATED, error_code=None, otherwise=NOTHING)  # a 200 that ends without a single event
PLAIN = Odd()


def choice(delta: dict | None, finish: str | None = None, index: int = 0) -> dict:
    """Write one chunk with one choice; without delta the key is missing."""
    body = {"index": index, "finish_reason": finish} | ({} if delta is None else {"delta": delta})
    return wrap([body], PLAIN)


def message(value: object, **more: object) -> Answer:
    """Answer with one choice whose message has this content."""
    body = {"index": 0, "message": {"role": "assistant", "content": value, **more}, "finish_reason": "stop"}
    return answer_of({**build_completion("x"), "choices": [body]})


def without(*keys: str, **instead: object) -> Answer:
    """Answer with a whole answer that lacks these top-level keys."""
    whole = build_completion("Hello")
    return answer_of({k: v for k, v in {**whole, **instead}.items() if k not in keys})


STOP = [choice({}, "stop")]
ROLE = choice({"role": "assistant", "content": ""})
USED = wrap([], PLAIN, usage=PLAIN_USAGE)
HELLO_CHUNKS = build_chunks("Hello")
BIG = "0123456789abcdef" * 6_000
SIGNED = {"extra_content": {"google": {"thought_signature": SIGNATURE}}}

BODIES: tuple[Scenario, ...] = (
    turn("text", text="Hello"),
    turn("no_chunk_id", Odd(envelope=("object", "created", "model")), "Hello"),
    turn("no_model", Odd(envelope=("id", "object", "created")), "Hello"),
    turn("no_envelope", Odd(envelope=()), "Hello"),
    turn("no_role", Odd(role="never"), "Hello"),
    turn("empty_role", Odd(role="empty"), "Hello"),
    turn("role_every_text", Odd(role="every"), "Hello"),
    turn("big_text", text=BIG),
    turn("line_separator", text="a\u2028b\u2029c\u0085d\x0be"),
    turn("emoji", text="👩‍👩‍👧 나는 é"),
    turn("lone_surrogate", text="a\ud800b", expect=Expect("a\ufffdb", usage=(10, 5, 15))),
    turn("many_chunks", odd=None, text="ab"),
    scenario(
        "2000_chunks",
        stream_of([*(choice({"content": "word "}) for _ in range(2000)), *STOP, USED]),
        (),
        Expect("word " * 2000, usage=(10, 5, 15)),
    ),
    scenario("choices_empty", stream_of([wrap([], PLAIN)]), without(choices=[]), NOTHING_OR_ERROR),
    scenario(
        "choices_null", stream_of([{**wrap([], PLAIN), "choices": None}]), without(choices=None), NOTHING_OR_ERROR
    ),
    scenario("choices_missing", stream_of([wrap(None, PLAIN)]), without("choices"), NOTHING_OR_ERROR),
    scenario("choices_null_between", stream_of([{**wrap([], PLAIN), "choices": None}, *HELLO_CHUNKS]), (), HELLO),
    scenario("choices_empty_first", stream_of([wrap([], PLAIN), *HELLO_CHUNKS]), (), HELLO),
    scenario("no_delta", stream_of([choice(None), *HELLO_CHUNKS]), (), HELLO),
    scenario("delta_null", stream_of([wrap([{"index": 0, "delta": None}], PLAIN), *HELLO_CHUNKS]), (), HELLO),
    scenario(
        "no_choice_index",
        stream_of(
            [
                {**c, "choices": [{k: v for k, v in x.items() if k != "index"} for x in c["choices"]]}
                for c in HELLO_CHUNKS
            ]
        ),
        without(choices=[{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]),
        HELLO,
    ),
    scenario("no_message", (), without(choices=[{"index": 0, "finish_reason": "stop"}]), NOTHING),
    scenario("message_null", (), without(choices=[{"index": 0, "message": None, "finish_reason": "stop"}]), NOTHING),
    scenario(
        "message_without_content",
        stream_of([choice({"role": "assistant"}), *STOP]),
        without(choices=[{"index": 0, "message": {"role": "assistant"}, "finish_reason": "stop"}]),
        NOTHING,
    ),
    scenario("empty_stop", stream_of([ROLE, *STOP, USED]), message(""), NOTHING),
    scenario("role_only_then_stop", stream_of([choice({"role": "assistant"}, "stop")]), message(None), NOTHING),
    scenario(
        "empty_then_good",
        (stream_of([ROLE, *STOP]), stream_of(HELLO_CHUNKS)),
        (message(""), answer_of(build_completion("Hello"))),
        replace(HELLO, max_requests=2),
    ),
    scenario(
        "content_list",
        stream_of([choice({"content": [{"type": "text", "text": "Hello"}]}), *STOP, USED]),
        message([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]),
        HELLO,
    ),
    scenario(
        "n2",
        stream_of(
            [
                choice({"role": "assistant", "content": "A"}, None, 0),
                choice({"role": "assistant", "content": "B"}, None, 1),
                choice({}, "stop", 1),
                choice({}, "length", 0),
                USED,
            ]
        ),
        without(
            choices=[
                {"index": 0, "message": {"role": "assistant", "content": "A"}, "finish_reason": "length"},
                {"index": 1, "message": {"role": "assistant", "content": "B"}, "finish_reason": "STOP"},
            ]
        ),
        Expect("A", finish="length", usage=(10, 5, 15), second=Expect("B")),
        request={"n": 2},
    ),
    scenario(
        "prompt_blocked",
        stream_of([wrap([], PLAIN, promptFeedback={"blockReason": "PROHIBITED_CONTENT"})]),
        without(choices=[], promptFeedback={"blockReason": "PROHIBITED_CONTENT"}),
        Expect(says="PROHIBITED_CONTENT", finish="content_filter"),
        model=GEMINI,
    ),
    scenario("json_for_stream", answer_of(build_completion("Hello")), (), HELLO),
    scenario(
        "json_for_stream_calls",
        answer_of(build_completion("", TWO)),
        (),
        Expect(calls=TWO, finish="tool_calls", usage=(10, 5, 15)),
    ),
    scenario(
        "json_for_stream_as_sse",
        Answer(answer_of(build_completion("Hello")).body, 200, {"Content-Type": "text/event-stream"}),
        (),
        HELLO,
    ),
)

THOUGHT_SPLIT = [
    choice({"role": "assistant", "content": "<tho", "extra_content": {"google": {"thought": True}}}),
    choice({"content": "ught>I th", "extra_content": {"google": {"thought": True}}}),
    choice({"content": "ink", "extra_content": {"google": {"thought": True}}}),
    choice({"content": "</thou"}),
    choice({"content": "ght>Hello"}),
    *STOP,
    USED,
]
SIG_DELTA_CALL = {
    "index": 0,
    "id": "call_0",
    "type": "function",
    "function": {"name": "glob", "arguments": '{"pattern":"*"}'},
}

REASONING: tuple[Scenario, ...] = (
    turn("reasoning_content", Odd(reasoning="I think"), "Hello"),
    turn("reasoning", Odd(reasoning="I think", reasoning_as="reasoning"), "Hello"),
    turn("thought_tags", Odd(reasoning="I think", reasoning_as="thought"), "Hello", model=GEMINI),
    scenario("thought_tags_split", stream_of(THOUGHT_SPLIT), (), replace(HELLO, reasoning="I think"), model=GEMINI),
    turn("thought_tags_without_flag", text="<thought>not hidden</thought>Hello"),
    turn("thoughts_only", Odd(reasoning="I think"), "", expect=replace(NOTHING, reasoning="I think")),
    scenario(
        "signature_only_chunk",
        stream_of([choice({"role": "assistant", "content": "Hello"}), choice({"content": "", **SIGNED}), *STOP, USED]),
        message("Hello", **SIGNED),
        HELLO,
        model=GEMINI,
    ),
    scenario(
        "sig_delta",
        stream_of(
            [
                choice({"role": "assistant", "tool_calls": [SIG_DELTA_CALL]}),
                choice({"tool_calls": [{"index": 0, **SIGNED}]}),
                choice({}, "tool_calls"),
                USED,
            ]
        ),
        (),
        Expect(calls=(("glob", {"pattern": "*"}),), finish="tool_calls", usage=(10, 5, 15)),
        model=GEMINI,
    ),
    scenario(
        "sig_delta_no_index",
        stream_of(
            [
                choice({"role": "assistant", "tool_calls": [SIG_DELTA_CALL]}),
                choice({"tool_calls": [SIGNED]}),
                choice({}, "stop"),
                USED,
            ]
        ),
        (),
        Expect(calls=(("glob", {"pattern": "*"}),), finish="tool_calls", usage=(10, 5, 15)),
        model=GEMINI,
    ),
    scenario(
        "message_signature",
        stream_of([choice({"role": "assistant", **SIGNED, "tool_calls": [SIG_DELTA_CALL]}), *STOP]),
        message(None, tool_calls=[SIG_DELTA_CALL], thought_signature=SIGNATURE, **SIGNED),
        Expect(calls=(("glob", {"pattern": "*"}),), finish="tool_calls"),
        model=GEMINI,
    ),
)

THINKING = {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1320}
CACHED = {**PLAIN_USAGE, "prompt_tokens_details": {"cached_tokens": 8}}
NULLS = {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
ANY_USAGE = Expect("Hello")


def chunks_as(odd: Odd) -> Answer:
    """Say Hello under these oddities as a stream."""
    return stream_of(build_chunks("Hello", (), odd))


USAGE: tuple[Scenario, ...] = (
    turn("usage_every", Odd(usage_at="every"), "Hello"),
    turn("usage_every_with_calls", Odd(usage_at="every"), "", ONE),
    turn("usage_on_last_chunk", Odd(usage_at="ride"), "Hello"),
    turn("usage_without_choices", Odd(usage_at="no_choices"), "Hello"),
    turn("usage_null", Odd(usage_at="null"), "Hello"),
    turn("usage_of_nulls", Odd(usage=NULLS), "Hello", expect=ANY_USAGE),
    turn("no_usage", Odd(usage_at="never"), "Hello"),
    turn(
        "usage_hidden_thinking",
        Odd(usage=THINKING),
        "Hello",
        expect=Expect("Hello", usage=(1000, 320, 1320), reasoning_tokens=300),
        model=GEMINI,
    ),
    turn(
        "usage_every_hidden_thinking",
        Odd(usage=THINKING, usage_at="every"),
        "Hello",
        expect=Expect("Hello", usage=(1000, 320, 1320), reasoning_tokens=300),
        model=GEMINI,
    ),
    turn("usage_cached", Odd(usage=CACHED), "Hello", expect=Expect("Hello", usage=(10, 5, 15), cached_tokens=8)),
    scenario("usage_not_asked_for", chunks_as(Odd(usage_at="every")), (), ANY_USAGE, request={"stream_options": None}),
    scenario("usage_in_the_middle", stream_of([HELLO_CHUNKS[0], USED, *HELLO_CHUNKS[1:-1]]), (), HELLO),
)

HELLO_EVENTS = [encode_event(c) for c in HELLO_CHUNKS]
FIRST = HELLO_EVENTS[0]
COMMENTED = [b": OPENROUTER PROCESSING\n\n", HELLO_EVENTS[0], b":\n\n", *HELLO_EVENTS[1:], b": bye\n\n"]
NAMED = [b"event: chunk\nid: 7\nretry: 10\n" + e for e in HELLO_EVENTS]
TWO_LINES = [b'data: {"choices":\ndata: ' + FIRST.split(b'"choices":', 1)[1], *HELLO_EVENTS[1:]]
PLAIN_TYPES = ("text/plain", "application/json", "text/event-stream; charset=utf-8", "")


def sse_row(name: str, answer: Answer, expect: Expect = HELLO) -> Scenario:
    """Write a row about the event stream alone; there is no such thing as this in a whole answer."""
    return scenario(name, answer, (), expect)


SSE: tuple[Scenario, ...] = (
    sse_row("crlf", stream_of(HELLO_CHUNKS, newline="\r\n")),
    sse_row("cr", stream_of(HELLO_CHUNKS, newline="\r")),
    sse_row("nospace", stream_of(HELLO_CHUNKS, space=False)),
    sse_row("no_done", stream_of(HELLO_CHUNKS, done=False)),
    sse_row("no_done_no_last_newlines", stream_of([*HELLO_EVENTS[:-1], HELLO_EVENTS[-1].rstrip()], done=False)),
    sse_row("comments", stream_of(COMMENTED)),
    sse_row("event_id_retry_lines", stream_of(NAMED)),
    sse_row("data_over_two_lines", stream_of(TWO_LINES)),
    sse_row("byte_order_mark", stream_of([b"\xef\xbb\xbf" + FIRST, *HELLO_EVENTS[1:]])),
    sse_row("empty_data_line", stream_of([b"data:\n\n", b"data: \n\n", *HELLO_EVENTS])),
    sse_row("after_done", stream_of([*HELLO_EVENTS, b"data: [DONE]\n\n", b"data: not json\n\n"], done=False)),
    sse_row(
        "bytesplit",
        stream_of(build_chunks("나는 é", TWO), pieces=1),
        Expect("나는 é", calls=TWO, finish="tool_calls", usage=(10, 5, 15)),
    ),
    sse_row("bytesplit_crlf", stream_of(HELLO_CHUNKS, pieces=1, newline="\r\n")),
    sse_row("whole_in_one_piece", stream_of(HELLO_CHUNKS, pieces=[])),
    sse_row("close_delimited", stream_of(HELLO_CHUNKS, framing="close")),
    sse_row("content_length", stream_of(HELLO_CHUNKS, framing="length")),
    *(sse_row(f"ct_plain:{kind}", stream_of(HELLO_CHUNKS, headers={"Content-Type": kind})) for kind in PLAIN_TYPES),
    sse_row("done_only", stream_of([]), SILENT),
    sse_row("empty_body", stream_of([], done=False), SILENT),
    sse_row("comments_only", stream_of([b": hello\n\n"], done=False), SILENT),
)
