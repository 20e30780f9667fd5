"""Which call a delta belongs to: every way in which upstreams cut, number and name calls, in tables and in general."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.quirks.ledger import Ledger
from app.quirks.report import Report
from app.quirks.tool_calls import Assembler, merge_extra


def assemble(deltas: list[list[object]]) -> list[tuple[str, str]]:
    assembler = Assembler(Ledger(Report()), "choices[0]")
    for delta in deltas:
        assembler.absorb(delta)
    return [(call.name, call.arguments or "{}") for call in assembler.calls if not call.empty]


def part(index=None, id=None, name=None, arguments=None, **more):
    delta = {"index": index, "id": id, "type": "function", **more}
    delta["function"] = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {key: value for key, value in delta.items() if value is not None}


A, B = ("read", '{"path":"a"}'), ("read", '{"path":"b"}')
WRITE = ("write", '{"path":"a"}')

TABLE = {
    "as OpenAI sends them": (
        [
            [part(0, "a", "read", "")],
            [part(0, arguments='{"path"')],
            [part(0, arguments=':"a"}')],
            [part(1, "b", "write", "")],
            [part(1, arguments='{"path":"a"}')],
        ],
        [A, WRITE],
    ),
    "two calls in turns, by index": (
        [
            [part(0, "a", "read", '{"pa')],
            [part(1, "b", "write", '{"path')],
            [part(0, arguments='th":"a"}')],
            [part(1, arguments='":"a"}')],
        ],
        [A, WRITE],
    ),
    "no index, whole": ([[part(None, "a", *A)], [part(None, "b", *B)]], [A, B]),
    "no index, one delta": ([[part(None, "a", *A), part(None, "b", *B)]], [A, B]),
    "no index, split": (
        [
            [part(None, "a", "read", "")],
            [part(arguments='{"path"')],
            [part(arguments=':"a"}')],
            [part(None, "b", "read", "")],
            [part(arguments='{"path":"b"}')],
        ],
        [A, B],
    ),
    "index 0 on all": ([[part(0, "a", *A)], [part(0, "b", *B)]], [A, B]),
    "index 0 on all, empty ids": ([[part(0, "", *A)], [part(0, "", *B)]], [A, B]),
    "index 0, no ids, the same call twice": ([[part(0, None, *A)], [part(0, None, *A)]], [A, A]),
    "index 0, no ids, one delta, no arguments": (
        [[part(0, None, "now", ""), part(0, None, "now", "")]],
        [("now", "{}"), ("now", "{}")],
    ),
    "index 0, empty ids, split": (
        [
            [part(0, "", "read", "")],
            [part(0, "", arguments='{"path":"a"}')],
            [part(0, "", "read", "")],
            [part(0, "", arguments='{"path":"b"}')],
        ],
        [A, B],
    ),
    "one id for two calls": ([[part(0, "x", *A)], [part(1, "x", *B)]], [A, B]),
    "one id for two equal calls, indexes tell": ([[part(0, "x", *A)], [part(1, "x", *A)]], [A, A]),
    "a call sent twice": ([[part(0, "x", *A)], [part(0, "x", *A)]], [A]),
    "one id and index, other arguments": ([[part(0, "x", *A)], [part(0, "x", *B)]], [A, B]),
    "one id, other name": ([[part(0, "x", *A)], [part(0, "x", *WRITE)]], [A, WRITE]),
    "the other call's index, name and id in each delta (Vertex)": (
        [
            [part(0, "a", "read", '{"pa')],
            [part(0, "a", "read", 'th":"a"}')],
            [part(0, "b", "read", "")],
            [part(1, "b", "read", '{"path":')],
            [part(1, "b", "read", '"b"}')],
            [part(1, "b", "read", "")],
        ],
        [A, B],
    ),
    "name in each delta, no ids": (
        [[part(0, None, "read", '{"path"')], [part(0, None, "read", ':"a"}')], [part(0, None, "read", "")]],
        [A],
    ),
    "name in the second delta": ([[part(0, "a")], [part(0, None, *A)], [part(1, "b")], [part(1, None, *B)]], [A, B]),
    "name in the second delta, index 0 on all": (
        [[part(0, "a")], [part(0, None, *A)], [part(0, "b")], [part(0, None, *B)]],
        [A, B],
    ),
    "id in the second delta": (
        [
            [part(0, None, "read", "")],
            [part(0, "a", None, '{"path":"a"}')],
            [part(0, None, "read", "")],
            [part(0, "b", None, '{"path":"b"}')],
        ],
        [A, B],
    ),
    "arguments as an object": ([[part(0, "a", "read", {"path": "a"})]], [A]),
    "arguments null, empty, missing": (
        [
            [part(0, "a", "now", None)],
            [part(1, "b", "then", "")],
            [{"index": 2, "id": "c", "function": {"name": "so"}}],
        ],
        [("now", "{}"), ("then", "{}"), ("so", "{}")],
    ),
    "an empty name after the first delta (zai)": (
        [[part(0, "a", "read", "")], [part(0, None, "", '{"path":"a"}')]],
        [A],
    ),
    "name and arguments without function": ([[{"index": 0, "id": "a", "name": "read", "arguments": A[1]}]], [A]),
    "an empty entry": ([[{}], [part(0, "a", *A)]], [A]),
    "entries that are no objects": ([["x", None, part(0, "a", *A)]], [A]),
    "another id in each delta, no name": (
        [[part(0, "a", "read", '{"pa')], [part(0, "b", None, 'th":"a"}')]],
        [A],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_calls_are_told_apart(name: str) -> None:
    deltas, expected = TABLE[name]
    assert assemble(deltas) == expected


def test_a_signature_in_a_delta_of_its_own_joins_the_call() -> None:
    assembler = Assembler(Ledger(Report()), "choices[0]")
    assembler.absorb([part(None, "a", *A)])
    assembler.absorb([{"extra_content": {"google": {"thought_signature": "sig"}}}])
    assembler.absorb([part(None, "b", *B)])
    assert [call.extra for call in assembler.calls] == [{"google": {"thought_signature": "sig"}}, None]


def test_a_custom_call_keeps_its_text() -> None:
    assembler = Assembler(Ledger(Report()), "choices[0]")
    assembler.absorb([{"id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}])
    assert [(call.custom, call.name, call.arguments) for call in assembler.calls] == [(True, "patch", "*** Begin")]


def test_extra_contents_are_merged_by_vendor() -> None:
    merged = merge_extra({"google": {"thought": True}, "x": 1}, {"google": {"thought_signature": "s"}})
    assert merged == {"google": {"thought": True, "thought_signature": "s"}, "x": 1}


def test_several_calls_in_one_delta_are_noted_in_a_stream_only() -> None:
    for streamed, expected in ((True, {"stream.tool_calls": 1}), (False, {})):
        report = Report()
        Assembler(Ledger(report), "choices[0]", streamed).absorb([part(None, "a", *A), part(None, "b", *B)])
        assert report.counts == expected


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
one_call = st.tuples(
    st.sampled_from(["read", "write", "bash"]), st.dictionaries(st.text(max_size=4), values, max_size=3)
)
calls_lists = st.lists(one_call, min_size=1, max_size=4)


@st.composite
def rendered(draw: st.DrawFn) -> tuple[list[list[object]], list[tuple[str, str]]]:
    """Any list of calls, in any of the ways seen, cut anywhere."""
    calls = [(name, json.dumps(arguments, ensure_ascii=False)) for name, arguments in draw(calls_lists)]
    index = draw(st.sampled_from(["right", "missing", "zero", "wrong"]))
    ids = draw(st.sampled_from(["first", "each", "empty", "missing", "same"]))
    names = draw(st.sampled_from(["first", "each"]))
    if ids == "same":  # equal calls under one id are one call sent twice
        calls = list(dict.fromkeys(calls))
    if index == "wrong":  # only where ids tell
        ids, names = "each", "each"
    deltas: list[list[object]] = []
    for number, (name, arguments) in enumerate(calls):
        cuts = sorted(draw(st.lists(st.integers(0, len(arguments)), max_size=3)))
        pieces = [arguments[low:high] for low, high in zip([0, *cuts], [*cuts, len(arguments)], strict=True)]
        if draw(st.booleans()):
            pieces = ["", *pieces]
        for position, piece in enumerate(pieces):
            first = position == 0
            shown = {"right": number, "missing": None, "zero": 0, "wrong": max(number - 1, 0) if first else number}[
                index
            ]
            call_id = {
                "first": f"id{number}" if first else None,
                "each": f"id{number}",
                "empty": "",
                "missing": None,
                "same": "id" if first else None,
            }[ids]
            delta = part(shown, call_id, name if first or names == "each" else None, piece)
            if deltas and first and draw(st.booleans()):
                deltas[-1].append(delta)
            else:
                deltas.append([delta])
    return deltas, calls


@given(rendered())
def test_any_rendering_gives_the_same_calls(example: tuple[list[list[object]], list[tuple[str, str]]]) -> None:
    deltas, calls = example
    assert assemble(deltas) == calls
