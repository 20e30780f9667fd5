// Addresses: "#/request/ID/timeline?model=x" <-> {view, path, query}; knows no view.

/** Read the address bar. */
export function readRoute() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, ...rest] = path.split("/").map(decode);
  return { view: view || "requests", path: rest, query: Object.fromEntries(new URLSearchParams(query)) };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Write an address; empty query values are left out. */
export function hashOf(view, path = [], query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const tail = given.length ? `?${new URLSearchParams(given)}` : "";
  return `#/${[view, ...path].map((part) => encodeURIComponent(String(part).toWellFormed())).join("/")}${tail}`;
}

/** Go there; `replace` leaves no entry in the history. */
export function go(view, path, query, { replace = false } = {}) {
  const hash = hashOf(view, path, query);
  if (hash === location.hash) return;
  if (replace) history.replaceState(null, "", hash);
  else history.pushState(null, "", hash);
  dispatchEvent(new Event("routechange"));
}

export function onRoute(listener) {
  for (const event of ["hashchange", "popstate", "routechange"]) addEventListener(event, listener);
}
