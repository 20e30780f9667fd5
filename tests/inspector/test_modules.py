"""The page's pure modules, run where they run: in the browser. Tables of what goes in and what comes out."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.inspector.driving import Inspector

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def window(browser, shared_gateway):
    with Inspector(browser, shared_gateway.url) as inspector:
        yield inspector.page


@pytest.fixture
def run(window) -> Run:
    """Run `run("format", "m.bytes(a)", a=2048)` with the module as m."""

    def call(module: str, expression: str, **values: Any) -> Any:
        return window.evaluate(
            f"async (values) => {{ const m = await import('/inspector/static/{module}.js');"
            f" const {{{', '.join(values)}}} = values; return ({expression}); }}",
            values,
        )

    return call


# --- json_diff ------------------------------------------------------------------------------------------------------

DIFFS = [
    ({"a": 1}, {"a": 1}, {"added": 0, "removed": 0, "changed": 0}),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"added": 0, "removed": 0, "changed": 0}),
    ({"a": 1}, {"a": 2}, {"added": 0, "removed": 0, "changed": 1}),
    ({"a": 1}, {"b": 1}, {"added": 1, "removed": 1, "changed": 0}),
    ({"a": None}, {}, {"added": 0, "removed": 1, "changed": 0}),
    ([1, 2, 3], [1, 3], {"added": 0, "removed": 1, "changed": 0}),
    ([1, 3], [1, 2, 3], {"added": 1, "removed": 0, "changed": 0}),
    (
        [{"role": "system"}, {"role": "user", "content": "a"}],
        [{"role": "user", "content": "b"}],
        {"added": 0, "removed": 1, "changed": 1},
    ),
    (
        [{"function": {"name": "a", "x": 1}}, {"function": {"name": "b"}}],
        [{"function": {"name": "a", "x": 2}}],
        {"added": 0, "removed": 1, "changed": 1},
    ),
    ({"a": [1]}, {"a": {"0": 1}}, {"added": 0, "removed": 0, "changed": 1}),
    ("text", "other", {"added": 0, "removed": 0, "changed": 1}),
]


@pytest.mark.parametrize(("before", "after", "counts"), DIFFS)
def test_a_difference_is_counted(before: Any, after: Any, counts: dict, run: Run) -> None:
    assert run("json_diff", "m.countChanges(m.diff(before, after))", before=before, after=after) == counts


REBUILD = """(() => { const side = (node, which) => {
    if (node.kind === "same" || node.kind === "changed") return node[which];
    if (node.kind === "added" || node.kind === "removed") return node[which];
    if (node.kind === "object") {
      const absent = which === "before" ? "added" : "removed";
      return Object.fromEntries(node.entries.filter((e) => e.node.kind !== absent).map((e) => [e.key, side(e.node, which)]));
    }
    const place = which === "before" ? "from" : "to";
    return node.items.filter((item) => item[place] !== null).map((item) => side(item.node, which));
  };
  return pairs.map(([a, b]) => { const d = m.diff(a, b); return [side(d, "before"), side(d, "after")]; }); })()"""


def test_both_sides_can_be_put_together_again_from_a_difference(run: Run) -> None:
    chance = random.Random(6)

    def value(depth: int = 0) -> Any:
        kind = chance.randrange(6 if depth < 3 else 3)
        if kind == 3 or kind == 4:
            return [value(depth + 1) for _ in range(chance.randrange(5))]
        if kind == 5:
            return {chance.choice("abcde"): value(depth + 1) for _ in range(chance.randrange(4))}
        return chance.choice([None, True, 0, 1, "x", "y", "long text"])

    pairs = [[value(), value()] for _ in range(400)]
    assert run("json_diff", REBUILD, pairs=pairs) == pairs


def test_long_lists_are_compared_quickly(run: Run) -> None:
    before = [{"role": "user", "content": f"{n}"} for n in range(3000)]
    after = [{"role": "user", "content": f"{n}!"} for n in range(3000)]
    took = "(() => { const began = performance.now(); m.diff(before, after); return performance.now() - began; })()"
    assert run("json_diff", took, before=before, after=after) < 2000


# --- timeline_layout and chunk_pairing ------------------------------------------------------------------------------


def event(at: float, n: int | None, data: Any) -> dict[str, Any]:
    return {"at": at, "n": n, "data": data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))}


def delta(finish: str | None = None, **said: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


def rows(run: Run, chunks: dict[str, Any], end: float = 0) -> list[Any]:
    """Each row as (raw n, rules, emitted n), a gap as its seconds."""
    as_list = "(r) => r.kind === 'gap' ? r.seconds : [r.raw?.n, r.repairs.map((x) => x.rule), r.emitted?.n]"
    shown = f"m.layOut(chunks, end).rows.map({as_list})"
    found = run("timeline_layout", shown, chunks=chunks, end=end)
    return [row if isinstance(row, (int, float)) else tuple(row) for row in found]


def test_chunks_stand_beside_what_they_became(run: Run) -> None:
    raw = [event(0.01, 1, delta(content="a")), event(0.02, 2, delta(content="b"))]
    emitted = [event(0.011, 1, delta(content="a")), event(0.021, 2, delta(content="b"))]
    repairs = [{"at": 0.0205, "raw": 2, "rule": "r", "where": "x", "before": 1, "after": 2}]
    assert rows(run, {"raw": raw, "emitted": emitted, "repairs": repairs}) == [(1, [], 1), (2, ["r"], 2)]


def test_what_is_to_come_soon_is_not_put_off_by_more_calls(run: Run) -> None:
    counted = """new Promise((resolve) => {
      let [asked, done] = [0, 0];
      const later = m.soon(() => (done += 1), 20);
      const timer = setInterval(() => {
        later();
        if ((asked += 1) === 60 || done === 3) resolve([clearInterval(timer), done].at(-1));
      }, 5);
    })"""
    assert run("dom", counted) == 3


BADGES = [("", None), ("a.b=2,c.d=1", "badge 3"), ("a.b=2,c.d=1;warn", "badge 2"), ("c.d=4;warn", "badge noted 4")]


@pytest.mark.parametrize(("repairs", "badge"), BADGES)
def test_a_row_counts_repairs_and_else_what_was_noted(repairs: str, badge: str | None, run: Run) -> None:
    row = {"id": "x", "started": 1, "duration": 1, "repairs": repairs}
    said = "((b) => b && `${b.className} ${b.textContent}`)(m.requestRow(row, 0, false).querySelector('.badge'))"
    assert run("request_row", said, row=row) == badge
    takes = "(() => { const l = new m.ListModel(() => 0); l.filters = {repaired: '1'}; return l.takes(row); })()"
    assert run("list_model", takes, row=row) == (badge is not None)


def test_where_chunks_were_not_kept_there_was_no_silence(run: Run) -> None:
    raw = [event(0.01, 1, delta(content="a"))]
    kinds = "m.layOut(chunks, 9, lost).rows.map((r) => [r.kind, r.stall ?? null, r.lost ?? null])"
    chunks = {"raw": raw, "emitted": [], "repairs": []}
    assert run("timeline_layout", kinds, chunks=chunks, lost=7)[1:] == [["gap", False, 7]]
    assert run("timeline_layout", kinds, chunks=chunks, lost=0)[1:] == [["gap", True, None]]


def test_chunks_of_one_read_are_paired_by_what_they_say(run: Run) -> None:
    call = {"function": {"name": "f", "arguments": "{}"}}
    raw = [event(0.01, 1, delta(tool_calls=[call])), event(0.01, 2, delta("stop")), event(0.01, None, "[DONE]")]
    emitted = [
        event(0.012, 1, delta(role="assistant", content="")),
        event(0.012, 2, delta(tool_calls=[{"index": 0, "id": "call_1", **call}])),
        event(0.012, 3, delta("tool_calls")),
        event(0.013, None, "[DONE]"),
    ]
    repairs = [
        {
            "at": 0.011,
            "raw": 3,
            "rule": "tool.id",
            "where": "choices[0].tool_calls[0].id",
            "before": "",
            "after": "call_1",
        },
        {"at": 0.011, "raw": 3, "rule": "finish", "where": "choices[0]", "before": "stop", "after": "tool_calls"},
        {"at": 0.001, "raw": 0, "rule": "schema", "where": "tools[0]", "before": 1, "after": 2},
    ]
    found = rows(run, {"raw": raw, "emitted": emitted, "repairs": repairs})
    assert found == [(None, ["schema"], None), (None, [], 1), (1, ["tool.id"], 2), (2, ["finish"], 3), (None, [], None)]


def test_a_chunk_that_was_swallowed_or_made_stands_alone(run: Run) -> None:
    raw = [event(0.01, 1, delta(content="a")), event(0.02, 2, {"choices": []}), event(0.03, 3, delta(content="c"))]
    emitted = [event(0.011, 1, delta(content="a")), event(0.031, 2, delta(content="c"))]
    assert rows(run, {"raw": raw, "emitted": emitted, "repairs": []}) == [(1, [], 1), (2, [], None), (3, [], 2)]


def test_what_was_held_back_until_a_later_read_stands_beside_its_origin(run: Run) -> None:
    call = {"function": {"name": "f", "arguments": "{}"}}
    raw = [event(0.01, 1, delta(tool_calls=[call])), event(0.04, 2, delta("stop"))]
    said = [delta(tool_calls=[{"index": 0, "id": "call_1", **call}]), delta("tool_calls")]
    emitted = [event(0.041, n, one) for n, one in enumerate(said, 1)]
    repairs = [
        {
            "at": 0.0405,
            "raw": 2,
            "rule": "tool.id",
            "where": "choices[0].tool_calls[0].id",
            "before": "",
            "after": "call_1",
        }
    ]
    assert rows(run, {"raw": raw, "emitted": emitted, "repairs": repairs}) == [(1, ["tool.id"], 1), (2, [], 2)]
    late = [event(0.011, 1, delta(content="x")), event(0.041, 2, said[0]), event(0.041, 3, said[1])]
    assert (1, [], 2) not in rows(run, {"raw": raw, "emitted": late, "repairs": []}), "no two lines may cross"


def test_gaps_are_to_scale_and_stalls_are_seen(run: Run) -> None:
    raw = [event(at, n, delta(content="x")) for n, at in enumerate((0.5, 0.52, 1.02, 31.0), 1)]
    plan = run("timeline_layout", "m.layOut(chunks, 31)", chunks={"raw": raw, "emitted": [], "repairs": []})
    gaps = [
        (row["seconds"], row["stall"], row["cut"], height)
        for row, height in zip(plan["rows"], plan["heights"], strict=True)
        if row["kind"] == "gap"
    ]
    assert [(round(gap[0], 2), *gap[1:3]) for gap in gaps] == [
        (0.5, False, False),
        (0.5, False, False),
        (29.98, True, True),
    ]
    assert gaps[0][3] == pytest.approx(gaps[1][3]) == pytest.approx(30)
    assert gaps[2][3] == 150
    assert [plan["rows"][place]["kind"] for place in plan["stalls"]] == ["gap"]


def test_keep_alives_and_answers_without_raw_chunks_have_their_rows(run: Run) -> None:
    emitted = [event(0.1, 1, delta(content="x")), event(20.0, None, ": keep-alive"), event(30.0, 2, delta("stop"))]
    repairs = [
        {"at": 0.01, "raw": 0, "rule": "early", "where": ""},
        {"at": 30.0, "raw": 0, "rule": "late", "where": ""},
    ]
    found = rows(run, {"raw": [], "emitted": emitted, "repairs": repairs})
    assert [row for row in found if isinstance(row, tuple)] == [
        (None, ["early"], None),
        (None, [], 1),
        (None, [], None),
        (None, ["late"], 2),
    ]


def test_thousands_of_chunks_are_laid_out_quickly(run: Run) -> None:
    timed = """(() => {
      const said = (n) => JSON.stringify({ choices: [{ index: 0, delta: { content: `word ${n}` } }] });
      const chunk = (n, late) => ({ at: Math.floor(n / 50) * 0.01 + late, n, data: said(n) });
      const side = (late) => Array.from({ length: 20_000 }, (_, n) => chunk(n, late));
      const chunks = { raw: side(0), emitted: side(0.001), repairs: [] };
      const began = performance.now();
      return [m.layOut(chunks).rows.length, performance.now() - began];
    })()"""
    count, milliseconds = run("timeline_layout", timed)
    assert count == 20_000
    assert milliseconds < 3000


# --- small ones -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\nline", "plain\ttext\nline"),
        ("\x1b[31mred", "⟦ESC⟧[31mred"),
        ("\r\n", "⟦CR⟧\n"),
        ("a\u202eb\u2066c\u2069", "a⟦202E⟧b⟦2066⟧c⟦2069⟧"),
        ("\ufeff\u200b\u00ad", "⟦FEFF⟧⟦200B⟧⟦00AD⟧"),
        ("\U000e0041", "⟦E0041⟧"),
        ("\U0001f469\u200d\U0001f4bb 한국어", "\U0001f469\u200d\U0001f4bb 한국어"),
        ("<b>&amp;</b>", "<b>&amp;</b>"),
    ],
)
def test_what_is_hidden_becomes_visible(text: str, shown: str, run: Run) -> None:
    element = "(() => { const p = document.createElement('p'); p.append(m.visible(text)); return p.textContent; })()"
    assert run("visible", f"[m.plain(text), {element}]", text=text) == [shown, shown]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.0042, "4.2 ms"),
        (0.81, "810 ms"),
        (0.9996, "1.00 s"),
        (2.413, "2.41 s"),
        (59.0, "59.0 s"),
        (83, "1:23 min"),
        (5400, "1:30 h"),
        (None, "–"),
    ],
)
def test_seconds_are_written_as_people_read_them(value: float | None, shown: str, run: Run) -> None:
    assert run("format", "m.seconds(value)", value=value) == shown


def test_the_report_of_repairs_is_read(run: Run) -> None:
    read = run("format", "[m.readRepairs(text), m.countRepairs(text)]", text="tool.id=2,finish.tool_calls=1,a.b=3;warn")
    assert [(entry["rule"], entry["count"], entry["warn"]) for entry in read[0]] == [
        ("tool.id", 2, False),
        ("finish.tool_calls", 1, False),
        ("a.b", 3, True),
    ]
    assert read[1] == 3


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (delta(content="Hi"), "“Hi”"),
        (delta(role="assistant", content=""), "“”  role assistant"),
        (
            delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]),
            'call[0] id "c" f {}',
        ),
        (delta(tool_calls=[{"id": "", "function": {"name": "f", "arguments": "{}"}}]), 'call[no index] id "" f {}'),
        (delta("stop"), 'finish "stop"'),
        ({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}, "usage 3 + 4"),
        ("[DONE]", "[DONE]"),
        (": keep-alive", ": keep-alive"),
        ("{broken", "{broken"),
        ("[1,2]", "[1,2]"),
    ],
)
def test_a_chunk_in_few_words(data: Any, shown: str, run: Run) -> None:
    assert run("chunk_text", "m.essence(chunk)", chunk=event(0, 1, data)) == shown


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_read_wherever_the_stream_is_cut(size: int, run: Run) -> None:
    stream = ': hello\n\ndata: {"a":"한"}\n\ndata:b\ndata: c\r\n\r\nevent: x\ndata: d\n\ndata: [DONE]'
    read = (
        "(async () => { const bytes = new TextEncoder().encode(stream); const body = new ReadableStream({ start(c) {"
        " for (let i = 0; i < bytes.length; i += size) c.enqueue(bytes.slice(i, i + size)); c.close(); } });"
        " const found = []; for await (const data of m.events(body)) found.push(data); return found; })()"
    )
    expression = f"await {read}"
    assert run("sse_reader", expression, stream=stream, size=size) == ['{"a":"한"}', "b\nc", "d", "[DONE]"]


def test_no_markup_can_be_built(run: Run) -> None:
    for props in (
        {"onclick": "x"},
        {"style": "x"},
        {"srcdoc": "x"},
        {"src": "x"},
        {"href": "https://evil.example"},
        {"href": "javascript:x"},
        {"href": "//evil.example"},
    ):
        refused = "(() => { try { m.h('a', props); return false; } catch { return true; } })()"
        assert run("dom", refused, props=props), props
