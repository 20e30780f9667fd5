// Draws the difference of two JSON values: what changed stands open, what did not is folded away.

import { button, h } from "./dom.js";
import { t } from "./language.js";
import { countChanges, diff } from "./json_diff.js";
import { jsonTree } from "./json_tree.js";
import { compact, payload, pretty } from "./payload.js";
import { oneLine, visible } from "./visible.js";

const OPENED = 400; // changes drawn unasked
const LONG = 400; // characters of a changed text shown around the change
const BESIDE = 200;

/** Draw `before` -> `after`, which `way` names. `notes`: [{where, rule, mode}], shown at the place they name. */
export function diffView(before, after, notes = [], way = t("diff.way")) {
  const root = diff(before, after);
  const counts = countChanges(root);
  const draw = { notes: byPlace(notes), left: OPENED };
  const head = h(
    "p",
    { class: "diff-counts" },
    h("span", { class: "hint" }, way),
    root.changes
      ? [
          h("span", { class: "added" }, `+ ${t("diff.added", { n: counts.added })}`),
          h("span", { class: "removed" }, `− ${t("diff.removed", { n: counts.removed })}`),
          h("span", { class: "changed" }, `~ ${t("diff.changed", { n: counts.changed })}`),
        ]
      : t("diff.none"),
  );
  return h("div", { class: "diff" }, head, root.changes ? node(root, undefined, "", draw) : jsonTree(before, 1));
}

/** "tools[0]" -> the rules that were at work there. */
function byPlace(notes) {
  const places = new Map();
  for (const note of notes) {
    const place = String(note.where ?? "");
    const rules = places.get(place) ?? new Set();
    rules.add(note.rule);
    places.set(place, rules);
  }
  return places;
}

function chips(path, draw) {
  const rules = draw.notes.get(path);
  return rules ? [...rules].map((rule) => h("span", { class: "rule-chip" }, oneLine(rule, 80))) : null;
}

function keyLabel(key) {
  if (key === undefined) return null;
  return [h("span", { class: typeof key === "number" ? "index" : "key" }, oneLine(key, 120)), ": "];
}

function join(path, key) {
  if (typeof key === "number") return `${path}[${key}]`;
  return path ? `${path}.${key}` : key;
}

function node(item, key, path, draw) {
  if (item.kind === "object" || item.kind === "array") return branch(item, key, path, draw);
  if (item.kind === "changed") return changed(item, key, path, draw);
  const value = item.kind === "added" ? item.after : item.before;
  const sign = { added: "+", removed: "−" }[item.kind] ?? " ";
  return line(item.kind, sign, keyLabel(key), whole(value), chips(path, draw));
}

function line(kind, sign, ...content) {
  return h(
    "div",
    { class: `diff-line ${kind}` },
    h("span", { class: "sign", "aria-label": kind === "same" ? null : t(`diff.${kind}Word`) }, sign),
    h("div", { class: "diff-value" }, content),
  );
}

/** A value that is on one side only. */
function whole(value) {
  if (value === null || typeof value !== "object")
    return typeof value === "string" ? text(value) : h("code", null, String(value));
  const said = pretty(value);
  return said.length < 80 ? h("code", null, visible(JSON.stringify(value))) : payload(said, { beginning: 800 });
}

function text(value) {
  return value.length > LONG ? payload(value, { beginning: LONG }) : h("code", null, visible(JSON.stringify(value)));
}

function branch(item, key, path, draw) {
  const open = draw.left > 0;
  draw.left -= 1;
  const kind = item.kind === "array" ? "[ ]" : "{ }";
  const title = keyTitle(item, key);
  const details = h(
    "details",
    { class: "diff-branch" },
    h(
      "summary",
      null,
      keyLabel(key),
      h("span", { class: "kind" }, kind),
      title,
      h("span", { class: "count" }, t("diff.changes", { n: item.changes })),
      chips(path, draw),
    ),
  );
  const grow = () => {
    if (details.childElementCount === 1) details.append(children(item, path, draw));
  };
  details.addEventListener("toggle", () => details.open && grow());
  if (open) {
    grow();
    details.open = true;
  }
  return details;
}

