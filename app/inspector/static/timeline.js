// The two-sided timeline of one request: what the upstream said | the rule at work | what the client got.

import { announce, button, fill, h } from "./dom.js";
import { chunkText, essence } from "./chunk_text.js";
import { elapsed, isRunning, offset, seconds } from "./format.js";
import { t } from "./language.js";
import { dockOf } from "./timeline_dock.js";
import { HIGHEST_GAP, layOut, ROW } from "./timeline_layout.js";
import { strip } from "./timeline_strip.js";
import { VirtualList, unevenLayout } from "./virtual_list.js";
import { oneLine } from "./visible.js";

const HELD = 0.02; // seconds from which a chunk that was held back says when it left
const LONGEST = 600; // characters of a chunk in its row

/**
 * Draw `chunks` (the API's {raw, emitted, repairs}) of the request in `row`. Returns {element, keys, state, shown, destroy};
 * a request that runs is drawn again and again with the `state` of the one before.
 */
export function timeline(chunks, row, before = null) {
  const isBehind = isRunning(row) && row.raw_chunks > count(chunks.raw); // a long stream: its chunks follow at its end
  const plan = layOut(chunks, isBehind ? 0 : elapsed(row), row.dropped_events ?? 0);
  const state = { selected: -1, exact: false, scrolled: () => null, ...before };
  const dock = h(
    "section",
    { class: "dock", "aria-label": t("timeline.dock") },
    h("p", { class: "hint" }, t("timeline.pick")),
  );
  const scroller = h("div", {
    class: "timeline-rows",
    role: "grid",
    tabindex: "0",
    "aria-label": t("tab.timeline"),
    "aria-rowcount": plan.rows.length,
    "aria-colcount": 4,
  });
  const lane = strip(plan.rows, plan.end, (at) => {
    const place = plan.rows.findIndex((row) => row.at + (row.seconds ?? 0) >= at);
    list.reveal(place < 0 ? plan.rows.length - 1 : place, { centre: true });
  });
  const list = new VirtualList(
    scroller,
    (index) => drawRow(plan.rows[index], index, plan, state),
    () => {
      const { scrollTop, clientHeight } = scroller;
      const [first, last] = [
        plan.rows[list.layout.find(scrollTop) ?? 0],
        plan.rows[list.layout.find(scrollTop + clientHeight) ?? 0],
      ];
      if (first && last) lane.showRange(first.at, last.at + (last.seconds ?? 0));
    },
  );
  list.set(unevenLayout(plan.heights));

  const select = (index, how) => {
    if (index < 0 || index >= plan.rows.length) return;
    const before = state.selected;
    state.selected = index;
    fill(dock, dockOf(plan.rows[index]));
    list.refresh(before);
    list.reveal(index, how);
    list.refresh(index);
    scroller.setAttribute("aria-activedescendant", `chunk-${index}`);
    announce(rowLabel(plan.rows[index]));
  };
  const step = (direction) => {
    let next = state.selected + direction;
    while (plan.rows[next]?.kind === "gap" && !plan.rows[next].stall && !plan.rows[next].lost) next += direction;
    select(next);
  };
  const jump = (places) => {
    const next = places.find((place) => place > state.selected) ?? places[0];
    if (next === undefined) return;
    select(next, { centre: true });
  };
  scroller.addEventListener("click", (event) => {
    const chosen = event.target.closest("[data-index]");
    if (chosen) select(Number(chosen.dataset.index));
  });
  scroller.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(scroller.clientHeight / 24) - 1);
    const move = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page }[event.key];
    if (move) step(move);
    else if (event.key === "Home") select(0);
    else if (event.key === "End") select(plan.rows.length - 1);
    else return;
    event.preventDefault();
  });
  const where = before?.scrolled() ?? { scrollTop: 0, atEnd: isRunning(row) };
  if (plan.rows[state.selected]) fill(dock, dockOf(plan.rows[state.selected]));
  state.scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = scroller;
    return { scrollTop, atEnd: scrollTop + clientHeight >= scrollHeight - ROW };
  };
  /** Take up the place of the one before, once this is in the page; its end is followed. */
  const shown = () => {
    scroller.scrollTop = where.atEnd ? scroller.scrollHeight : where.scrollTop;
  };
  const element = h(
    "div",
    { class: "timeline" },
    toolbar(chunks, row, plan, state, jump, () => list.set(unevenLayout(plan.heights))),
    lane.element,
    h(
      "div",
      { class: "timeline-head", "aria-hidden": "true" },
      h("span", null, t("timeline.time")),
      h("span", { class: "is-raw" }, t("timeline.raw")),
      h("span", { class: "is-rule" }, t("timeline.rule")),
      h("span", { class: "is-emitted" }, t("timeline.emitted")),
    ),
    scroller,
    dock,
  );
  const keys = {
    n: { label: t("keys.nextRule"), run: () => jump(plan.rules) },
    s: { label: t("keys.nextStall"), run: () => jump(plan.stalls) },
  };
  const destroy = () => {
    list.destroy();
    lane.destroy();
  };
  return { element, keys, state, shown, destroy };
}

