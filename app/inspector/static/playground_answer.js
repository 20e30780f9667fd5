// The answer of the playground while it comes.

import { h } from "./dom.js";
import { t } from "./language.js";
import { visible } from "./visible.js";

const MOST = 100_000; // characters shown while they come; the whole answer is shown at its end

/** Returns {element, began(message), add({text, reasoning})}. */
export function liveAnswer() {
  const text = h("pre", { class: "text" });
  const thought = h("pre", { class: "text reasoning", hidden: true });
  const calls = h("p", { class: "hint" });
  const waiting = h("p", { class: "hint waiting" }, t("play.waiting"));
  const element = h("div", { class: "live-answer", "aria-busy": "true" }, waiting, thought, text, calls);
  let shown = 0;
  let message = null;
  const append = (place, piece) => {
    if (!piece || shown > MOST) return;
    shown += piece.length;
    place.hidden = false;
    place.append(visible(piece.slice(0, MOST)));
  };
  return {
    element,
    began(value) {
      message = value;
    },
    add({ text: piece, reasoning }) {
      waiting.remove();
      append(thought, reasoning);
      append(text, piece);
      const made = message.tool_calls.filter(Boolean);
      if (made.length) calls.textContent = t("play.calling", { n: made.length });
    },
  };
}
