// What went wrong with one request: what the client was told, and what the upstream really said.

import { chunkText } from "./chunk_text.js";
import { h } from "./dom.js";
import { NONE } from "./format.js";
import { t } from "./language.js";
import { parsed, payload, pretty } from "./payload.js";
import { oneLine } from "./visible.js";

const OWN = new Set(["message", "type", "status", "code", "param", "upstream_status", "upstream_body", "traceback", "answer"]);

const LAST_CHUNKS = 3; // of a stream that failed, shown as what the upstream said

/**
 * Draw the `error` part of a trace, beside the row it belongs to and the answer of the upstream; where there is none,
 * `chunks` is what it had streamed. `asked`: whether the upstream was asked at all.
 */
export function errorView(row, error, response, { chunks = [], asked = true } = {}) {
  const told = error !== null && typeof error === "object" ? error : { message: error ?? row.error };
  const heard = told.upstream_body ?? response;
  const sent = told.answer?.error ?? { code: told.code, param: told.param };
  const began = row.status >= 200 && row.status < 400; // the answer had begun: it ended with an error event
  const more = Object.fromEntries(Object.entries(told).filter(([key]) => !OWN.has(key)));
  return h(
    "div",
    { class: "errors" },
    h(
      "section",
      null,
      h("h3", null, t("error.told"), " ", h("span", { class: "status error" }, said(began ? row.status : (told.status ?? row.status)))),
      payload(told.message ?? ""),
      began ? h("p", { class: "hint" }, t("error.midStream")) : null,
      h(
        "dl",
        { class: "facts" },
        ["type", "code", "param"].map((name) => fact(name, sent[name])),
        fact(t("error.kind"), told.type),
      ),
    ),
    h(
      "section",
      null,
      h(
        "h3",
        { class: "is-raw" },
        t("error.upstream"),
        " ",
        told.upstream_status ? h("span", { class: "status error" }, String(told.upstream_status)) : null,
      ),
      heard === undefined || heard === null ? streamed(chunks, asked) : payload(asText(heard), { beginning: 8000 }),
    ),
    Object.keys(more).length ? h("section", null, h("h3", null, t("error.more")), payload(pretty(more))) : null,
    told.traceback
      ? h(
          "details",
          { class: "traceback" },
          h("summary", null, t("error.traceback")),
          payload(told.traceback, { beginning: 20_000 }),
        )
      : null,
  );
}

/** What the upstream had streamed last, or why there is nothing. */
function streamed(chunks, asked) {
  const last = chunks.slice(-LAST_CHUNKS);
  if (!last.length) return h("p", { class: "hint" }, t(asked ? "error.upstreamSilent" : "error.notAsked"));
  return [
    h("p", { class: "hint" }, t("error.lastChunks", { n: last.length, all: chunks.length })),
    last.map((chunk) => payload(chunkText(chunk), { beginning: 2000 })),
  ];
}

function fact(name, value) {
  const isThere = value !== undefined && value !== null && value !== "";
  return isThere ? [h("dt", null, name), h("dd", null, h("code", null, said(value)))] : null;
}

function said(value) {
  return value === null || value === undefined || value === "" ? NONE : oneLine(value, 200);
}

function asText(value) {
  const read = parsed(value);
  return read !== null && typeof read === "object" ? pretty(read) : String(value);
}
