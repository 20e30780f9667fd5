// One request as one row of the list.

import { h, svg } from "./dom.js";
import { countRepairs, elapsed, fullTime, health, moment, readRepairs, seconds, short, statusText } from "./format.js";
import { t } from "./language.js";
import { oneLine } from "./visible.js";

const SLOWEST = 60; // seconds that fill the bar; its scale is logarithmic
const FASTEST = 0.01;

/** The columns: [name, kind]; CSS hides those that do not fit. */
export const COLUMNS = [
  "time",
  "status",
  "model",
  "client",
  "in",
  "out",
  "chunks",
  "ttft",
  "duration",
  "repairs",
  "note",
];

export function headRow() {
  return h(
    "div",
    { class: "rrow head", role: "row" },
    COLUMNS.map((name) => h("span", { class: `c-${name}`, role: "columnheader" }, t(`column.${name}`))),
  );
}

/** Draw `row`; `chosen` tells whether it is the one that is open. */
export function requestRow(row, index, chosen) {
  const state = health(row);
  const found = readRepairs(row.repairs);
  const made = countRepairs(row.repairs);
  const cell = (name, ...content) => h("span", { class: `c-${name}`, role: "gridcell" }, content);
  return h(
    "div",
    {
      class: `rrow ${state}${chosen ? " chosen" : ""}`,
      role: "row",
      id: `row-${row.id}`,
      "aria-rowindex": index + 2,
      "aria-selected": chosen,
      data: { index, id: row.id },
    },
    cell("time", h("time", { title: fullTime(row.started) }, moment(row.started))),
    cell("status", h("span", { class: `status ${state}` }, statusText(row))),
    cell(
      "model",
      h("b", null, oneLine(row.model ?? row.path ?? "–", 80)),
      row.target && row.target !== row.model ? h("small", null, ` ${oneLine(row.target, 80)}`) : null,
    ),
    cell("client", oneLine(agentOf(row), 60), row.session ? h("small", null, ` ${oneLine(row.session, 40)}`) : null),
    cell("in", short(row.prompt_tokens)),
    cell("out", short(row.completion_tokens)),
    cell("chunks", row.stream ? `${short(row.raw_chunks)}→${short(row.emitted_chunks)}` : ""),
    cell("ttft", row.stream ? seconds(row.ttft) : ""),
    cell("duration", bar(row), h("span", { class: "figure" }, seconds(elapsed(row)))),
    cell(
      "repairs",
      found.length
        ? h(
            "span",
            {
              class: made ? "badge" : "badge noted",
              title: found.map(({ rule, count }) => `${oneLine(rule, 60)} ×${count}`).join("\n"),
            },
            String(made || found.reduce((sum, { count }) => sum + count, 0)),
          )
        : "",
    ),
    cell("note", row.error ? oneLine(row.error, 160) : [oddFinish(row), oneLine(row.asked ?? "", 160)]),
  );
}

/** A finish reason is worth a word where the answer is not whole. */
function oddFinish(row) {
  const finish = row.finish_reason;
  return finish && finish !== "stop" && finish !== "tool_calls"
    ? h("b", { class: "finish" }, oneLine(finish, 30), " ")
    : null;
}

/** "opencode/1.2 ai-sdk/5" -> "opencode/1.2". */
function agentOf(row) {
  return String(row.user_agent ?? row.client ?? "–").split(" ")[0];
}

/** Waiting and streaming on one logarithmic bar. */
function bar(row) {
  const place = (value) =>
    Math.max(2, Math.min(100, (100 * Math.log(Math.max(value, FASTEST) / FASTEST)) / Math.log(SLOWEST / FASTEST)));
  const end = place(elapsed(row));
  const first = row.stream && typeof row.ttft === "number" ? Math.min(end, place(row.ttft)) : end;
  return svg(
    "svg",
    { class: "spark", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "bar wait", x: 0, y: 0, width: first, height: 6 }),
    svg("rect", { class: "bar stream", x: first, y: 0, width: end - first, height: 6 }),
  );
}
