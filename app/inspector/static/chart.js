// Small plots over time, as SVG drawn by hand: lines or stacked bars, a cursor that reads values, a table for all.

import { h, svg } from "./dom.js";
import { clock, moment } from "./format.js";
import { t } from "./language.js";

const HEIGHT = 132;
const LEFT = 52;
const BOTTOM = 18;
const TOP = 8;

/**
 * Draw a plot. `times`: Unix seconds; `series`: [{name, kind, values}] (null: no value); `say(value)` writes a value;
 * `stacked`: bars on top of each other instead of lines. Returns {element, destroy}.
 */
export function chart({ title, times, series, say, stacked = false, bucket = 60 }) {
  const reading = h("ul", { class: "legend" });
  const place = h("div", { class: "plot" });
  const element = h(
    "figure",
    { class: "chart plot-figure" },
    h("figcaption", null, title),
    reading,
    place,
    tableOf(title, times, series, say),
  );
  const top = Math.max(0, ...times.map((_, index) => peak(series, index, stacked)));
  const ceiling = roundUp(top);
  let width = 0;
  let cursor = null;

  const x = (index) => LEFT + ((index + 0.5) / Math.max(1, times.length)) * (width - LEFT - 6);
  const y = (value) => TOP + (1 - value / (ceiling || 1)) * (HEIGHT - TOP - BOTTOM);

  const spoken = ({ name, values }) => `${name} ${say(total(values, stacked) ?? 0)}`;

  function read(index) {
    reading.replaceChildren(
      ...series.map(({ name, kind, values }) => {
        const value = index === null ? total(values, stacked) : values[index];
        return h(
          "li",
          null,
          h("i", { class: `swatch ${kind}` }),
          name,
          " ",
          h("b", null, value === null || value === undefined ? "–" : say(value)),
        );
      }),
    );
    if (index !== null) reading.append(h("li", { class: "at" }, clock(times[index])));
  }

  function draw() {
    width = Math.max(240, place.clientWidth);
    cursor = svg("path", { class: "cursor" });
    place.replaceChildren(
      svg(
        "svg",
        {
          viewBox: `0 0 ${width} ${HEIGHT}`,
          role: "img",
          "aria-label": `${title}: ${series.map(spoken).join(", ")}`,
        },
        grid(),
        stacked ? bars() : series.map(line),
        cursor,
      ),
    );
  }

  function grid() {
    const marks = [0, ceiling / 2, ceiling].map((value) => [
      svg("path", { class: "gridline", d: `M${LEFT} ${y(value)}H${width - 6}` }),
      svg(
        "text",
        { class: "axis", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" },
        ceiling || !value ? say(value) : "",
      ),
    ]);
    const every = Math.max(1, Math.ceil(times.length / Math.max(2, Math.floor(width / 110))));
    const label =
      bucket * times.length > 86_400 ? (at) => moment(at).replace(/:\d\d$/, "") : (at) => clock(at).slice(0, 5);
    const names = times.map((at, index) =>
      index % every
        ? null
        : svg("text", { class: "axis", x: x(index), y: HEIGHT - 4, "text-anchor": "middle" }, label(at)),
    );
    return [marks, names];
  }

  function line({ kind, values }) {
    let path = "";
    const dots = [];
    values.forEach((value, index) => {
      if (value === null || value === undefined) return;
      const joined = index > 0 && values[index - 1] !== null && values[index - 1] !== undefined;
      path += `${joined ? "L" : "M"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
      const after = values[index + 1];
      if (!joined && (after === null || after === undefined))
        dots.push(svg("circle", { class: `dot ${kind}`, cx: x(index), cy: y(value), r: 2 }));
    });
    return [svg("path", { class: `line ${kind}`, d: path }), dots];
  }

  function bars() {
    const wide = Math.max(1, ((width - LEFT - 6) / Math.max(1, times.length)) * 0.8);
    return times.map((_, index) => {
      let under = 0;
      return series.map(({ kind, values }) => {
        const value = values[index] ?? 0;
        if (!value) return null;
        const low = under;
        under += value;
        return svg("rect", {
          class: `bar ${kind}`,
          x: x(index) - wide / 2,
          y: y(under),
          width: wide,
          height: Math.max(0.5, y(low) - y(under)),
        });
      });
    });
  }

  place.addEventListener("pointermove", (event) => {
    const box = place.getBoundingClientRect();
    const index = Math.floor(((event.clientX - box.left - LEFT) / (width - LEFT - 6)) * times.length);
    if (index < 0 || index >= times.length) return;
    cursor.setAttribute("d", `M${x(index)} ${TOP}V${HEIGHT - BOTTOM}`);
    read(index);
  });
  place.addEventListener("pointerleave", () => {
    cursor?.setAttribute("d", "");
    read(null);
  });
  const observer = new ResizeObserver(draw);
  observer.observe(place);
  read(null);
  return { element, destroy: () => observer.disconnect() };
}

function peak(series, index, stacked) {
  const values = series.map(({ values: all }) => all[index] ?? 0);
  return stacked ? values.reduce((sum, value) => sum + value, 0) : Math.max(0, ...values);
}

/** Bars are summed up, lines say their last value. */
function total(values, stacked) {
  if (stacked) return values.reduce((sum, value) => sum + (value ?? 0), 0);
  return values.findLast((value) => value !== null && value !== undefined) ?? null;
}

function roundUp(value) {
  if (!value) return 0;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}

/** All values as a table: for readers who cannot see a plot, and for copying. */
function tableOf(title, times, series, say) {
  const details = h("details", { class: "as-table" }, h("summary", null, t("plots.asTable")));
  details.addEventListener("toggle", () => {
    if (!details.open || details.childElementCount > 1) return;
    const rows = times
      .map((at, index) => ({ at, values: series.map(({ values }) => values[index]) }))
      .filter(({ values }) => values.some((value) => value));
    details.append(
      h(
        "div",
        { class: "table-scroll", tabindex: "0", role: "region", "aria-label": title },
        h(
          "table",
          null,
          h(
            "thead",
            null,
            h(
              "tr",
              null,
              h("th", { scope: "col" }, t("column.time")),
              series.map(({ name }) => h("th", { scope: "col" }, name)),
            ),
          ),
          h(
            "tbody",
            null,
            rows.map(({ at, values }) =>
              h(
                "tr",
                null,
                h("th", { scope: "row" }, moment(at)),
                values.map((value) =>
                  h("td", { class: "number" }, value === null || value === undefined ? "–" : say(value)),
                ),
              ),
            ),
          ),
        ),
      ),
    );
  });
  return details;
}
