// The live feed: one EventSource for the whole page, which comes back by itself when the gateway does.

import { BASE, getFilters, onLocked } from "./api.js";

const RETRY = 3000; // ms, when the server refused the feed and the browser gave up
const OUT_OF_SIGHT = 20_000; // ms; a browser has six connections to a gateway, and each feed holds one
const listeners = new Set();
let source = null;
let state = "off";
let locked = false;
onLocked(() => (locked = true));

/** Call `listener` with {state} when the connection changes, {row} for each new or finished trace, {dropped}: not stored. */
export function subscribe(listener) {
  listeners.add(listener);
  if (!source) open();
  listener({ state });
  return () => listeners.delete(listener);
}

function tell(message) {
  for (const listener of [...listeners]) listener(message);
}

function setState(next) {
  if (next === state) return;
  state = next;
  tell({ state });
}

function open() {
  source = new EventSource(`${BASE}/live`, { withCredentials: true });
  source.addEventListener("open", () => setState("on"));
  source.addEventListener("ping", (event) => {
    setState("on");
    tell({ dropped: JSON.parse(event.data).dropped ?? 0 });
  });
  source.addEventListener("trace", (event) => {
    setState("on");
    tell({ row: JSON.parse(event.data) });
  });
  source.addEventListener("error", () => {
    setState("off");
    if (source?.readyState === EventSource.CLOSED && !locked) askWhy();
  });
}

/** The server refused the feed, and a browser does not tell why: a gateway that was started anew has a new token. */
async function askWhy() {
  await getFilters().catch(() => {}); // locks the page where the token is not good
  if (!locked) setTimeout(open, RETRY);
}

let resting = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(resting);
  if (!document.hidden) {
    if (!source && listeners.size) open();
    return;
  }
  resting = setTimeout(() => {
    source?.close();
    source = null;
    setState("off");
  }, OUT_OF_SIGHT);
});
