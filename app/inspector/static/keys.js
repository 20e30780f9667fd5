// The keyboard: single keys and "g then …". Views offer their own keys; the help overlay lists whatever is offered.

import { h, button } from "./dom.js";
import { t } from "./language.js";

const PATIENCE = 1200; // ms between the two keys of a sequence
const TYPING = "input, textarea, select, [contenteditable]";
let groups = [];
let pending = "";
let timer = 0;

/** Set what keys do: `[{title, keys: {"j": {label, run}, "g r": {…}}}]`; later groups win. */
export function setKeys(...all) {
  groups = all.filter(Boolean);
}

/** The key as on an English keyboard, so that j is j while Korean is being typed. */
function nameOf(event) {
  if (event.key.length === 1 && event.key.charCodeAt(0) < 128) return event.key;
  if (event.key.length > 1 && event.key !== "Process") return event.key;
  if (event.code.startsWith("Key")) {
    const letter = event.code.slice(3).toLowerCase();
    return event.shiftKey ? letter.toUpperCase() : letter;
  }
  if (event.code === "Slash") return event.shiftKey ? "?" : "/";
  return event.key;
}

function find(name) {
  for (const group of [...groups].reverse()) if (group.keys[name]) return group.keys[name];
  return undefined;
}

function onKey(event) {
  if (
    event.defaultPrevented ||
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    document.querySelector("dialog[open]")
  )
    return;
  const target = event.target instanceof Element ? event.target : null;
  const name = nameOf(event);
  if (target?.closest(TYPING)) {
    if (name === "Escape") target.blur();
    return;
  }
  if ((name === "Enter" || name === " ") && target?.closest("button, a, summary, [role=tab]")) return;
  const sequence = pending ? `${pending} ${name}` : name;
  clearTimeout(timer);
  pending = "";
  const action = find(sequence);
  if (action) {
    event.preventDefault();
    action.run();
  } else if (groups.some((group) => Object.keys(group.keys).some((key) => key.startsWith(`${sequence} `)))) {
    pending = sequence;
    timer = setTimeout(() => (pending = ""), PATIENCE);
  }
}

addEventListener("keydown", onKey);

/** Show all keys in an overlay. */
export function showHelp() {
  const dialog = h(
    "dialog",
    { class: "help", "aria-label": t("help.title") },
    h("h2", null, t("help.title")),
    h("div", { class: "help-groups" }, groups.map(groupTable)),
    button(t("help.close"), () => dialog.close(), { class: "primary", autofocus: true }),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("keydown", (event) => event.key === "?" && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}

function groupTable({ title, keys }) {
  const rows = Object.entries(keys).filter(([, action]) => action.label);
  return h(
    "section",
    null,
    h("h3", null, title),
    h(
      "dl",
      null,
      rows.map(([key, action]) => [
        h(
          "dt",
          null,
          key.split(" ").map((part) => h("kbd", null, shown(part))),
        ),
        h("dd", null, action.label),
      ]),
    ),
  );
}

function shown(key) {
  return { Escape: "Esc", ArrowLeft: "←", ArrowRight: "→" }[key] ?? key;
}
