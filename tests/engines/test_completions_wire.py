"""Text completions, chunk by chunk, as chat chunks: what leaves at once, how a choice ends, what a lost connection costs."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.emulation.harmony_text import HarmonyReader
from app.engines.completions_wire import BROKEN, MAX_NAME, UNDECLARED, CompletionReader, completion_of
from app.quirks.finish import MALFORMED, kind_of
from app.utils.assemble import assemble
from tests.upstream_completions import call, final, thought

HEAD = {"id": "cmpl-7", "object": "text_completion", "created": 1_700_000_000, "model": "as the server calls it"}
NEXT = "<|start|>assistant"
USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}


def reader(*names, **how):
    return CompletionReader(lambda: HarmonyReader({name: name for name in names}), "gpt-oss-20b", **how)


def chunk(text="", finish=None, index=0, **top):
    return {**HEAD, "choices": [{"index": index, "text": text, "logprobs": None, "finish_reason": finish}], **top}


def read(found, *chunks):
    return [made for one in chunks for made in found.take(one)]


def test_text_reasoning_and_calls_become_deltas():
    found = reader("read")
    (first,) = read(found, chunk("<|channel|>analysis<|message|>I think"))
    assert first["choices"] == [{"index": 0, "delta": {"reasoning_content": "I think"}, "finish_reason": None}]
    assert (first["object"], first["model"]) == ("chat.completion.chunk", "gpt-oss-20b")
    assert (first["id"], first["created"]) == ("cmpl-7", 1_700_000_000)
    (made,) = read(found, chunk("<|end|><|start|>assistant" + call("read", path="é")))
    (entry,) = made["choices"][0]["delta"]["tool_calls"]
    assert (entry["index"], entry["type"], entry["function"]["name"]) == (0, "function", "read")
    assert json.loads(entry["function"]["arguments"]) == {"path": "é"}
    assert entry["id"].startswith("call_") and len(entry["id"]) == len("call_") + 24
    (last,) = read(found, chunk("", "stop"))
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]
    assert found.finished and found.end() == []


PARTS = (thought("hm <|"), final("a\n"), call("read", x="<|é"), call("other"), "<|start|>assistant", "plain", "<|end|>")
TEXTS = st.lists(st.sampled_from(PARTS), max_size=4).map("".join)


@settings(max_examples=60, deadline=None)
@given(text=TEXTS, cuts=st.lists(st.integers(0, 200)), finish=st.sampled_from(["stop", "length"]))
def test_cuts_change_nothing(text, cuts, finish):
    def answer(*pieces):
        whole = completion_of(read(reader("read"), *map(chunk, pieces), chunk("", finish)))
        for made in whole["choices"][0]["message"].get("tool_calls", ()):
            del made["id"]
        return whole

    places = [0, *sorted(at for at in cuts if at < len(text)), len(text)]
    assert answer(*(text[a:b] for a, b in zip(places, places[1:], strict=False))) == answer(text)


def test_the_text_behind_a_finish_reason_does_not_count():
    assert read(reader(), chunk(final("a"), "stop"), chunk("b")) == read(reader(), chunk(final("a"), "stop"))


@pytest.mark.parametrize(("text", "given", "told"), [
    (final("a"), "stop", "stop"),
    ("<|channel|>final<|message|>a", "stop", "stop"),
    ("<|channel|>final<|message|>a", "eos_token", "stop"),
    ("<|channel|>final<|message|>a", "length", "length"),
    ("<|channel|>final<|message|>a", "max_tokens", "length"),
    ("<|channel|>final<|message|>a", "abort", "abort"),
    ("<|channel|>final<|message|>a", "content_filter", "content_filter"),
    (call("read"), "stop", "tool_calls"),
    (call("read").removesuffix("<|call|>"), "stop", "tool_calls"),
])
def test_finish_reasons(text, given, told):
    chunks = read(reader("read"), chunk(text), chunk("", given))
    assert [one["choices"][0]["finish_reason"] for one in chunks] == [None] * (len(chunks) - 1) + [told]


OPEN = call("read", path="a/b/c")[:-14]
PREAMBLE = f"<|channel|>commentary<|message|>I do it.<|end|>{NEXT}"


@pytest.mark.parametrize("text", [OPEN, f"{OPEN}<|call|>", f"{OPEN}<|end|>", PREAMBLE + OPEN])
def test_a_broken_call_leaves_as_it_is_where_the_server_says_that_it_is_done(text):
    """What follows in the gateway tells it from a sound one: it is asked for again, or that is said."""
    *chunks, last = read(reader("read"), chunk(text), chunk("", "stop"))
    (entry,) = chunks[-1]["choices"][0]["delta"]["tool_calls"]
    assert entry["function"] == {"name": "read", "arguments": '{"path": "a'}
    assert last["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(("text", "told"), [
    ("<|channel|>commentary to=functions.re", BROKEN),
    (PREAMBLE + "<|channel|>commentary to=functions.re", BROKEN),
    (final("a").replace("<|return|>", f"<|end|>{NEXT}<|channel|>comm"), "stop"),
    (call("read") + f"{NEXT} to=functions.re", "tool_calls"),
])
def test_a_header_that_breaks_off_though_the_server_is_done(text, told):
    assert read(reader("read"), chunk(text), chunk("", "stop"))[-1]["choices"][0]["finish_reason"] == told
    assert read(reader("read"), chunk(text), chunk("", "length"))[-1]["choices"][0]["finish_reason"] == "length"


SAID = "[gateway: the model called the tool `python`, which was not offered]"


@pytest.mark.parametrize("finish", ["stop", "length", None])
@pytest.mark.parametrize(("text", "content"), [
    (call("python"), SAID),
    (thought("hm") + call("python"), SAID),
    (PREAMBLE + call("python"), f"I do it.\n\n{SAID}"),
    (PREAMBLE + call("python").removesuffix("<|call|>"), f"I do it.\n\n{SAID}"),
    (PREAMBLE + call("nobody") + NEXT + call("python"), f"I do it.\n\n{SAID}"),
    (PREAMBLE + call("python") + NEXT + final("Done."), "I do it.\n\nDone."),
    (call("python") + NEXT + final("Done."), "Done."),
    (call("python") + NEXT + call("read"), ""),
    (call("read") + NEXT + call("python"), ""),
])
def test_a_tool_that_was_not_offered_is_spoken_of_where_nothing_else_answers(text, content, finish):
    found = reader("read")
    chunks = read(found, chunk(text), *([chunk("", finish)] if finish else ())) + found.end()
    assert "".join(one["choices"][0]["delta"].get("content", "") for one in chunks) == content
    ends = [one["choices"][0]["finish_reason"] for one in chunks]
    assert ends[:-1] == [None] * (len(ends) - 1)
    assert finish == "length" or ends[-1] == ("tool_calls" if "read" in text else "stop")


@pytest.mark.parametrize(("text", "streamed", "again"), [
    (call("python"), False, True),
    (call("python"), True, True),
    (thought("hm") + call("python"), True, True),
    (PREAMBLE + call("python"), False, True),
    (PREAMBLE + call("python"), True, False),
    (PREAMBLE + call("python") + NEXT + final("Done."), False, False),
])
def test_while_nothing_was_shown_it_is_asked_again(text, streamed, again):
    chunks = read(reader("read", again=True, streamed=streamed), chunk(text), chunk("", "stop"))
    assert (chunks[-1]["choices"][0]["finish_reason"] == UNDECLARED) is again
    assert (SAID in str(chunks)) is not (again or "Done" in text)


def test_of_a_lost_answer_nothing_is_said():
    found = reader("read")
    assert SAID not in str(read(found, chunk(PREAMBLE + call("python"))) + found.end(broken=True))


def test_a_long_name_is_cut():
    assert f"`{'p' * MAX_NAME}`" in str(read(reader(), chunk(call("p" * 500)), chunk("", "stop")))


def test_broken_reasons_are_what_the_judge_takes_for_malformed():
    assert {kind_of(BROKEN), kind_of(UNDECLARED)} == {MALFORMED}


def test_repairs_of_calls_are_told():
    found = reader("read", "edit")
    text = call("read", a=1) + NEXT + call("edit").replace("{}", "{'a': 1,}") + NEXT + call("read").replace("{}", "")
    chunks = read(found, chunk(text), chunk("", "stop"))
    calls = [one["choices"][0]["delta"]["tool_calls"][0] for one in chunks[:-1]]
    assert [entry["function"]["arguments"] for entry in calls] == ['{"a": 1}', '{"a":1}', "{}"]
    (second, raw, repaired), (third, _, emptied) = found.notes
    assert (second, repaired) == ("choices[0].tool_calls[1]", "JSON repaired") and raw.endswith("{'a': 1,}")
    assert (third, emptied) == ("choices[0].tool_calls[2]", "no arguments")


@pytest.mark.parametrize("finish", ["length", "abort"])
def test_a_call_that_was_cut_does_not_leave(finish):
    chunks = read(reader("read"), chunk(call("read", path="a/b/c")[:-14]), chunk("", finish))
    assert not [one for one in chunks if "tool_calls" in one["choices"][0]["delta"]]


def test_each_choice_has_its_own_reader():
    found = reader("read")
    pieces = [thought("one") + final("1"), thought("two") + call("read", n=2), final("3")]
    chunks = [chunk(text[at : at + 3], index=index) for at in range(0, 300, 3) for index, text in enumerate(pieces)]
    answer = assemble(read(found, *chunks, *(chunk("", "stop", index) for index in range(3))))
    assert [choice["message"].get("content") for choice in answer["choices"]] == ["1", None, "3"]
    assert [choice["message"].get("reasoning_content") for choice in answer["choices"]] == ["one", "two", None]
    assert [choice["finish_reason"] for choice in answer["choices"]] == ["stop", "tool_calls", "stop"]


def test_usage_leaves_in_a_chunk_of_its_own():
    apart = [chunk(final("a"), "stop"), {**HEAD, "choices": [], "usage": USAGE}]
    for chunks in ([chunk(final("a"), "stop", usage=USAGE)], apart):
        made = read(reader(), *chunks)
        assert made[-1]["usage"] == USAGE and made[-1]["choices"] == []
        assert not [one for one in made[:-1] if "usage" in one]


@pytest.mark.parametrize("odd", [{"error": {"message": "no"}}, {"error": "no", "choices": []}, {"detail": "no"}, ["x"], "x", 5])
def test_what_is_no_completion_passes_as_it_is(odd):
    assert reader().take(odd) == [odd]


@pytest.mark.parametrize("odd", [{"choices": [None, 5]}, {"choices": [{"index": None}]}, {"choices": [{"text": None}]}])
def test_odd_choices_say_nothing(odd):
    assert reader().take(odd) == []


def test_an_error_that_is_null_is_none():
    (made,) = reader().take({"choices": [{"text": "<|channel|>final<|message|>a"}], "error": None})
    assert made["choices"][0]["delta"] == {"content": "a"}


def test_a_server_without_head_gets_one():
    (made, *_) = reader().take({"choices": [{"text": final("a")}]})
    assert made["id"].startswith("cmpl-") and made["created"] > 1_700_000_000


def test_a_broken_answer_loses_no_text_and_runs_no_half_call():
    found = reader("read")
    before = read(found, chunk(thought("hm") + call("read", path="x")), chunk(f"<|start|>assistant{call('read')[:-8]}"))
    assert not found.finished or not found.end(broken=True)
    assert len([one for one in before if "tool_calls" in one["choices"][0]["delta"]]) == 1
    found = reader()
    text = read(found, chunk("<|channel|>final<|message|>use a <|en")) + found.end(broken=True)
    assert "".join(one["choices"][0]["delta"].get("content", "") for one in text) == "use a <|en"
    assert not found.finished and not [one for one in text if one["choices"][0]["finish_reason"]]


def test_done_without_a_finish_reason_ends_as_the_text_says():
    found = reader("read")
    chunks = read(found, chunk(call("read"))) + found.end()
    assert [one["choices"][0]["finish_reason"] for one in chunks][-1] == "tool_calls"


def test_chunks_make_the_whole_answer():
    found = reader("read")
    pieces = ("<|channel|>analysis<|message|>a", "b<|end|><|start|>assistant" + call("read", x=1))
    chunks = read(found, *map(chunk, pieces), chunk("", "stop", usage=USAGE))
    answer = completion_of(chunks)
    (choice,) = answer["choices"]
    assert (answer["object"], answer["id"], answer["usage"]) == ("chat.completion", "cmpl-7", USAGE)
    assert choice["finish_reason"] == "tool_calls"
    (called,) = choice["message"].pop("tool_calls")
    assert choice["message"] == {"role": "assistant", "content": None, "reasoning_content": "ab"}
    assert "index" not in called and called["function"] == {"name": "read", "arguments": '{"x": 1}'}
    assert completion_of([]) == {"object": "chat.completion", "choices": []}
