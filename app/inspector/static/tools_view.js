// The tools of one request: which were called with what, and which were offered.

import { h } from "./dom.js";
import { t } from "./language.js";
import { answersOf, toolCall } from "./conversation.js";
import { jsonTree } from "./json_tree.js";
import { payload } from "./payload.js";
import { oneLine } from "./visible.js";

/** Draw the calls of `answer` and the tools that `body` offers. */
export function toolsView(body, answer) {
  const calls = answersOf(answer).flatMap((message) => (Array.isArray(message.tool_calls) ? message.tool_calls : []));
  const offered = Array.isArray(body?.tools) ? body.tools : Array.isArray(body?.functions) ? body.functions : [];
  const counts = new Map();
  for (const call of calls) counts.set(nameOf(call), (counts.get(nameOf(call)) ?? 0) + 1);
  return h(
    "div",
    { class: "tools" },
    h(
      "section",
      null,
      h("h3", null, t("tools.called", { n: calls.length })),
      calls.length ? calls.map(toolCall) : h("p", { class: "hint" }, t("tools.noneCalled")),
    ),
    h(
      "section",
      null,
      h("h3", null, t("tools.offered", { n: offered.length })),
      offered.map((tool) => declaration(tool, counts)),
    ),
  );
}

function nameOf(tool) {
  return String(tool?.function?.name ?? tool?.name ?? "?");
}

function declaration(tool, counts) {
  const told = tool?.function ?? tool ?? {};
  const called = counts.get(nameOf(tool));
  const details = h(
    "details",
    { class: "tool" },
    h(
      "summary",
      null,
      h("b", null, oneLine(nameOf(tool), 120)),
      called ? h("span", { class: "count" }, t("tools.times", { n: called })) : null,
      h("span", { class: "preview" }, oneLine(told.description ?? "", 140)),
    ),
  );
  details.addEventListener("toggle", () => {
    if (details.childElementCount > 1) return;
    if (told.description) details.append(payload(told.description, { beginning: 1500 }));
    details.append(jsonTree(told.parameters ?? told.input_schema ?? {}, 3));
  });
  return details;
}