/** What the element of a list is about: a tool's name, a message's role. */
function keyTitle(item, key) {
  if (typeof key !== "number") return null;
  const value = item.after ?? item.before;
  const name = value?.function?.name ?? value?.name ?? value?.role;
  return typeof name === "string" ? h("span", { class: "topic" }, oneLine(name, 60)) : null;
}

function children(item, path, draw) {
  const list = h("div", { class: "entries" });
  let same = [];
  const flush = () => {
    if (same.length) list.append(folded(same));
    same = [];
  };
  const rows =
    item.kind === "array"
      ? item.items.map(({ from, to, node: child }) => ({ key: to ?? from, from, child }))
      : item.entries.map(({ key, node: child }) => ({ key, child }));
  for (const { key, from, child } of rows) {
    if (child.kind === "same") {
      same.push([key, child.before]);
      continue;
    }
    flush();
    const place = join(
      path,
      child.kind === "removed" || from === undefined || from === null ? key : placeOf(path, from, key, draw),
    );
    list.append(node(child, key, place, draw));
  }
  flush();
  return list;
}

/** Rules name places as they were or as they are; take the one that a rule names. */
function placeOf(path, from, to, draw) {
  return draw.notes.has(join(path, to)) ? to : from;
}

function folded(same) {
  const names = same
    .map(([key]) => key)
    .slice(0, 8)
    .join(", ");
  const label = `${t("diff.unchanged", { n: same.length })}:`;
  const box = h("div", { class: "diff-line same" }, h("span", { class: "sign" }, "·"));
  const show = button(
    [label, " ", h("span", { class: "names" }, oneLine(names, 100))],
    () => {
      box.replaceChildren(
        h("span", { class: "sign" }, "·"),
        h(
          "div",
          { class: "diff-value" },
          same.map(([key, value]) => jsonTree({ [key]: value }, 2)),
        ),
      );
    },
    { class: "quiet fold" },
  );
  box.append(show);
  return box;
}

function changed(item, key, path, draw) {
  const { before, after } = item;
  if (typeof before === "string" && typeof after === "string" && before.length + after.length > BESIDE) {
    return h(
      "div",
      { class: "diff-pair" },
      line("changed", "~", keyLabel(key), chips(path, draw)),
      ...textChange(before, after),
    );
  }
  if (isShort(before) && isShort(after)) {
    return line(
      "changed",
      "~",
      keyLabel(key),
      h("del", null, whole(before)),
      " → ",
      h("ins", null, whole(after)),
      chips(path, draw),
    );
  }
  return h(
    "div",
    { class: "diff-pair" },
    line("changed", "~", keyLabel(key), chips(path, draw)),
    line("removed", "−", whole(before)),
    line("added", "+", whole(after)),
  );
}

function isShort(value) {
  return value === null || typeof value !== "object" || compact(value, 81).length <= 80;
}

/** Two long texts: their common beginning and end are cut away, except for what stands next to the change. */
function textChange(before, after) {
  let start = 0;
  const shortest = Math.min(before.length, after.length);
  while (start < shortest && before[start] === after[start]) start++;
  let end = 0;
  while (end < shortest - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  const from = Math.max(0, start - 60);
  const rest = Math.max(0, end - 60);
  const side = (kind, sign, value) => {
    const middle = value.slice(from, value.length - rest);
    return line(
      kind,
      sign,
      from ? h("span", { class: "names" }, t("diff.cut", { n: from })) : null,
      payload(middle, { beginning: 2000 }),
      rest ? h("span", { class: "names" }, t("diff.cut", { n: rest })) : null,
    );
  };
  return [side("removed", "−", before), side("added", "+", after)];
}
