// A conversation as turns: roles, text, reasoning, tool calls with arguments, results, images as placeholders.

import { button, h } from "./dom.js";
import { bytes } from "./format.js";
import { t } from "./language.js";
import { jsonTree } from "./json_tree.js";
import { compact, parsed, payload } from "./payload.js";
import { oneLine } from "./visible.js";

const SHOWN_LAST = 30; // messages of a long conversation shown unasked, besides its system prompt
const ROLES = new Set(["system", "developer", "user", "assistant", "tool", "function"]);
const WHOLE = new Set(["stop", "tool_calls", "function_call"]); // ends of an answer that is all there
const REASONING = ["reasoning_content", "reasoning", "thinking"];

/** The messages of a request body, whatever else it holds. */
export function messagesOf(body) {
  if (Array.isArray(body?.messages)) return body.messages;
  if (typeof body?.prompt === "string") return [{ role: "user", content: body.prompt }];
  if (typeof body?.input === "string") return [{ role: "user", content: body.input }];
  return Array.isArray(body?.input) ? body.input : [];
}

/** The messages of an answer: one for each choice. */
export function answersOf(answer) {
  const choices = Array.isArray(answer?.choices) ? answer.choices : [];
  return choices.map((choice) => ({
    ...(choice?.message ?? { content: choice?.text }),
    role: "assistant",
    finish: choice?.finish_reason,
  }));
}

/** Draw messages, of which the first has the number `first`; results may belong to calls in `history`. */
export function conversation(messages, { answers = [], first = 0, history = messages } = {}) {
  const calls = callNames(history);
  const list = h("ol", { class: "conversation" });
  const draw = (message, index) => drawMessage(message, first + index, calls);
  const hidden = messages.length > SHOWN_LAST + 5 ? messages.length - SHOWN_LAST : 0;
  const from = hidden && messages[0]?.role === "system" ? 1 : 0;
  messages.slice(0, from).forEach((message, index) => list.append(draw(message, index)));
  if (hidden > from) {
    const show = button(t("conversation.earlier", { n: hidden - from }), () => {
      const rest = messages.slice(from, hidden).map((message, index) => draw(message, from + index));
      fold.replaceWith(...rest);
    });
    const fold = h("li", { class: "fold" }, show);
    list.append(fold);
  }
  const start = Math.max(from, hidden);
  messages.slice(start).forEach((message, index) => list.append(draw(message, start + index)));
  answers.forEach((answer) => list.append(drawMessage(answer, null, calls)));
  return list;
}

/** call id -> name of the tool that was called. */
function callNames(messages) {
  const names = new Map();
  for (const message of messages) {
    for (const call of Array.isArray(message?.tool_calls) ? message.tool_calls : []) {
      if (typeof call?.id === "string") names.set(call.id, call.function?.name ?? call.name);
    }
  }
  return names;
}

function drawMessage(message, index, calls) {
  if (message === null || typeof message !== "object") return h("li", { class: "message" }, payload(compact(message)));
  const role = ROLES.has(message.role) ? message.role : "other";
  const answer = index === null;
  return h(
    "li",
    { class: `message role-${role}${answer ? " answer" : ""}` },
    h(
      "div",
      { class: "gutter" },
      h("span", { class: "role" }, oneLine(message.role ?? message.type ?? "?", 24)),
      h("span", { class: "place" }, answer ? t("conversation.answer") : `#${index}`),
    ),
    h(
      "div",
      { class: "said" },
      resultHead(message, calls),
      REASONING.map((field) => reasoning(message[field])),
      content(message.content, role),
      typeof message.refusal === "string" && message.refusal
        ? h("div", { class: "refusal" }, t("conversation.refusal"), " ", payload(message.refusal))
        : null,
      (Array.isArray(message.tool_calls) ? message.tool_calls : []).map(toolCall),
      message.function_call ? toolCall({ function: message.function_call }) : null,
      message.finish ? h("p", { class: WHOLE.has(message.finish) ? "hint" : "finish" }, `finish_reason ${oneLine(message.finish, 60)}`) : null,
    ),
  );
}

function resultHead(message, calls) {
  if (message.role !== "tool" && message.role !== "function") return null;
  const name = message.name ?? calls.get(message.tool_call_id) ?? "?";
  return h(
    "div",
    { class: "call-head" },
    t("conversation.resultOf"),
    " ",
    h("b", null, oneLine(name, 80)),
    h("code", { class: "id" }, oneLine(message.tool_call_id ?? "", 60)),
  );
}

function reasoning(text) {
  if (typeof text !== "string" || !text) return null;
  return h(
    "details",
    { class: "reasoning", open: text.length < 1200 },
    h("summary", null, t("conversation.reasoning", { n: text.length })),
    payload(text, { beginning: 2000 }),
  );
}

function content(value, role) {
  if (value === null || value === undefined || value === "") return null;
  if (typeof value === "string") return payload(value, role === "system" || role === "developer" ? { beginning: 900, lines: 12 } : { beginning: 3000 });
  return Array.isArray(value) ? value.map(part) : jsonTree(value, 1);
}

function part(value) {
  if (typeof value === "string") return payload(value);
  if (typeof value?.text === "string" && /text/.test(value.type ?? "text"))
    return payload(value.text, { beginning: 3000 });
  const address = value?.image_url?.url ?? value?.image_url ?? value?.file?.file_data ?? value?.input_audio?.data;
  if (typeof address === "string") return placeholder(value.type, address, value);
  return jsonTree(value, 1);
}

/** Images, files and sound are named, never loaded. */
function placeholder(type, address, value) {
  const [, mime, data] = /^data:([^;,]{0,80})[^,]{0,80},(.*)$/s.exec(address) ?? [];
  const size = (text) => bytes(Math.floor((text.length * 3) / 4));
  const facts =
    data !== undefined
      ? [mime, size(data)]
      : /^https?:/.test(address)
        ? [address]
        : [value?.input_audio?.format, size(address)];
  return h(
    "div",
    { class: "placeholder" },
    h("b", null, oneLine(type ?? "?", 40)),
    h("span", null, oneLine(facts.filter(Boolean).join(" · "), 300)),
    h("small", null, t("conversation.notLoaded")),
  );
}

/** Draw one tool call. */
export function toolCall(call) {
  const name = call?.function?.name ?? call?.name ?? "?";
  return h(
    "div",
    { class: "call" },
    h(
      "div",
      { class: "call-head" },
      h("b", null, oneLine(name, 120)),
      h("code", { class: "id" }, oneLine(call?.id ?? "", 60)),
    ),
    argumentsView(call?.function?.arguments ?? call?.arguments),
  );
}

/** Arguments by name, texts as they would be written to a file; as they are where they are no object. */
export function argumentsView(given) {
  const value = parsed(given);
  if (value === undefined)
    return h(
      "div",
      { class: "bad-arguments" },
      h("p", { class: "problem" }, t("conversation.badArguments")),
      payload(given ?? ""),
    );
  if (value === null || typeof value !== "object" || Array.isArray(value)) return h("code", null, compact(value));
  const names = Object.keys(value);
  if (!names.length) return h("p", { class: "hint" }, t("conversation.noArguments"));
  return h(
    "dl",
    { class: "arguments" },
    names.map((name) => [h("dt", null, oneLine(name, 80)), h("dd", null, argument(value[name]))]),
  );
}

function argument(value) {
  if (typeof value === "string") return payload(value, { beginning: 1500 });
  if (value !== null && typeof value === "object") return jsonTree(value, 2);
  return h("code", null, String(value));
}
