// A JSON value as a tree that opens level by level; only what is open is drawn, so depth and size cost nothing.

import { button, h } from "./dom.js";
import { t } from "./language.js";
import { compact, payload } from "./payload.js";
import { oneLine, visible } from "./visible.js";

const ENTRIES = 100; // of one level at a time
const LONG_TEXT = 240;
const OPENED_AT_ONCE = 120; // nodes opened unasked, over all levels

/** Draw `value`; `depth` levels are open at first. */
export function jsonTree(value, depth = 2) {
  const budget = { left: OPENED_AT_ONCE };
  return h("div", { class: "json" }, node(undefined, value, depth, budget));
}

function label(key) {
  return key === undefined
    ? null
    : [h("span", { class: typeof key === "number" ? "index" : "key" }, oneLine(key, 120)), ": "];
}

function node(key, value, depth, budget) {
  if (value === null || typeof value !== "object") return leaf(key, value);
  const count = Array.isArray(value) ? value.length : Object.keys(value).length;
  if (!count) return h("div", { class: "leaf" }, label(key), Array.isArray(value) ? "[]" : "{}");
  const details = h("details", { class: "branch" }, h("summary", null, label(key), preview(value, count)));
  let drawn = false;
  details.addEventListener("toggle", () => {
    if (details.open && !drawn) {
      drawn = true;
      entries(details, value, depth - 1, budget);
    }
  });
  if (depth > 0 && budget.left > 0) {
    budget.left -= Math.min(count, ENTRIES);
    drawn = true;
    details.open = true;
    entries(details, value, depth - 1, budget);
  }
  return details;
}

function preview(value, count) {
  const kind = Array.isArray(value) ? `[${count}]` : `{${count}}`;
  return [h("span", { class: "kind" }, kind), h("span", { class: "preview" }, oneLine(shallow(value), 100))];
}

/** The beginning of a value in one line, without looking further in than two levels. */
function shallow(value) {
  const flat = (inner) =>
    inner !== null && typeof inner === "object"
      ? Array.isArray(inner)
        ? "[…]"
        : "{…}"
      : compact(typeof inner === "string" ? inner.slice(0, 60) : inner);
  if (Array.isArray(value)) return value.slice(0, 6).map(flat).join(", ");
  return Object.keys(value)
    .slice(0, 6)
    .map((key) => `${key}: ${flat(value[key])}`)
    .join(", ");
}

function entries(details, value, depth, budget) {
  const keys = Array.isArray(value) ? null : Object.keys(value);
  const count = keys ? keys.length : value.length;
  const list = h("div", { class: "entries" });
  details.append(list);
  let from = 0;
  const add = () => {
    const end = Math.min(count, from + ENTRIES);
    for (; from < end; from++)
      list.append(node(keys ? keys[from] : from, keys ? value[keys[from]] : value[from], depth, budget));
    if (from < count) {
      const more = button(
        t("json.more", { n: count - from }),
        () => {
          more.remove();
          add();
        },
        { class: "quiet" },
      );
      list.append(more);
    }
  };
  add();
}

function leaf(key, value) {
  if (typeof value === "string" && (value.length > LONG_TEXT || value.includes("\n"))) {
    return h("div", { class: "leaf long" }, label(key), payload(value, { beginning: 1200 }));
  }
  const kind = value === null ? "null" : typeof value;
  const text = typeof value === "string" ? visible(JSON.stringify(value)) : String(value);
  return h("div", { class: "leaf" }, label(key), h("span", { class: `value ${kind}` }, text));
}
