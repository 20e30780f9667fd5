// Makes visible what a terminal or a browser would obey or hide: control characters, terminal escapes, bidirectional
// controls, invisible characters, lone surrogates. What comes out is text and spans; nothing is ever interpreted.

import { h } from "./dom.js";

const HIDDEN = new RegExp(
  "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e" +
    "\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb]|[\\u{e0000}-\\u{e0fff}]|[\\ud800-\\udfff]",
  "gu",
);
const MOST_SPANS = 400; // per piece; beyond that the signs are plain text
const ASCII =
  "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US".split(
    " ",
  );
const NAMES = {
  0x7f: "DEL",
  0x9b: "CSI",
  0xad: "soft hyphen",
  0x61c: "Arabic letter mark",
  0x200b: "zero width space",
  0x200e: "left-to-right mark",
  0x200f: "right-to-left mark",
  0x2028: "line separator",
  0x2029: "paragraph separator",
  0x202a: "left-to-right embedding",
  0x202b: "right-to-left embedding",
  0x202c: "pop directional formatting",
  0x202d: "left-to-right override",
  0x202e: "right-to-left override",
  0x2060: "word joiner",
  0x2066: "left-to-right isolate",
  0x2067: "right-to-left isolate",
  0x2068: "first strong isolate",
  0x2069: "pop directional isolate",
  0xfeff: "byte order mark",
};

/** The sign for one hidden character: ⟦ESC⟧, ⟦202E⟧ for a bidirectional override. */
function sign(character) {
  const code = character.codePointAt(0);
  return `⟦${ASCII[code] ?? hex(code)}⟧`;
}

function hex(code) {
  return code.toString(16).toUpperCase().padStart(4, "0");
}

function name(code) {
  const kind = code >= 0xd800 && code <= 0xdfff ? "lone surrogate" : (ASCII[code] ?? NAMES[code]);
  return `U+${hex(code)}${kind ? ` ${kind}` : ""}`;
}

/** `text` with signs in place of hidden characters, as a string: for titles, cells and names. */
export function plain(text) {
  return String(text ?? "").replace(HIDDEN, sign);
}

/** One line of at most `longest` characters. */
export function oneLine(text, longest = 200) {
  const whole = String(text ?? "");
  const cut = whole.length > longest ? `${whole.slice(0, longest - 1)}…` : whole;
  return plain(cut.replace(/\r?\n/g, "⏎"));
}

/** `text` as a fragment in which each hidden character is a marked sign with its name; runs of one are counted. */
export function visible(text) {
  const fragment = document.createDocumentFragment();
  const found = text.match(HIDDEN);
  if (!found || found.length > MOST_SPANS) {
    fragment.append(found ? plain(text) : text);
    return fragment;
  }
  let from = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > from) fragment.append(text.slice(from, match.index));
    const code = match[0].codePointAt(0);
    fragment.append(h("span", { class: "hidden-char", title: name(code) }, sign(match[0])));
    from = match.index + match[0].length;
  }
  if (from < text.length) fragment.append(text.slice(from));
  return fragment;
}
