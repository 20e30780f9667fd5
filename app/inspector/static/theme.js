// Light and dark: as the system says, until the switch is used.

import { recall, remember } from "./memory.js";

const system = matchMedia("(prefers-color-scheme: dark)");

export function theme() {
  return document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light");
}

export function applyTheme() {
  const chosen = recall("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}

export function toggleTheme() {
  const next = theme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  remember("theme", next);
  return next;
}

/** Call `listener` when the system changes its mind. */
export function onSystemTheme(listener) {
  system.addEventListener("change", listener);
}
