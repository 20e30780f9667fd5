// The playground: prompt any model, with tools, and watch the answer come; tool results can be given by hand.

import { getPart } from "./api.js";
import { button, fill, h } from "./dom.js";
import { conversation } from "./conversation.js";
import { seconds } from "./format.js";
import { chat, Refused } from "./gateway.js";
import { t } from "./language.js";
import { parsed } from "./payload.js";
import { form } from "./playground_form.js";
import { liveAnswer } from "./playground_answer.js";
import { hashOf } from "./router.js";
import { events, take } from "./sse_reader.js";
import { oneLine } from "./visible.js";

const kept = { messages: [], values: {} }; // as long as the page is open

/** Draw the page; `route.path[0]` names a request to begin from. */
export function playgroundPage(host, route, setPageKeys) {
  let control = null;
  const log = h("div", { class: "play-log", "aria-label": t("play.log"), role: "log" });
  const below = h("div", { class: "play-below" });
  const inputs = form(kept.values, {
    onSend: () => send(inputs.prompt()),
    onStop: () => control?.abort(),
    onNew: clear,
  });
  host.append(h("div", { class: "playground" }, inputs.element, h("section", { class: "play-answer" }, log, below)));
  setPageKeys([
    {
      title: t("nav.playground"),
      keys: {
        "/": { label: t("keys.prompt"), run: inputs.focusPrompt },
        Escape: { label: t("play.stop"), run: () => control?.abort() },
      },
    },
  ]);

  function draw() {
    fill(log, kept.messages.length ? conversation(kept.messages) : h("p", { class: "hint" }, t("play.empty")));
  }

  function clear() {
    control?.abort();
    kept.messages = [];
    below.replaceChildren();
    draw();
  }

  /** Add messages and ask the model. */
  async function send(...added) {
    const body = inputs.body();
    if (!body || control) return;
    kept.messages.push(...added.filter(Boolean));
    if (!kept.messages.length) return;
    draw();
    const system = inputs.system();
    const messages = [...(system ? [{ role: "system", content: system }] : []), ...kept.messages.map(sendable)];
    control = new AbortController();
    inputs.busy(true);
    const live = liveAnswer();
    fill(below, live.element);
    live.element.scrollIntoView({ block: "nearest" });
    try {
      await receive(await chat({ ...body, messages }, control.signal), body.stream, live);
    } catch (error) {
      failed(error, live);
    } finally {
      control = null;
      inputs.busy(false);
    }
  }

  async function receive(answer, stream, live) {
    const message = { role: "assistant", content: "", reasoning_content: "", tool_calls: [] };
    const began = performance.now();
    const facts = {
      id: answer.headers.get("x-request-id"),
      repairs: answer.headers.get("x-gateway-repairs"),
      first: null,
      chunks: 0,
    };
    const value = (data) => {
      facts.first ??= (performance.now() - began) / 1000;
      facts.chunks += 1;
      if (data?.error) throw new Refused(answer.status, data.error.message, facts.id);
      live.add(take(message, data ?? {}));
    };
    live.began(message);
    try {
      if (!stream) value(await answer.json());
      else for await (const data of events(answer.body)) if (data !== "[DONE]") value(parsed(data));
    } finally {
      message.tool_calls = message.tool_calls.filter(Boolean);
      if (message.content || message.tool_calls.length || message.finish) kept.messages.push(message);
      draw();
      fill(below, summary(message, facts, (performance.now() - began) / 1000), results(message));
    }
  }

  function summary(message, facts, duration) {
    const usage = message.usage ? `${message.usage.prompt_tokens} → ${message.usage.completion_tokens}` : null;
    const parts = [
      seconds(duration),
      usage,
      facts.chunks > 1 ? t("timeline.emittedCount", { n: facts.chunks }) : null,
      message.finish,
    ].filter(Boolean);
    return h(
      "p",
      { class: "play-facts" },
      parts.map((part) => h("span", null, oneLine(part, 60))),
      facts.id ? h("a", { href: hashOf("request", [facts.id, "timeline"]) }, t("play.inspect")) : null,
    );
  }

  /** A field for the result of each tool that was called. */
  function results(message) {
    if (!message.tool_calls.length) return null;
    const fields = message.tool_calls.map((call) => ({
      call,
      area: h("textarea", {
        rows: "3",
        spellcheck: "false",
        "aria-label": `${t("play.result")} ${oneLine(call.function.name, 60)}`,
      }),
    }));
    return h(
      "form",
      {
        class: "play-results",
        on: {
          submit: (event) => {
            event.preventDefault();
            send(...fields.map(({ call, area }) => ({ role: "tool", tool_call_id: call.id, content: area.value })));
          },
        },
      },
      fields.map(({ call, area }) =>
        h("label", null, t("play.result"), " ", h("b", null, oneLine(call.function.name, 60)), area),
      ),
      h("button", { type: "submit", class: "primary" }, t("play.sendResults")),
    );
  }

  function failed(error, live) {
    live.element.remove();
    if (error.name === "AbortError") return below.append(h("p", { class: "hint" }, t("play.stopped")));
    if (error.status === 401) inputs.askForKey();
    const id = error.requestId;
    below.append(
      h(
        "div",
        { class: "play-error", role: "alert" },
        h("p", { class: "error-line" }, error.status ? `${error.status} · ` : "", oneLine(error.message, 2000)),
        id ? h("a", { href: hashOf("request", [id, "error"]) }, t("play.inspect")) : null,
      ),
    );
    return undefined;
  }

  async function beginFrom(id) {
    const body = await getPart(id, "client_request").catch(() => undefined);
    if (!body) return void fill(below, h("p", { class: "hint" }, t("part.absent")));
    const messages = Array.isArray(body.messages) ? [...body.messages] : [];
    const system = messages[0]?.role === "system" ? messages.shift() : null;
    const last = messages.at(-1)?.role === "user" ? messages.pop() : null;
    const text = (message) =>
      typeof message?.content === "string"
        ? message.content
        : (message?.content ?? []).map((part) => part?.text ?? "").join("");
    kept.messages = messages;
    inputs.set({
      model: body.model,
      system: text(system ?? { content: "" }),
      prompt: text(last ?? { content: "" }),
      temperature: body.temperature,
      max: body.max_tokens ?? body.max_completion_tokens,
      tools: body.tools ? JSON.stringify(body.tools, null, 2) : "",
    });
    draw();
  }

  draw();
  if (route.path[0]) beginFrom(route.path[0]);
  return {
    destroy() {
      control?.abort();
      kept.values = inputs.values();
    },
  };
}

/** A message as the API takes it: without what only this page keeps. */
function sendable({ finish: _, usage: __, reasoning_content: ___, ...message }) {
  if (Array.isArray(message.tool_calls) && !message.tool_calls.length) delete message.tool_calls;
  return message;
}
