// One request at a glance: facts, where the time went, where the tokens went, which rules were at work.

import { button, h, svg } from "./dom.js";
import { bytes, cost, elapsed, fullTime, isRunning, NONE, number, readRepairs, seconds } from "./format.js";
import { t } from "./language.js";
import { oneLine } from "./visible.js";
import { repairList } from "./timeline_dock.js";

const WIDTH = 640; // of a chart's own coordinates
const BAR = 18;
const SHORTEST = 0.2; // seconds of streaming from which a speed says something

/** Draw `row`; `loadRepairs()` fetches what the rules changed. */
export function summaryView(row, sizes, loadRepairs) {
  return h(
    "div",
    { class: "summary" },
    row.error ? h("p", { class: "error-line", role: "alert" }, oneLine(row.error, 500)) : null,
    isRunning(row) ? h("p", { class: "hint" }, t("request.running")) : null,
    h("div", { class: "charts" }, timing(row), tokens(row)),
    repairs(row, loadRepairs),
    h(
      "section",
      null,
      h("h3", null, t("summary.facts")),
      h(
        "dl",
        { class: "facts" },
        facts(row, sizes).map(([label, value]) => [h("dt", null, t(label)), h("dd", null, value)]),
      ),
    ),
  );
}

function facts(row, sizes) {
  const text = (value) => (value === null || value === undefined || value === "" ? NONE : oneLine(value, 300));
  const kept = Object.entries(sizes ?? {})
    .map(([part, size]) => `${part} ${bytes(size)}`)
    .join(", ");
  return [
    ["fact.id", h("code", null, text(row.id))],
    ["fact.started", fullTime(row.started)],
    ["fact.path", h("code", null, text(`${row.method ?? ""} ${row.path ?? ""}`))],
    ["fact.model", text(row.model)],
    ["fact.target", text(row.target)],
    ["fact.engine", text(row.engine)],
    ["fact.status", text(row.status)],
    ["fact.stream", t(row.stream ? "yes" : "no")],
    ["fact.finish", text(row.finish_reason)],
    ["fact.client", text(row.client)],
    ["fact.agent", text(row.user_agent)],
    ["fact.session", text(row.session)],
    ["fact.cost", cost(row.cost)],
    ["fact.chunks", `${number(row.raw_chunks)} → ${number(row.emitted_chunks)}`],
    ["fact.dropped", number(row.dropped_events)],
    ["fact.depth", text(row.depth)],
    ["fact.kept", text(kept)],
  ];
}

/** A bar of parts, each [class, label, value]; returns a figure with a legend that says the values. */
function bar(title, parts, say, total) {
  const shown = parts.filter(([, , value]) => typeof value === "number" && value > 0);
  const sum = total || shown.reduce((all, [, , value]) => all + value, 0) || 1;
  let from = 0;
  const boxes = shown.map(([kind, , value]) => {
    const width = Math.max(1.5, (value / sum) * WIDTH);
    const box = svg("rect", { class: `bar ${kind}`, x: from, y: 0, width, height: BAR });
    from += width;
    return box;
  });
  const spoken = shown.map(([, label, value]) => `${label} ${say(value)}`).join(", ");
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", null, title),
    svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${BAR}`, preserveAspectRatio: "none", role: "img", "aria-label": `${title}: ${spoken}` },
      svg("rect", { class: "bar rest", x: 0, y: 0, width: WIDTH, height: BAR }),
      boxes,
    ),
    h(
      "ul",
      { class: "legend" },
      shown.map(([kind, label, value]) =>
        h("li", null, h("i", { class: `swatch ${kind}` }), label, " ", h("b", null, say(value))),
      ),
    ),
  );
}

// Parts of the time, in their order, and how each is drawn.
const PARTS = {
  queue: "part-5",
  read: "part-4",
  prepare: "prepare",
  engine: "part-1",
  upstream: "wait",
  repair: "rule",
  format: "reasoning",
  write: "stream",
};
const ELSEWHERE = new Set(["upstream", "write", "queue"]);

function timing(row) {
  const total = elapsed(row);
  const own = Object.entries(row.timings ?? {}).filter(([name]) => name in PARTS);
  if (!own.length)
    return bar(
      `${t("timing.title")} · ${seconds(total)}`,
      [
        ["wait", t("timing.first"), row.ttft ?? total],
        ["stream", t("timing.stream"), row.ttft ? total - row.ttft : 0],
      ],
      seconds,
      total,
    );
  const here = own.reduce((sum, [name, value]) => sum + (ELSEWHERE.has(name) ? 0 : value), 0);
  const title = `${t("timing.title")} · ${seconds(total)}${row.timings.upstream ? ` · ${t("timing.own", { time: seconds(here) })}` : ""}`;
  return bar(
    title,
    own.map(([name, value]) => [PARTS[name], t(`timing.${name}`), value]),
    seconds,
    total,
  );
}

function tokens(row) {
  const {
    prompt_tokens: prompt,
    completion_tokens: completion,
    cached_tokens: cached,
    reasoning_tokens: reasoning,
  } = row;
  if (typeof prompt !== "number" && typeof completion !== "number") {
    if (isRunning(row)) return null; // they are counted at the end
    return h(
      "figure",
      { class: "chart" },
      h("figcaption", null, t("tokens.title")),
      h("p", { class: "hint" }, t("tokens.none")),
    );
  }
  const streaming = row.duration - (row.ttft ?? 0);
  const speed = completion && streaming > SHORTEST ? completion / streaming : null;
  const parts = [
    ["cached", t("tokens.cached"), cached],
    ["prompt", t("tokens.prompt"), prompt - (cached ?? 0)],
    ["reasoning", t("tokens.reasoning"), reasoning],
    ["completion", t("tokens.completion"), completion - (reasoning ?? 0)],
  ];
  const title = speed ? `${t("tokens.title")} · ${t("tokens.speed", { speed: number(speed, 1) })}` : t("tokens.title");
  return bar(title, parts, number);
}

function repairs(row, loadRepairs) {
  const made = readRepairs(row.repairs);
  if (!made.length) return null;
  const most = Math.max(...made.map(({ count }) => count));
  const section = h("section", null, h("h3", null, t("summary.repairs")));
  section.append(
    h(
      "ul",
      { class: "rule-counts" },
      made.map(({ rule, count, warn }) =>
        h(
          "li",
          null,
          h("span", { class: `rule-chip ${warn ? "warn" : ""}` }, oneLine(rule, 80)),
          meter(count / most),
          h("b", null, `×${count}`),
        ),
      ),
    ),
  );
  const show = button(t("summary.showRepairs"), async () => {
    show.disabled = true;
    try {
      const list = await loadRepairs();
      show.replaceWith(list.length ? repairList(list) : h("p", { class: "hint" }, t("part.absent")));
    } catch (error) {
      show.replaceWith(h("p", { class: "error-line", role: "alert" }, oneLine(error.message, 300)));
    }
  });
  section.append(show);
  return section;
}

function meter(share) {
  return svg(
    "svg",
    { class: "meter", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "bar rule", x: 0, y: 0, width: Math.max(2, share * 100), height: 6 }),
  );
}
