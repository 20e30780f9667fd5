// The whole request on one line, true to time: raw chunks above the axis, emitted ones below, repairs on it.

import { h, svg } from "./dom.js";
import { seconds } from "./format.js";
import { t } from "./language.js";

const HEIGHT = 58;
const AXIS = 24;
const EDGE = 8;

/** Return {element, showRange(from, to), destroy()}; `onPick(seconds)` hears where it was clicked. */
export function strip(rows, end, onPick) {
  const host = h("div", { class: "strip" });
  let width = 0;
  let view = null;
  let range = [0, 0];
  const x = (at) => EDGE + (at / (end || 1)) * (width - 2 * EDGE);

  const draw = () => {
    width = Math.max(200, host.clientWidth);
    view = svg("rect", { class: "strip-view", y: 1, height: HEIGHT - 16, rx: 2 });
    host.replaceChildren(
      svg(
        "svg",
        {
          class: "strip-plot",
          viewBox: `0 0 ${width} ${HEIGHT}`,
          role: "img",
          "aria-label": t("timeline.stripLabel", { time: seconds(end) }),
        },
        stalls(rows, x),
        view,
        svg("path", { class: "strip-axis", d: `M${EDGE} ${AXIS}H${width - EDGE}` }),
        svg("path", { class: "strip-raw", d: ticks(rows, "raw", x, AXIS - 3, -14) }),
        svg("path", { class: "strip-emitted", d: ticks(rows, "emitted", x, AXIS + 3, 14) }),
        repairs(rows, x),
        scale(end, width, x),
      ),
    );
    showRange(...range);
  };
  const showRange = (from, to) => {
    range = [from, to];
    view.setAttribute("x", x(from) - 2);
    view.setAttribute("width", Math.max(4, x(to) - x(from) + 4));
  };
  const pick = (event) => {
    const left = host.getBoundingClientRect().left;
    onPick(Math.max(0, Math.min(1, (event.clientX - left - EDGE) / (width - 2 * EDGE))) * end);
  };
  host.addEventListener("pointerdown", (event) => {
    pick(event);
    host.setPointerCapture(event.pointerId);
  });
  host.addEventListener("pointermove", (event) => event.buttons && pick(event));
  const observer = new ResizeObserver(draw);
  observer.observe(host);
  draw();
  return { element: host, showRange, destroy: () => observer.disconnect() };
}

/** One path for all ticks of a side; ticks that fall on one pixel are drawn once. */
function ticks(rows, side, x, from, length) {
  const parts = [];
  let last = -1;
  for (const row of rows) {
    if (!row[side]) continue;
    const place = Math.round(x(row[side].at) * 2) / 2;
    if (place === last) continue;
    last = place;
    parts.push(`M${place} ${from}v${length}`);
  }
  return parts.join("");
}

function repairs(rows, x) {
  const marks = rows.filter((row) => row.repairs?.length).slice(0, 2000);
  return marks.map((row) => {
    const place = x(row.at);
    return svg("path", { class: "strip-rule", d: `M${place} ${AXIS - 5}l4 5-4 5-4-5z` });
  });
}

function stalls(rows, x) {
  return rows
    .filter((row) => row.stall)
    .map((row) =>
      svg("rect", {
        class: "strip-stall",
        x: x(row.at),
        y: 4,
        width: Math.max(1, x(row.at + row.seconds) - x(row.at)),
        height: 2 * AXIS - 8,
      }),
    );
}

/** Times under the axis, at round distances of 90 px at least. */
function scale(end, width, x) {
  const wanted = end / Math.max(1, width / 90);
  const power = 10 ** Math.floor(Math.log10(wanted || 1));
  const distance = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= wanted) ?? power;
  const labels = [];
  for (let at = 0; at <= end && labels.length < 50; at += distance) {
    const place = x(at);
    const anchor = at === 0 ? "start" : place > width - 40 ? "end" : "middle";
    labels.push(
      svg(
        "text",
        { class: "strip-time", x: anchor === "start" ? EDGE : place, y: HEIGHT - 3, "text-anchor": anchor },
        seconds(at),
      ),
    );
  }
  return labels;
}
