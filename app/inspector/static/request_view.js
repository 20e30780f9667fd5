// One request with its tabs; each tab fetches its bodies when it is opened, and not before.

import { captureAddress, getChunks, getCurl, getPart, getTrace } from "./api.js";
import { button, fill, h, isSelecting } from "./dom.js";
import { conversation, answersOf, messagesOf } from "./conversation.js";
import { diffView } from "./diff_view.js";
import { errorView } from "./error_view.js";
import { elapsed, fullTime, health, isRunning, number, seconds, statusText } from "./format.js";
import { jsonTree } from "./json_tree.js";
import { subscribe } from "./live.js";
import { t } from "./language.js";
import { copyText, parsed } from "./payload.js";
import { hashOf } from "./router.js";
import { summaryView } from "./summary_view.js";
import { timeline } from "./timeline.js";
import { toolsView } from "./tools_view.js";
import { oneLine } from "./visible.js";

const GROWING = new Set(["summary", "conversation", "timeline", "tools"]); // tabs that change while a request runs
const [RETRY, TRIES] = [1000, 10]; // ms, times
const NEAR = 40; // px from the end within which the end is followed
export const TABS = ["summary", "conversation", "diff", "timeline", "tools", "error", "parts"];
const PARTS = [
  "client_headers",
  "client_request",
  "resolved",
  "upstream_request",
  "upstream_response",
  "answer",
  "repairs",
  "error",
];

/** Why the conversation ends without an answer, or with one that is not whole. */
function becameOf(row, answers) {
  const lost = row.dropped_events > 0 && row.stream;
  return [
    row.error ? h("p", { class: "error-line answer-note", role: "alert" }, oneLine(row.error, 500)) : null,
    isRunning(row) ? h("p", { class: "hint answer-note" }, t("request.running")) : null,
    !isRunning(row) && lost ? h("p", { class: "hint answer-note" }, t("conversation.notWhole")) : null,
    !isRunning(row) && !lost && !row.error && !answers.length
      ? h("p", { class: "hint answer-note" }, t("conversation.noAnswer"))
      : null,
  ];
}

