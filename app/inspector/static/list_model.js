// The rows of the list: pages from the API, rows from the live feed, newest first; draws nothing.

import { getTraces } from "./api.js";
import { isRunning } from "./format.js";

const PAGE = 200;
export const FILTERS = ["model", "client", "session", "status", "repaired", "q"];

export class ListModel {
  /** `changed(what)` hears {prepended: n} | {replaced: index} | {appended: n} | {reset: true} | {error}. */
  constructor(changed) {
    this.changed = changed;
    this.filters = {};
    this.rows = [];
    this.cursor = null;
    this.loading = null;
    this.complete = false;
    this.depth = null; // how much the gateway stores
  }

  /** Take new filters and load the first page. */
  reset(filters) {
    this.filters = filters;
    this.loading?.abort();
    this.loading = null;
    this.cursor = null;
    this.complete = false;
    return this.fetch((rows) => {
      this.rows = rows;
      this.changed({ reset: true });
    });
  }

  /** Load the next page, unless one is on its way or all are here. */
  more() {
    if (this.loading || this.complete) return undefined;
    return this.fetch((rows) => {
      const known = new Set(this.rows.slice(-PAGE).map((row) => row.id));
      const fresh = rows.filter((row) => !known.has(row.id));
      this.rows.push(...fresh);
      this.changed({ appended: fresh.length });
    });
  }

  async fetch(take) {
    const control = new AbortController();
    this.loading = control;
    try {
      const page = await getTraces(this.filters, this.cursor, PAGE, control.signal);
      if (this.loading !== control) return;
      this.loading = null;
      this.cursor = page.next;
      this.depth = page.depth;
      this.complete = !page.next;
      take(page.traces);
    } catch (error) {
      if (this.loading !== control) return;
      this.loading = null;
      if (error.name !== "AbortError") this.changed({ error });
    }
  }

  /** Look for what came while the feed was away: new rows of the first page are put in front. */
  async catchUp() {
    if (this.loading) return; // what is being loaded is newer than the wish
    try {
      const page = await getTraces(this.filters, null, PAGE);
      for (const row of [...page.traces].reverse()) this.upsert(row);
    } catch (error) {
      this.changed({ error });
    }
  }

  /** Take a row of the live feed. */
  upsert(row) {
    const index = this.rows.findIndex((known) => known.id === row.id);
    if (index >= 0) {
      this.rows[index] = { ...this.rows[index], ...row };
      this.changed({ replaced: index });
      return;
    }
    if (!this.takes(row)) return;
    let place = 0;
    while (place < this.rows.length && this.rows[place].started > row.started) place++;
    if (place >= this.rows.length && !this.complete) return; // older than all that is here: its page will bring it
    this.rows.splice(place, 0, row);
    this.changed({ inserted: place });
  }

  /** Whether a row passes the filters, as far as the page can tell. */
  takes(row) {
    const { model, client, session, status, repaired, q } = this.filters;
    if (model && row.model !== model && row.target !== model) return false;
    if (client && row.client !== client && row.user_agent !== client) return false;
    if (session && row.session !== session) return false;
    if (status && !hasStatus(row, status)) return false;
    if (repaired && !row.repairs) return false; // what was only noted counts, as on the server
    return !q; // only the server can search in bodies
  }

  get isFiltered() {
    return FILTERS.some((name) => this.filters[name]);
  }

  indexOf(id) {
    return this.rows.findIndex((row) => row.id === id);
  }
}

function hasStatus(row, wanted) {
  const failed = Boolean(row.error) || (row.status ?? 0) >= 400;
  if (wanted === "ok") return !isRunning(row) && !failed;
  if (wanted === "error") return failed;
  return String(row.status) === wanted;
}
