// Plots over time: requests, latency, tokens, repairs; follows the live feed at a calm pace.

import { getSeries } from "./api.js";
import { button, fill, h, soon } from "./dom.js";
import { chart } from "./chart.js";
import { number, seconds, short } from "./format.js";
import { subscribe } from "./live.js";
import { t } from "./language.js";
import { go } from "./router.js";
import { oneLine } from "./visible.js";

// name -> [minutes, seconds of a bucket]
const RANGES = { "15m": [15, 15], "1h": [60, 60], "6h": [360, 300], "24h": [1440, 1200], "7d": [10_080, 7200] };
const RULES_SHOWN = 5; // each with a colour of its own; the rest together

/** Draw the page; the range stands in the address. */
export function plotsPage(host, first, setPageKeys) {
  let route = first;
  let charts = [];
  const ranges = h("div", { class: "toolbar", role: "group", "aria-label": t("plots.range") });
  const body = h("div", { class: "plots" }, h("p", { class: "hint" }, t("loading")));
  host.append(h("div", { class: "page" }, h("h2", null, t("nav.plots")), ranges, body));
  const range = () => (RANGES[route.query.range] ? route.query.range : "1h");

  function drawRanges() {
    fill(
      ranges,
      Object.keys(RANGES).map((name) =>
        button(t(`plots.${name}`), () => go("plots", [], { range: name }), {
          class: "toggle",
          "aria-pressed": String(name === range()),
        }),
      ),
    );
  }

  async function load() {
    const wanted = range();
    const [minutes, bucket] = RANGES[wanted];
    try {
      const { buckets } = await getSeries(minutes, bucket);
      if (range() !== wanted) return; // another one is on its way
      charts.forEach((one) => one.destroy());
      charts = draw(buckets, bucket);
      fill(
        body,
        charts.map((one) => one.element),
      );
    } catch (error) {
      fill(body, h("p", { class: "error-line", role: "alert" }, oneLine(error.message, 300)));
    }
  }

  const again = soon(load, 4000);
  const stop = subscribe(({ row }) => row && !body.contains(document.activeElement) && again());
  const names = Object.keys(RANGES);
  const turn = (step) =>
    go("plots", [], { range: names[Math.max(0, Math.min(names.length - 1, names.indexOf(range()) + step))] });
  setPageKeys([
    {
      title: t("nav.plots"),
      keys: {
        "[": { label: t("keys.shorter"), run: () => turn(-1) },
        "]": { label: t("keys.longer"), run: () => turn(1) },
      },
    },
  ]);
  drawRanges();
  load();
  return {
    update(next) {
      route = next;
      drawRanges();
      load();
    },
    destroy() {
      stop();
      again.cancel();
      charts.forEach((one) => one.destroy());
    },
  };
}

function draw(buckets, bucket) {
  const times = buckets.map(({ at }) => at);
  const values = (name) => buckets.map((one) => one[name] ?? null);
  const plot = (title, series, say, stacked = false) => chart({ title, times, series, say, stacked, bucket });
  return [
    plot(
      t("plots.requests"),
      [
        { name: t("plots.good"), kind: "ok", values: buckets.map(({ requests, errors }) => requests - errors) },
        { name: t("plots.errors"), kind: "error", values: values("errors") },
      ],
      number,
      true,
    ),
    plot(
      t("plots.ttft"),
      [
        { name: "p50", kind: "p50", values: values("ttft_p50") },
        { name: "p95", kind: "p95", values: values("ttft_p95") },
      ],
      seconds,
    ),
    plot(
      t("plots.duration"),
      [
        { name: "p50", kind: "p50", values: values("duration_p50") },
        { name: "p95", kind: "p95", values: values("duration_p95") },
      ],
      seconds,
    ),
    plot(
      t("plots.tokens"),
      [
        { name: t("tokens.prompt"), kind: "prompt", values: values("prompt_tokens") },
        { name: t("tokens.completion"), kind: "completion", values: values("completion_tokens") },
      ],
      short,
      true,
    ),
    plot(
      t("plots.repaired"),
      [{ name: t("plots.withRepairs"), kind: "rule", values: values("repaired") }],
      number,
      true,
    ),
    plot(t("plots.repairs"), byRule(buckets), number, true),
  ];
}

/** The most frequent rules one by one, all others together. */
function byRule(buckets) {
  const sums = new Map();
  for (const { repairs } of buckets)
    for (const [rule, count] of Object.entries(repairs ?? {})) sums.set(rule, (sums.get(rule) ?? 0) + count);
  const top = [...sums]
    .sort((a, b) => b[1] - a[1])
    .slice(0, RULES_SHOWN)
    .map(([rule]) => rule);
  const series = top.map((rule, index) => ({
    name: oneLine(rule, 60),
    kind: `part-${index}`,
    values: buckets.map(({ repairs }) => repairs?.[rule] ?? 0),
  }));
  if (sums.size > top.length) {
    const rest = ({ repairs }) =>
      Object.entries(repairs ?? {}).reduce((sum, [rule, count]) => sum + (top.includes(rule) ? 0 : count), 0);
    series.push({ name: t("plots.otherRules"), kind: "part-5", values: buckets.map(rest) });
  }
  return series;
}
