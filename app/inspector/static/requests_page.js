// The page of requests: the list, and beside it the request that is open.

import { h } from "./dom.js";
import { FILTERS } from "./list_model.js";
import { t } from "./language.js";
import { requestList } from "./request_list.js";
import { requestView, TABS } from "./request_view.js";
import { go } from "./router.js";

const filtersOf = (query) =>
  Object.fromEntries(FILTERS.filter((name) => query[name]).map((name) => [name, query[name]]));

/** Draw the page for `route`; `update(route)` follows the address without drawing anew. */
export function requestsPage(host, first, setPageKeys) {
  let route = first;
  let detail = null;
  let tab = null;
  const side = h("section", { class: "detail", "aria-label": t("request.title"), tabindex: "-1" });
  const page = h("div", { class: "requests-page" });
  const open = (id, wantedTab = tab ?? "summary") => go("request", [id, wantedTab], route.query);
  const close = () => go("requests", [], route.query);
  const list = requestList({
    filters: filtersOf(first.query),
    onOpen: (id) => open(id),
    onMove: (step) => move(step),
    onFilter: (filters) => go(route.view, route.path, filters, { replace: true }),
  });
  page.append(list.element, side);
  host.append(page);

  const move = (step) => {
    const id = list.neighbour(step);
    if (!id) return;
    if (detail) open(id);
    else list.choose(id);
  };
  const keys = () => [
    {
      title: t("keys.list"),
      keys: {
        j: { label: t("keys.next"), run: () => move(1) },
        k: { label: t("keys.previous"), run: () => move(-1) },
        Enter: { label: t("keys.open"), run: () => list.chosen() && open(list.chosen()) },
        "/": { label: t("keys.search"), run: list.focusSearch },
        Escape: { label: t("keys.close"), run: close },
      },
    },
    detail && { title: t("request.title"), keys: detail.keys() },
    detail && {
      title: t("keys.tabs"),
      keys: Object.fromEntries(
        TABS.map((name, index) => [String(index + 1), { label: t(`tab.${name}`), run: () => open(detail.id, name) }]),
      ),
    },
  ];

  const update = (next) => {
    route = next;
    list.setFilters(filtersOf(next.query));
    const [id, wanted] = next.view === "request" ? next.path : [];
    page.classList.toggle("split", Boolean(id));
    if (!id) {
      detail?.destroy();
      detail = null;
      side.replaceChildren();
    } else {
      tab = TABS.includes(wanted) ? wanted : "summary";
      if (detail?.id !== id) {
        detail?.destroy();
        side.replaceChildren();
        detail = requestView(side, id, {
          onTab: (name) => open(id, name),
          onClose: close,
          onKeys: () => setPageKeys(keys()),
          known: list.row(id),
        });
      }
      detail.show(tab);
      list.choose(id);
    }
    setPageKeys(keys());
  };
  update(first);
  return {
    update,
    destroy() {
      detail?.destroy();
      list.destroy();
    },
  };
}
