// Shows text of any size: a beginning, and more on demand, in pieces that keep the page quick.

import { announce, button, h } from "./dom.js";
import { t } from "./language.js";
import { visible } from "./visible.js";

const BEGINNING = 4000; // characters shown unasked
const PIECE = 65_536; // characters added at a time
const NEAR = 2000; // characters

/** Copy text; where the browser forbids it (no HTTPS), show it selected for copying by hand. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    announce(t("copy.done"));
    return true;
  } catch {
    showForCopying(text);
    return false;
  }
}

function showForCopying(text) {
  const area = h("textarea", { rows: "12", readonly: true, "aria-label": t("copy.byHand") });
  area.value = text;
  const dialog = h(
    "dialog",
    { class: "copying", "aria-label": t("copy.byHand") },
    h("p", null, t("copy.byHand")),
    area,
    button(t("help.close"), () => dialog.close(), { class: "primary" }),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  area.select();
}

/** A block of preformatted text; at first `beginning` characters of it, and at most so many `lines`. */
export function payload(text, { beginning: longest = BEGINNING, lines = Infinity } = {}) {
  const whole = String(text ?? "");
  const beginning = Math.min(longest, endOfLine(whole, lines));
  const shown = h("pre", { class: "text" });
  const copy = button(t("copy.button"), () => copyText(whole), { class: "quiet copy" });
  const block = h("div", { class: "payload" }, shown, whole && copy);
  let end = 0;
  const add = (size) => {
    const from = end;
    end = cutAt(whole, from + size, Math.min(NEAR, size / 4));
    const broken = end < whole.length && whole[end - 1] !== "\n";
    shown.append(h("div", { class: broken ? "piece broken" : "piece" }, visible(whole.slice(from, end))));
  };
  add(whole.length <= longest + 400 && beginning === longest ? whole.length : beginning);
  if (end < whole.length) block.append(moreBar(whole, () => end, add));
  return block;
}

/** Where line number `count` ends; Infinity where there are not many more. */
function endOfLine(text, count) {
  if (count === Infinity) return Infinity;
  let place = 0;
  let end = Infinity;
  for (let line = 1; line <= 1.5 * count; line++) {
    place = text.indexOf("\n", place) + 1;
    if (!place) return Infinity;
    if (line === count) end = place;
  }
  return end;
}

/** Pieces are blocks, so that more of them cost no more; cut at a line's end where there is one near, never in a character. */
function cutAt(text, place, near) {
  if (place >= text.length) return text.length;
  const line = text.lastIndexOf("\n", place);
  if (line > place - near) return line + 1;
  const code = text.charCodeAt(place - 1);
  return code >= 0xd800 && code < 0xdc00 ? place + 1 : place;
}

function moreBar(whole, end, add) {
  const said = h("span");
  const bar = h("div", { class: "more" });
  let running = false;
  const update = () => {
    said.textContent = t("payload.shown", { shown: end(), whole: whole.length });
    if (end() >= whole.length) bar.remove();
  };
  const all = button(t("payload.all"), () => {
    running = !running;
    all.textContent = t(running ? "payload.stop" : "payload.all");
    if (running) step();
  });
  const step = () => {
    if (!running || end() >= whole.length || !bar.isConnected) return;
    add(PIECE);
    update();
    setTimeout(step, 16);
  };
  const more = button(t("payload.more"), () => {
    add(PIECE);
    update();
  });
  bar.append(said, whole.length - end() > PIECE ? more : "", all);
  update();
  return bar;
}

/** JSON as indented text; what is too deep for that is said so. */
export function pretty(value) {
  try {
    return JSON.stringify(value, null, 2) ?? String(value);
  } catch {
    return t("json.tooDeep");
  }
}

/** JSON in one line, at most `longest` characters of it. */
export function compact(value, longest = 400) {
  let text;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    text = t("json.tooDeep");
  }
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}

/** The JSON value that `text` says, or undefined. */
export function parsed(text) {
  if (typeof text !== "string") return text;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
