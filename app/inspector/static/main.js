// The page's table of contents: frame, views by address, theme, language, keyboard.

import { onLocked } from "./api.js";
import { announce, button, fill, h } from "./dom.js";
import { setKeys, showHelp } from "./keys.js";
import { language, LANGUAGES, setLanguage, t } from "./language.js";
import { subscribe } from "./live.js";
import { playgroundPage } from "./playground.js";
import { plotsPage } from "./plots_page.js";
import { requestsPage } from "./requests_page.js";
import { go, hashOf, onRoute, readRoute } from "./router.js";
import { sessionPage } from "./session_page.js";
import { sessionsPage } from "./sessions_page.js";
import { applyTheme, onSystemTheme, theme, toggleTheme } from "./theme.js";

const VIEWS = {
  requests: requestsPage,
  request: requestsPage,
  sessions: sessionsPage,
  session: sessionPage,
  plots: plotsPage,
  playground: playgroundPage,
};
const TABS = [
  ["requests", "r"],
  ["sessions", "s"],
  ["plots", "p"],
  ["playground", "t"],
];
const HOME = { request: "requests", session: "sessions" };

let page = null; // what the open view returned: {update?, destroy}
let drawn = null; // its function
let pageKeys = [];
let locked = false;
const nav = h("nav", { class: "nav" });
const live = h("span", { class: "live", role: "status" });
const tools = h("div", { class: "masthead-tools" });
const brand = h("a", { class: "brand", href: hashOf("requests") });
const host = h("main", { id: "main", tabindex: "-1" });
const skip = h("a", {
  class: "skip",
  href: "#main",
  on: {
    click: (event) => {
      event.preventDefault();
      host.focus();
    },
  },
});

function frame() {
  document.title = t("title");
  fill(skip, t("skip"));
  fill(brand, h("b", null, t("brand")), h("span", null, t("title")));
  nav.setAttribute("aria-label", t("title"));
  const view = readRoute().view;
  const here = HOME[view] ?? view;
  fill(
    nav,
    TABS.map(([name, key]) =>
      h(
        "a",
        { href: hashOf(name), "aria-current": name === here ? "page" : null, title: `g ${key}` },
        t(`nav.${name}`),
      ),
    ),
  );
  const other = LANGUAGES[(LANGUAGES.indexOf(language()) + 1) % LANGUAGES.length];
  fill(
    tools,
    button(t("language.other"), switchLanguage, { class: "quiet", lang: other, id: "language", title: "l" }),
    button(theme() === "dark" ? "☀" : "☾", switchTheme, {
      class: "quiet",
      id: "theme",
      "aria-label": t(theme() === "dark" ? "theme.light" : "theme.dark"),
      title: "d",
    }),
    button("?", showHelp, { class: "quiet", id: "help", "aria-label": t("help.title") }),
  );
}

function switchLanguage() {
  setLanguage(LANGUAGES[(LANGUAGES.indexOf(language()) + 1) % LANGUAGES.length]);
  drawn = null;
  draw();
}

function switchTheme() {
  announce(t(toggleTheme() === "dark" ? "theme.isDark" : "theme.isLight"));
  frame();
}

function allKeys() {
  const jump = Object.fromEntries(
    TABS.map(([name, key]) => [`g ${key}`, { label: t(`nav.${name}`), run: () => go(name) }]),
  );
  setKeys(
    {
      title: t("keys.everywhere"),
      keys: {
        ...jump,
        "?": { label: t("help.title"), run: showHelp },
        d: { label: t("keys.theme"), run: switchTheme },
        l: { label: t("keys.language"), run: switchLanguage },
      },
    },
    ...pageKeys,
  );
}

function setPageKeys(keys) {
  pageKeys = keys;
  allKeys();
}

function draw() {
  const route = readRoute();
  const view = VIEWS[route.view] ?? requestsPage;
  frame();
  if (locked) return;
  if (view === drawn && page?.update) return void page.update(route);
  page?.destroy();
  host.replaceChildren();
  host.className = `view-${HOME[route.view] ?? route.view}`;
  host.scrollTop = 0;
  drawn = view;
  page = view(host, route, setPageKeys) ?? null;
  allKeys();
}

/** The inspector wants its token: say where it is found, and take it. */
function lock() {
  if (locked) return;
  locked = true;
  page?.destroy();
  page = drawn = null;
  setPageKeys([]);
  live.hidden = true;
  const token = h("input", { type: "password", id: "token", autocomplete: "off", spellcheck: "false" });
  const form = h(
    "form",
    {
      class: "locked",
      on: {
        submit: (event) => {
          event.preventDefault();
          location.assign(`${location.pathname}?${new URLSearchParams({ token: token.value.trim() })}${location.hash}`);
        },
      },
    },
    h("h2", null, t("locked.title")),
    wasRefused() ? h("p", { class: "problem", role: "alert" }, t("locked.refused")) : null,
    h("p", null, t("locked.text")),
    h("label", { for: "token" }, t("locked.token")),
    h("div", { class: "row" }, token, h("button", { type: "submit", class: "primary" }, t("locked.open"))),
  );
  fill(host, form);
  token.focus();
}

/** Whether the token that was given just now is not the gateway's. */
function wasRefused() {
  return new URLSearchParams(location.search).has("refused");
}

applyTheme();
document.body.replaceChildren(
  skip,
  h("header", { class: "masthead" }, brand, nav, h("span", { class: "spring" }), live, tools),
  host,
);
onLocked(lock);
onRoute(draw);
onSystemTheme(frame);
subscribe(({ state }) => {
  if (!state) return;
  live.className = `live ${state}`;
  fill(live, h("i", { "aria-hidden": "true" }), t(`live.${state}`));
});
draw();
