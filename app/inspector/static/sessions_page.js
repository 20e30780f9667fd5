// The recent sessions of agents, newest first.

import { getSessions } from "./api.js";
import { fill, h, soon } from "./dom.js";
import { fullTime, moment, NONE, seconds, short } from "./format.js";
import { subscribe } from "./live.js";
import { t } from "./language.js";
import { hashOf } from "./router.js";
import { oneLine } from "./visible.js";

/** Draw the page. */
export function sessionsPage(host, route, setPageKeys) {
  const body = h("div", { class: "page" }, h("p", { class: "hint" }, t("loading")));
  host.append(body);
  setPageKeys([]);
  const load = async () => {
    try {
      const { sessions } = await getSessions();
      const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      fill(
        body,
        h("h2", null, t("nav.sessions")),
        sessions.length ? table(sessions) : h("p", { class: "hint" }, t("sessions.empty")),
      );
      if (focused) [...body.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
    } catch (error) {
      fill(body, h("p", { class: "error-line", role: "alert" }, oneLine(error.message, 300)));
    }
  };
  const again = soon(load, 1500);
  const stop = subscribe(({ row }) => row?.session && again());
  load();
  return {
    update() {},
    destroy() {
      stop();
      again.cancel();
    },
  };
}

function table(sessions) {
  const heads = ["session", "agent", "models", "requests", "errors", "repaired", "in", "out", "span", "last"];
  return h(
    "div",
    { class: "table-scroll", tabindex: "0", role: "region", "aria-label": t("nav.sessions") },
    h(
      "table",
      { class: "sessions" },
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          heads.map((name) => h("th", { scope: "col", class: `s-${name}` }, t(`sessions.${name}`))),
        ),
      ),
      h("tbody", null, sessions.map(line)),
    ),
  );
}

function line(session) {
  const models = Array.isArray(session.models) ? session.models : [session.model].filter(Boolean);
  const span =
    typeof session.first === "number" && typeof session.last === "number" ? session.last - session.first : undefined;
  const count = (value, kind) => h("td", { class: `number ${value ? kind : ""}` }, short(value ?? 0));
  return h(
    "tr",
    null,
    h("th", { scope: "row" }, h("a", { href: hashOf("session", [session.session]) }, oneLine(session.session, 60))),
    h("td", null, oneLine(String(session.user_agent ?? session.client ?? NONE).split(" ")[0], 40)),
    h("td", null, oneLine(models.join(", ") || NONE, 80)),
    count(session.requests, ""),
    count(session.errors, "bad"),
    count(session.repaired, "rule"),
    count(session.prompt_tokens, ""),
    count(session.completion_tokens, ""),
    h("td", { class: "number" }, seconds(span)),
    h("td", null, session.last ? h("time", { title: fullTime(session.last) }, moment(session.last)) : NONE),
  );
}