/** Draw request `id` into `host`. Returns {id, show(tab), keys(), destroy()}. */
export function requestView(host, id, { onTab, onClose, onKeys, known }) {
  const control = new AbortController();
  const cache = new Map();
  let row = known ?? null;
  let sizes = null;
  let current = null;
  let opened = null; // what the open tab brought: {element, keys, destroy}
  const title = h("div", { class: "request-title" });
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": t("request.title") });
  const panel = h("div", { class: "panel", role: "tabpanel", id: "panel", tabindex: "-1" });
  const trouble = h("p", { class: "error-line trouble", role: "alert" });
  host.append(h("header", { class: "request-head" }, title, actions(), trouble), tabs, panel);

  /** A part, undefined where it is not there; what is known not to be there is not asked for. */
  function part(name) {
    if (sizes && !(name in sizes)) return Promise.resolve(undefined);
    if (!cache.has(name)) cache.set(name, getPart(id, name, control.signal));
    return cache.get(name);
  }

  function actions() {
    return h(
      "div",
      { class: "actions" },
      button(t("action.curl"), copyCurl),
      h("a", { class: "button", href: captureAddress(id), download: `${id}.jsonl` }, t("action.capture")),
      h("a", { class: "button", href: hashOf("playground", [id]) }, t("action.again")),
      button("×", onClose, { class: "quiet close", "aria-label": t("keys.close") }),
    );
  }

  async function copyCurl() {
    trouble.textContent = "";
    try {
      await copyText(await getCurl(id));
    } catch (error) {
      trouble.textContent = oneLine(error.message, 300);
    }
  }

  function head() {
    fill(
      title,
      h(
        "h2",
        null,
        h("span", { class: `status ${health(row)}` }, statusText(row)),
        " ",
        oneLine(row.model ?? row.path, 80),
      ),
      h(
        "p",
        null,
        fullTime(row.started),
        row.target ? ` · ${oneLine(row.target, 80)}` : "",
        row.engine ? ` (${oneLine(row.engine, 30)})` : "",
        ` · ${seconds(elapsed(row))}`,
        row.session ? [" · ", h("a", { href: hashOf("session", [row.session]) }, oneLine(row.session, 40))] : null,
      ),
    );
  }

  function drawTabs() {
    fill(
      tabs,
      TABS.filter((name) => name !== "error" || hasError()).map((name) =>
        button([t(`tab.${name}`), hint(name)], () => onTab(name), {
          role: "tab",
          id: `tab-${name}`,
          "aria-selected": name === current,
          "aria-controls": "panel",
          tabindex: name === current ? "0" : "-1",
          data: { tab: name },
        }),
      ),
    );
    panel.setAttribute("aria-labelledby", `tab-${current}`);
  }

  const hasError = () => Boolean(row?.error) || (row?.status ?? 0) >= 400;
  const hint = (name) => (name === "timeline" && row?.raw_chunks ? h("small", null, ` ${number(row.raw_chunks)}`) : null);

  tabs.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const names = [...tabs.children].map((tab) => tab.dataset.tab);
    onTab(names[(names.indexOf(current) + step + names.length) % names.length]);
    tabs.querySelector('[aria-selected="true"]')?.focus();
  });

  const draw = {
    summary: async () => ({ element: summaryView(row, sizes, async () => (await part("repairs"))?.entries ?? []) }),
    async conversation() {
      const body = await part("client_request");
      if (body === undefined) return absent();
      const answers = answersOf(await part("answer"));
      return { element: h("div", null, conversation(messagesOf(body), { answers }), becameOf(row, answers)) };
    },
    async diff() {
      const [before, after, repairs] = [
        await part("client_request"),
        await part("upstream_request"),
        await part("repairs"),
      ];
      if (before === undefined || after === undefined) return absent();
      return { element: diffView(before, after, repairs?.entries ?? []) };
    },
    async timeline() {
      const chunks = await getChunks(id, control.signal).catch((error) =>
        error.status === 404 ? null : Promise.reject(error),
      );
      if (chunks?.raw?.length || chunks?.emitted?.length) return timeline(chunks, row, opened?.state);
      return row.stream ? absent("part.noChunks") : wholeAnswer();
    },
    async tools() {
      const body = await part("client_request");
      return body === undefined ? absent() : { element: toolsView(body, await part("answer")) };
    },
    async error() {
      const [error, said] = [await part("error"), await part("upstream_response")];
      const { raw } = said === undefined && row.raw_chunks ? await getChunks(id, control.signal) : { raw: [] };
      return { element: errorView(row, error, said, { chunks: raw, asked: !sizes || "upstream_request" in sizes }) };
    },
    parts: async () => ({ element: partsView() }),
  };

  function absent(key = "part.absent") {
    return { element: h("p", { class: "hint" }, t(isRunning(row) ? "request.running" : key)), isAbsent: true };
  }

  /** What was not streamed has no timeline, but two sides as well. */
  async function wholeAnswer() {
    const [said, got, repairs] = [parsed(await part("upstream_response")), await part("answer"), await part("repairs")];
    if (said === undefined || said === null || !got) return absent("part.noStream");
    return {
      element: h(
        "div",
        null,
        h("p", { class: "hint" }, t("timeline.whole")),
        diffView(said, got, repairs?.entries ?? [], t("diff.answerWay")),
      ),
    };
  }

  function partsView() {
    return h(
      "div",
      { class: "parts" },
      PARTS.filter((name) => !sizes || name in sizes).map((name) => {
        const details = h(
          "details",
          null,
          h("summary", null, h("b", null, name), sizes?.[name] ? h("small", null, ` ${sizes[name]} B`) : null),
        );
        details.addEventListener("toggle", async () => {
          if (details.childElementCount > 1 || !details.open) return;
          const place = h("div", { class: "hint" }, t("loading"));
          details.append(place);
          const value = await part(name).catch((error) => oneLine(error.message));
          place.replaceWith(value === undefined ? h("p", { class: "hint" }, t("part.absent")) : jsonTree(value, 2));
        });
        return details;
      }),
    );
  }

  async function open() {
    const wanted = current;
    opened?.destroy?.();
    opened = null;
    fill(panel, h("p", { class: "hint" }, t("loading")));
    try {
      await ready;
      const next = await draw[wanted]();
      if (wanted !== current || control.signal.aborted) return next.destroy?.();
      opened = next;
      fill(panel, next.element);
      next.shown?.();
    } catch (error) {
      if (error.name !== "AbortError" && wanted === current)
        fill(panel, h("p", { class: "error-line", role: "alert" }, oneLine(error.message, 400)));
    }
    onKeys();
    return undefined;
  }

  /** Show more of a request that runs: what grows is drawn anew where nothing is selected, the rest once it is there. */
  async function grow() {
    const wanted = current;
    const isNew = GROWING.has(wanted) || opened?.isAbsent;
    if (!opened) return open();
    if (isRunning(row) && (!isNew || isSelecting(panel))) return undefined;
    const { scrollTop, scrollHeight, clientHeight } = panel;
    const atEnd = scrollTop + clientHeight >= scrollHeight - NEAR;
    const next = await draw[wanted]().catch(() => null);
    if (wanted !== current || control.signal.aborted) return next?.destroy?.();
    if (!next) return isRunning(row) ? undefined : open(); // the next news may bring it; else its error is shown
    opened.destroy?.();
    opened = next;
    fill(panel, next.element);
    next.shown?.();
    panel.scrollTop = atEnd && scrollTop ? panel.scrollHeight : scrollTop;
    onKeys();
    return undefined;
  }

  async function load() {
    const found = await getTrace(id, control.signal);
    row = { ...row, ...found.summary };
    sizes = isRunning(row) ? null : found.parts; // those of one that runs change
    head();
  }

  /** Load it; a request that runs is not stored yet, and what the list knows will do. */
  function begin() {
    const found = load().catch((error) => {
      if (!row) throw error;
    });
    found.catch(() => {}); // shown by open()
    return found;
  }

  /** One that was not stored when it was asked for may have been stored before this page heard the news. */
  function askAgain(error) {
    if (row || error.status !== 404 || tries-- <= 0) return;
    setTimeout(() => {
      if (row || control.signal.aborted) return;
      ready = begin();
      ready.then(grow, askAgain);
    }, RETRY);
  }

  let tries = TRIES;
  let ready = begin();
  ready.catch(askAgain);
  if (row) head();

  const stop = subscribe(({ row: news }) => {
    if (news?.id !== id) return;
    const wasKnown = Boolean(row);
    const wasRunning = !wasKnown || isRunning(row);
    row = { ...row, ...news };
    head();
    drawTabs();
    if (!wasRunning) return;
    cache.clear();
    if (!wasKnown || !isRunning(row)) ready = begin();
    ready.then(grow, () => {});
  });

  return {
    id,
    show(tab) {
      if (tab === current) return;
      current = tab;
      ready.then(drawTabs, drawTabs);
      drawTabs();
      open();
    },
    keys: () => ({ c: { label: t("action.curl"), run: copyCurl }, ...opened?.keys }),
    destroy() {
      stop();
      control.abort();
      opened?.destroy?.();
    },
  };
}
