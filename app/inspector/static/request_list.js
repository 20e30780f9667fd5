// The list of requests: grows live, filters, draws only what is seen, loads older pages as it is scrolled.

import { button, fill, h, soon } from "./dom.js";
import { filterBar } from "./filter_bar.js";
import { FILTERS, ListModel } from "./list_model.js";
import { subscribe } from "./live.js";
import { t } from "./language.js";
import { COLUMNS, headRow, requestRow } from "./request_row.js";
import { VirtualList, evenLayout } from "./virtual_list.js";
import { oneLine } from "./visible.js";

const WIDE = 620; // px; below, a row has two lines
const NEAR_END = 40; // rows
const OFF = "off"; // GATEWAY_TRACE where nothing is stored

/** Draw the list. `onOpen(id)`, `onMove(rows)` and `onFilter(filters)` hear of choices. */
export function requestList({ filters, onOpen, onMove, onFilter }) {
  let chosen = null;
  let height = 28;
  let unseen = 0;
  const bar = filterBar(filters, onFilter);
  const scroller = h("div", { class: "rows", role: "rowgroup", tabindex: "-1" });
  const grid = h("div", {
    class: "grid",
    role: "grid",
    tabindex: "0",
    "aria-label": t("nav.requests"),
    "aria-colcount": COLUMNS.length,
  });
  const foot = h("p", { class: "list-foot", role: "status" });
  const count = h("span");
  const lost = h("span", { class: "error-line" });
  const fresh = button(
    "",
    () => {
      scroller.scrollTop = 0;
      showUnseen(0);
    },
    { class: "fresh", hidden: true },
  );
  const model = new ListModel(onModel);
  const list = new VirtualList(
    scroller,
    (index) => requestRow(model.rows[index], index, model.rows[index].id === chosen),
    onRange,
  );

  function onRange(_, last) {
    if (scroller.scrollTop < height) showUnseen(0);
    if (last >= model.rows.length - NEAR_END) model.more();
  }

  function showUnseen(count) {
    unseen = count;
    fresh.hidden = !count;
    if (count) fresh.textContent = `↑ ${t("list.unseen", { n: count })}`;
  }

  function onModel(change) {
    if (change.error) {
      fill(
        foot,
        h("span", { class: "error-line" }, oneLine(change.error.message, 200)),
        button(t("retry"), () => model.reset(model.filters)),
      );
      return;
    }
    const top = scroller.scrollTop;
    if (change.replaced !== undefined) return list.refresh(change.replaced);
    list.set(evenLayout(model.rows.length, height));
    grid.setAttribute("aria-rowcount", model.complete ? model.rows.length + 1 : -1);
    if (change.inserted !== undefined && top >= height) {
      scroller.scrollTop = top + height; // what is being read stays where it is
      showUnseen(unseen + 1);
    }
    if (change.reset) scroller.scrollTop = 0;
    count.textContent = model.rows.length ? t(model.complete ? "list.all" : "list.some", { n: model.rows.length }) : "";
    fill(foot, count, " ", lost, model.depth === OFF && model.rows.length ? ` ${t("list.off")}` : null);
    sayEmpty();
    return undefined;
  }

  const empty = h("div", { class: "empty", hidden: true });

  /** Say why nothing is here: nothing is stored, nothing passes the filters, or nobody has asked yet. */
  function sayEmpty() {
    empty.hidden = model.rows.length > 0;
    const [why, hint] =
      model.depth === OFF
        ? ["list.off", "list.offHint"]
        : model.isFiltered
          ? ["list.noMatch", null]
          : ["list.empty", "list.emptyHint"];
    fill(empty, h("p", null, t(why)), hint && h("p", { class: "hint" }, t(hint)));
  }

  const searchAgain = soon(() => model.catchUp(), 700);
  const refreshFilters = setInterval(() => !document.hidden && bar.refresh(), 60_000);
  const observer = new ResizeObserver(() => {
    const next = scroller.clientWidth < WIDE ? 46 : 28;
    if (next === height) return;
    height = next;
    list.set(evenLayout(model.rows.length, height));
  });
  observer.observe(scroller);
  scroller.addEventListener("click", (event) => {
    const row = event.target.closest("[data-id]");
    if (row) onOpen(row.dataset.id);
  });

  grid.append(headRow(), scroller);
  grid.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20, Home: -Infinity, End: Infinity }[event.key];
    if (!step) return;
    event.preventDefault();
    onMove(step);
  });
  const api = {
    element: h(
      "section",
      { class: "list", "aria-label": t("nav.requests") },
      bar.element,
      h("div", { class: "list-body" }, grid, fresh, empty),
      foot,
    ),
    focusSearch: bar.focusSearch,
    /** Take filters from the address. */
    setFilters(next) {
      if (FILTERS.every((name) => (next[name] ?? "") === (model.filters[name] ?? ""))) return;
      bar.set(next);
      model.reset(next);
    },
    /** Mark one row and bring it into view. */
    choose(id) {
      const before = model.indexOf(chosen);
      chosen = id;
      const index = model.indexOf(id);
      list.refresh(before);
      list.refresh(index);
      if (index >= 0) {
        list.reveal(index);
        grid.setAttribute("aria-activedescendant", `row-${id}`);
      } else {
        grid.removeAttribute("aria-activedescendant");
      }
    },
    /** The id of the row so many places further, from the one that is chosen. */
    neighbour(step) {
      const index = model.indexOf(chosen);
      return model.rows[index < 0 ? 0 : Math.max(0, Math.min(model.rows.length - 1, index + step))]?.id;
    },
    chosen: () => chosen,
    row: (id) => model.rows[model.indexOf(id)],
    destroy() {
      stop();
      clearInterval(refreshFilters);
      searchAgain.cancel();
      observer.disconnect();
      list.destroy();
    },
  };
  model.reset(filters);
  const stop = subscribe(({ row, state, dropped }) => {
    if (row) {
      model.upsert(row);
      if (model.filters.q) searchAgain();
    } else if (state === "on") {
      model.catchUp(); // what came before the feed was there
    } else if (dropped !== undefined) {
      lost.textContent = dropped ? t("list.dropped", { n: dropped }) : "";
    }
  });
  return api;
}
