// One moment of the timeline in full: the raw chunk, what each rule changed, the emitted chunk.

import { h } from "./dom.js";
import { chunkText } from "./chunk_text.js";
import { offset, seconds } from "./format.js";
import { t } from "./language.js";
import { compact, parsed, payload, pretty } from "./payload.js";
import { oneLine } from "./visible.js";

/** Draw one row of the timeline. */
export function dockOf(row) {
  if (row.lost) return h("p", { class: "hint" }, t("timeline.droppedLong"));
  if (row.kind === "gap") {
    return h(
      "p",
      { class: "hint" },
      t(row.stall ? "timeline.stallLong" : "timeline.gapLong", { time: seconds(row.seconds), at: offset(row.at) }),
    );
  }
  if (!row.raw && !row.emitted) return h("section", { class: "dock-rules" }, repairList(row.repairs)); // before the stream
  return h(
    "div",
    { class: "dock-sides" },
    side(t("timeline.raw"), "is-raw", row.raw),
    h(
      "section",
      { class: "dock-rules" },
      h("h3", { class: "is-rule" }, t("timeline.rule")),
      row.repairs.length ? repairList(row.repairs) : h("p", { class: "hint" }, t("timeline.noRule")),
    ),
    side(t("timeline.emitted"), "is-emitted", row.emitted),
  );
}

function side(title, kind, chunk) {
  const head = h(
    "h3",
    { class: kind },
    title,
    chunk ? h("small", null, ` ${chunk.n ?? ""} ${offset(chunk.at)}`) : null,
  );
  if (!chunk) return h("section", null, head, h("p", { class: "hint" }, t("timeline.nothing")));
  const text = chunkText(chunk);
  const value = parsed(text);
  return h(
    "section",
    null,
    head,
    payload(value !== null && typeof value === "object" ? pretty(value) : text, { beginning: 3000 }),
  );
}

/** What rules changed, as a list: rule, place, before, after. */
export function repairList(repairs) {
  return h(
    "ol",
    { class: "repairs" },
    repairs.map((repair) =>
      h(
        "li",
        null,
        h(
          "div",
          { class: "repair-head" },
          h("span", { class: `rule-chip ${repair.mode === "warn" ? "warn" : ""}` }, oneLine(repair.rule, 80)),
          h("code", { class: "where" }, oneLine(repair.where, 200)),
          repair.mode === "warn" ? h("em", null, t("repairs.onlyNoted")) : null,
        ),
        h(
          "div",
          { class: "before-after" },
          said("del", "repairs.before", repair.before),
          h("span", { class: "arrow", "aria-hidden": "true" }, "→"),
          said("ins", "repairs.after", repair.after),
        ),
      ),
    ),
  );
}

function said(tag, label, value) {
  const short = typeof value === "string" ? value : compact(value ?? null, 161);
  const text = typeof value === "string" || short.length <= 160 ? short : pretty(value);
  const absent = value === null || value === undefined;
  const content =
    text.length > 160
      ? payload(text, { beginning: 600 })
      : h("code", null, absent ? t("repairs.nothing") : oneLine(text, 160) || '""');
  return h(tag, { "aria-label": t(label) }, content);
}
