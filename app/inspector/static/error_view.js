// What went wrong with one request: what the client was told, and what the upstream really said.

import { h } from "./dom.js";
import { NONE } from "./format.js";
import { t } from "./language.js";
import { parsed, payload, pretty } from "./payload.js";
import { oneLine } from "./visible.js";

const OWN = new Set(["message", "type", "status", "code", "param", "upstream_status", "upstream_body", "traceback"]);

/** Draw the `error` part of a trace, beside the row it belongs to. */
export function errorView(row, error, response) {
  const told = error !== null && typeof error === "object" ? error : { message: error ?? row.error };
  const heard = told.upstream_body ?? response;
  const more = Object.fromEntries(Object.entries(told).filter(([key]) => !OWN.has(key)));
  return h(
    "div",
    { class: "errors" },
    h(
      "section",
      null,
      h("h3", null, t("error.told")),
      h(
        "dl",
        { class: "facts" },
        ["status", "type", "code", "param"].map((name) => [
          h("dt", null, name),
          h("dd", null, said(name === "status" ? (told.status ?? row.status) : told[name])),
        ]),
      ),
      payload(told.message ?? ""),
    ),
    h(
      "section",
      null,
      h(
        "h3",
        { class: "is-raw" },
        t("error.upstream"),
        told.upstream_status ? h("span", { class: "status error" }, String(told.upstream_status)) : null,
      ),
      heard === undefined || heard === null
        ? h("p", { class: "hint" }, t("error.upstreamSilent"))
        : payload(asText(heard), { beginning: 8000 }),
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

function said(value) {
  return value === null || value === undefined || value === "" ? NONE : oneLine(value, 200);
}

function asText(value) {
  const read = parsed(value);
  return read !== null && typeof read === "object" ? pretty(read) : String(value);
}
