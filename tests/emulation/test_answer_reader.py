"""Chunks with calls in their text -> chunks with tool calls: choices, finish reasons, usage, what passes untouched."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.emulation.answer_reader import AnswerReader

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "write",
            "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
        },
    }
]
CALL = '<tool_call>{"name": "write", "arguments": {"path": "a < b"}}</tool_call>'
BROKEN = '<tool_call>{"name": "write", "arguments": {}}</tool_call>'


def chunk(text=None, finish=None, index=0, **more):
    delta = {} if text is None else {"content": text}
    return {"id": "c", "choices": [{"index": index, "delta": delta, "finish_reason": finish}], **more}


def read(*chunks, done=True, tools=TOOLS):
    reader = AnswerReader(tools)
    out = [made for each in chunks for made in reader.take(each)]
    return reader, out + reader.end(done) + reader.finish()


def deltas(chunks, name, index=0):
    found = [choice for made in chunks for choice in made["choices"] if choice["index"] == index]
    return [choice["delta"][name] for choice in found if name in choice["delta"]]


def finishes(chunks):
    return [choice["finish_reason"] for made in chunks for choice in made.get("choices", ()) if choice["finish_reason"]]


def calls(chunks):
    found = [call for delta in deltas(chunks, "tool_calls") for call in delta]
    return [(call["index"], call["function"]["name"], json.loads(call["function"]["arguments"])) for call in found]


def test_text_passes_and_calls_are_made():
    _, out = read(chunk("Hi "), chunk(f"there. {CALL}"), chunk(CALL), chunk(finish="stop"))
    assert "".join(deltas(out, "content")).strip() == "Hi there."
    assert calls(out) == [(0, "write", {"path": "a < b"}), (1, "write", {"path": "a < b"})]
    assert finishes(out) == ["stop"]
    assert finishes(out[-1:]) == ["stop"]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_how_the_text_is_cut_makes_no_difference(sizes):
    text, pieces = f"One. {CALL} {CALL}", []
    for size in sizes:
        pieces.append(text[:size])
        text = text[size:]
    _, out = read(*map(chunk, [*pieces, text]), chunk(finish="stop"))
    assert "".join(deltas(out, "content")).strip() == "One."
    assert len(calls(out)) == 2


def test_what_is_no_text_passes_as_it_is():
    reader = AnswerReader(TOOLS)
    odd = [{"error": {"message": "x"}}, "nonsense", {"choices": []}, {"choices": None}, {"id": "c", "choices": ["odd"]}]
    assert [reader.take(each) for each in odd] == [[each] for each in odd]


def test_the_role_reasoning_and_native_calls_pass():
    native = [{"index": 0, "id": "x", "function": {"name": "write", "arguments": "{}"}}]
    delta = {"role": "assistant", "reasoning_content": "Hm.", "tool_calls": native, "content": None}
    _, out = read({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    assert out[0]["choices"][0]["delta"] == {"role": "assistant", "reasoning_content": "Hm.", "tool_calls": native}


def test_calls_of_the_text_follow_those_that_the_upstream_made_itself():
    native = {"id": "x", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    for call in (native, {**native, "index": 0}):
        delta = {"role": "assistant", "content": CALL, "tool_calls": [dict(call)]}
        reader, out = read({"choices": [{"index": 0, "delta": delta, "finish_reason": "tool_calls"}]})
        assert calls(out) == [(0, "read", {}), (1, "write", {"path": "a < b"})] and reader.called
    reader, _ = read({"choices": [{"index": 0, "delta": {"tool_calls": [native]}, "finish_reason": "tool_calls"}]})
    assert reader.called
    for odd in (5, ["odd"], [{"function": 5}], [{"index": "0", "function": {"name": "read"}}]):
        assert calls(read(chunk(CALL), {"choices": [{"index": 0, "delta": {"tool_calls": odd}}]})[1][:1])


def test_content_in_parts_is_text():
    _, out = read(chunk([{"type": "text", "text": CALL}]))
    assert len(calls(out)) == 1


def test_choices_are_read_apart():
    _, out = read(chunk("One."), chunk(CALL, index=1), chunk(finish="stop"), chunk(finish="length", index=1))
    assert deltas(out, "content") == ["One."] and len(deltas(out, "tool_calls", 1)) == 1
    assert sorted(finishes(out)) == ["length", "stop"]


def test_usage_is_kept_wherever_it_stands():
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    own = {"choices": [], "usage": usage}
    for parts in ([chunk("a", usage=usage)], [chunk("a"), own], [chunk(finish="stop", usage=usage)]):
        _, out = read(*parts)
        assert usage in [made.get("usage") for made in out]


def test_a_call_that_does_not_fit_waits_for_its_correction():
    reader = AnswerReader(TOOLS)
    out = reader.take(chunk(f"Hi. {BROKEN}{CALL}")) + reader.take(chunk(finish="stop")) + reader.end(True)
    assert len(calls(out)) == 1 and len(reader.broken) == 1 and reader.correctable
    assert "path" in reader.problems[0] and reader.said == f"Hi. {BROKEN}{CALL}"
    second, _ = read(chunk(CALL.replace("a < b", "c")), chunk(finish="stop"))
    reader.correct(second)
    assert calls(reader.finish()) == [(1, "write", {"path": "c"})]


def written(*paths, name="write"):
    return "".join(f'<tool_call>{{"name": "{name}", "arguments": {{"path": "{path}"}}}}</tool_call>' for path in paths)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (written("b"), ["b"]),
        (written("a", "b"), ["b"]),  # all of it once more
        (written("a2", "b"), ["b"]),  # and not in the same words
        (written("a", "b", "c"), ["c"]),
        (written("b") + '<tool_call>{"name": "read", "arguments": {}}</tool_call>', ["b"]),
        (written("a"), [None]),  # nothing of what was asked for: the agent decides
    ],
)
def test_what_has_left_is_not_run_twice(second, expected):
    tools = [*TOOLS, {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}]
    reader, other = AnswerReader(tools), AnswerReader(tools)
    assert len(calls(reader.take(chunk(written("a") + BROKEN, "stop")) + reader.end(True))) == 1
    other.take(chunk(second, "stop"))
    other.end(True)
    reader.correct(other)
    assert [(index, name, arguments.get("path")) for index, name, arguments in calls(reader.finish())] == [
        (1, "write", path) for path in expected
    ]


@pytest.mark.parametrize("words", ["I cannot.", BROKEN])
def test_without_a_better_one_the_call_leaves_as_it_was(words):
    reader = AnswerReader(TOOLS)
    reader.take(chunk(BROKEN))
    reader.end(True)
    second = AnswerReader(TOOLS)
    second.take(chunk(words))
    second.end(True)
    reader.correct(second)
    assert calls(reader.finish()) == [(0, "write", {})]


@pytest.mark.parametrize(
    ("finish", "done", "correctable"), [("stop", True, True), ("length", True, False), (None, False, False)]
)
def test_only_a_whole_answer_is_corrected(finish, done, correctable):
    reader = AnswerReader(TOOLS)
    reader.take(chunk(BROKEN, finish))
    reader.end(done)
    assert reader.correctable is correctable


def test_of_an_answer_that_broke_off_only_the_text_counts():
    reader, out = read(chunk("Hi. "), chunk(CALL[:-14]), done=False)
    assert "".join(deltas(out, "content")).strip() == "Hi." and calls(out) == [] and not reader.complete


def test_a_whole_answer_goes_the_same_way():
    reader = AnswerReader(TOOLS)
    message = {"role": "assistant", "content": f"Hi. {CALL}"}
    out = reader.take_whole({"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}, True)
    assert len(calls(out)) == 1 and finishes(reader.finish()) == ["stop"]


def test_an_answer_in_chunks_is_whole_only_if_it_was_ended():
    reader = AnswerReader(TOOLS)
    reader.take_whole({"chunks": [chunk("Hi")]}, False)
    assert not reader.complete