function toolbar(chunks, request, plan, state, jump, redraw) {
  const way = button(
    t("timeline.exact"),
    () => {
      state.exact = !state.exact;
      way.setAttribute("aria-pressed", state.exact);
      redraw();
    },
    { "aria-pressed": state.exact, class: "toggle", title: t("timeline.exactHint") },
  );
  const made = plan.rows.reduce((sum, row) => sum + (row.repairs?.length ?? 0), 0);
  return h(
    "div",
    { class: "toolbar" },
    counted("raw", count(chunks.raw), request.raw_chunks),
    counted("emitted", count(chunks.emitted), request.emitted_chunks),
    h("span", { class: "count is-rule" }, t("timeline.ruleCount", { n: made })),
    h("span", { class: "count" }, seconds(plan.end)),
    request.dropped_events
      ? h("span", { class: "count error-line" }, t("timeline.dropped", { n: request.dropped_events }))
      : null,
    h("span", { class: "spring" }),
    plan.rules.length > 0 && button(t("timeline.nextRule"), () => jump(plan.rules)),
    plan.stalls.length > 0 && button(t("timeline.nextStall", { n: plan.stalls.length }), () => jump(plan.stalls)),
    way,
  );
}

/** How many chunks of one side are here; of how many, where some were not kept. */
function counted(side, kept, all) {
  const more = all > kept;
  const said = t(`timeline.${side}Count`, { n: more ? all : kept });
  return h("span", { class: `count is-${side}` }, more ? t("timeline.countOf", { kept, count: said }) : said);
}

/** [DONE] and comments have no number: they are no chunks. */
function count(chunks) {
  return (chunks ?? []).filter(({ n }) => n !== null).length;
}

function drawRow(row, index, plan, state) {
  return row.kind === "gap" ? drawGap(row, index, plan, state) : drawChunk(row, index, plan, state);
}

function rowProps(row, index, state, kind) {
  const chosen = index === state.selected;
  return {
    class: `trow ${kind}${chosen ? " chosen" : ""}`,
    role: "row",
    id: `chunk-${index}`,
    "aria-rowindex": index + 1,
    "aria-selected": chosen,
    data: { index },
  };
}

function drawGap(row, index, plan, state) {
  const height = plan.heights[index];
  const label = row.lost
    ? t("timeline.dropped", { n: row.lost })
    : row.stall
      ? t(row.cut ? "timeline.stallCut" : "timeline.stall", { time: seconds(row.seconds) })
      : height >= 14
        ? seconds(row.seconds)
        : "";
  const kind = `gap${row.lost ? " lost" : ""}${row.stall ? " stall" : ""}${row.cut && height >= HIGHEST_GAP ? " cut" : ""}`;
  return h(
    "div",
    rowProps(row, index, state, kind),
    h("span", { class: "gap-label", role: "gridcell", "aria-colspan": 4 }, label),
  );
}

function drawChunk(row, index, plan, state) {
  const above = plan.rows[index - 1];
  const same = above?.kind === "chunk" && above.at === row.at;
  const names = row.repairs.map(({ rule }) => oneLine(rule, 60)).join("\n");
  return h(
    "div",
    rowProps(row, index, state, row.repairs.length ? "chunk repaired" : "chunk"),
    h("span", { class: "at", role: "gridcell" }, same ? "" : offset(row.at)),
    cell("raw", row.raw, row.at, state),
    h("span", { class: "rules", role: "gridcell", title: names || null }, ruleChips(row.repairs)),
    cell("emitted", row.emitted, row.at, state),
  );
}

function cell(side, chunk, at, state) {
  const text = chunk ? (state.exact ? chunkText(chunk).slice(0, LONGEST) : essence(chunk)) : "";
  return h(
    "span",
    { class: `side ${side}`, role: "gridcell" },
    chunk ? h("b", { class: "nr" }, chunk.n ?? "·") : null,
    chunk && chunk.at - at >= HELD ? h("small", { title: t("timeline.held") }, `${offset(chunk.at)} `) : null,
    oneLine(text, LONGEST),
  );
}

function ruleChips(repairs) {
  const counts = new Map();
  for (const { rule, mode } of repairs) {
    const key = `${rule}\u0000${mode ?? "fix"}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].map(([key, count]) => {
    const [rule, mode] = key.split("\u0000");
    return h(
      "span",
      { class: `rule-chip ${mode === "warn" ? "warn" : ""}` },
      oneLine(rule, 60),
      count > 1 ? ` ×${count}` : "",
    );
  });
}

function rowLabel(row) {
  if (row.lost) return t("timeline.dropped", { n: row.lost });
  if (row.kind === "gap") return t("timeline.stall", { time: seconds(row.seconds) });
  const rules = row.repairs.map((repair) => repair.rule).join(", ");
  return [
    offset(row.at),
    row.raw ? `${t("timeline.raw")} ${row.raw.n ?? ""}` : "",
    rules,
    row.emitted ? `${t("timeline.emitted")} ${row.emitted.n ?? ""}` : "",
  ]
    .filter(Boolean)
    .join("; ");
}
