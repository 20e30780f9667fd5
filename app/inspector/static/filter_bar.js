// The filters of the list: what is chosen stands in the address, so that a view can be kept and shared.

import { getFilters } from "./api.js";
import { button, h, settled } from "./dom.js";
import { t } from "./language.js";
import { oneLine } from "./visible.js";

/** Draw the filters with `values`; `onChange(values)` hears of changes. Returns {element, focusSearch, set}. */
export function filterBar(values, onChange) {
  let current = { ...values };
  const change = (name, value) => {
    current = { ...current, [name]: value };
    clear.hidden = !Object.values(current).some(Boolean);
    onChange({ ...current });
  };
  const search = h("input", {
    type: "search",
    id: "search",
    placeholder: t("filter.search"),
    "aria-label": t("filter.search"),
    autocomplete: "off",
    spellcheck: "false",
    // Who types and goes on to another page at once is not brought back.
    on: { input: settled(() => search.isConnected && change("q", search.value.trim()), 250) },
  });
  const selects = {
    model: select("model", change),
    client: select("client", change),
    status: select("status", change),
  };
  const session = h("input", {
    type: "text",
    class: "narrow",
    placeholder: t("filter.session"),
    "aria-label": t("filter.session"),
    autocomplete: "off",
    spellcheck: "false",
    on: { change: () => change("session", session.value.trim()) },
  });
  const repaired = button(
    t("filter.repaired"),
    () => {
      const on = repaired.getAttribute("aria-pressed") !== "true";
      repaired.setAttribute("aria-pressed", on);
      change("repaired", on ? "1" : "");
    },
    { class: "toggle", "aria-pressed": "false" },
  );
  const clear = button(
    t("filter.clear"),
    () => {
      current = {};
      set({});
      onChange({});
    },
    { class: "quiet" },
  );
  const set = (next) => {
    current = { ...next };
    if (document.activeElement !== search) search.value = next.q ?? "";
    session.value = next.session ?? "";
    repaired.setAttribute("aria-pressed", Boolean(next.repaired));
    for (const [name, control] of Object.entries(selects)) choose(control, next[name] ?? "");
    clear.hidden = !Object.values(next).some(Boolean);
  };
  const refresh = async () => {
    const found = await getFilters().catch(() => ({}));
    options(selects.model, t("filter.anyModel"), found.models, current.model);
    options(selects.client, t("filter.anyClient"), found.clients, current.client);
    options(
      selects.status,
      t("filter.anyStatus"),
      ["ok", "error", ...(found.statuses ?? []).map(String)],
      current.status,
    );
  };
  set(values);
  refresh();
  const element = h(
    "form",
    {
      class: "filters",
      role: "search",
      "aria-label": t("filter.title"),
      on: { submit: (event) => event.preventDefault() },
    },
    search,
    selects.model,
    selects.client,
    selects.status,
    session,
    repaired,
    clear,
  );
  return { element, set, refresh, focusSearch: () => search.select() ?? search.focus() };
}

function select(name, change) {
  const control = h("select", {
    class: `f-${name}`,
    "aria-label": t(`filter.${name}`),
    on: { change: () => change(name, control.value) },
  });
  options(control, t(`filter.any${name[0].toUpperCase()}${name.slice(1)}`), [], "");
  return control;
}

function options(control, any, values, chosen) {
  const all = [...new Set((values ?? []).filter((value) => value !== null && value !== ""))];
  if (chosen && !all.includes(chosen)) all.unshift(chosen);
  control.replaceChildren(
    h("option", { value: "" }, any),
    ...all.map((value) => h("option", { value }, oneLine(statusName(value), 60))),
  );
  control.value = chosen ?? "";
}

function statusName(value) {
  if (value === "ok" || value === "error") return t(`filter.${value}`);
  return value;
}

function choose(control, value) {
  if (value && ![...control.options].some((option) => option.value === value))
    control.append(h("option", { value }, oneLine(value, 60)));
  control.value = value;
}
