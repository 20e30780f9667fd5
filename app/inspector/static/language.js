// Chooses the language and finds texts; knows no text itself.

import { STRINGS } from "./strings.js";
import { recall, remember } from "./memory.js";

export const LANGUAGES = ["en", "ko"];
let place = LANGUAGES.indexOf(recall("language") ?? navigator.language.slice(0, 2).toLowerCase());
if (place < 0) place = 0;
document.documentElement.lang = LANGUAGES[place];

export function language() {
  return LANGUAGES[place];
}

export function setLanguage(name) {
  place = Math.max(0, LANGUAGES.indexOf(name));
  remember("language", LANGUAGES[place]);
  document.documentElement.lang = LANGUAGES[place];
}

/** The text for `key`; `{name}` becomes values.name; "one|many" is chosen by values.n. */
export function t(key, values = {}) {
  const forms = (STRINGS[key]?.[place] ?? key).split("|");
  const text = forms[forms.length > 1 && values.n !== 1 ? 1 : 0];
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? value.toLocaleString(LANGUAGES[place]) : String(value);
  });
}
