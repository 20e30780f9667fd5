// Builds elements. Text only ever becomes text: there is no way here to turn a string into markup.

const SVG = "http://www.w3.org/2000/svg";
const REFUSED = /^(style|srcdoc|src|action|formaction|on.+)$/i;
const OWN_ADDRESS = /^(#|\/(?![/\\]))/;

/** h("p", {class: "x", on: {click: f}}, "text", child, null) */
export function h(tag, props, ...children) {
  return build(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props, ...children) {
  return build(document.createElementNS(SVG, tag), props, children);
}

function build(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("aria-")) {
      element.setAttribute(name, String(value)); // "false" says something here
    } else if (value === false) {
      continue;
    } else if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "data") {
      Object.assign(element.dataset, value);
    } else {
      setAttribute(element, name, value === true ? "" : value);
    }
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

function setAttribute(element, name, value) {
  if (REFUSED.test(name)) throw new Error(`the attribute ${name} is never set`);
  if (name === "href" && !OWN_ADDRESS.test(value)) throw new Error("links lead to this page's own server only");
  element.setAttribute(name, String(value));
}

/** Replace everything inside `element`. */
export function fill(element, ...children) {
  element.replaceChildren();
  return build(element, null, children);
}

/** A button that is nothing but a button. */
export function button(label, onClick, props) {
  return h("button", { type: "button", ...props, on: { click: onClick } }, label);
}

/** Say something to those who listen instead of look. */
export function announce(text) {
  let region = document.getElementById("announcer");
  if (!region) {
    region = h("div", { id: "announcer", class: "unseen", role: "status", "aria-live": "polite" });
    document.body.append(region);
  }
  region.textContent = text;
}

/** Whether text in `element` is selected: it would be lost if that were drawn anew. */
export function isSelecting(element) {
  const selection = getSelection();
  return !selection.isCollapsed && element.contains(selection.anchorNode);
}

/** Call `task` `milliseconds` after the first of several calls: however many come, it is not put off. */
export function soon(task, milliseconds) {
  let timer = 0;
  const later = () => {
    timer ||= setTimeout(() => {
      timer = 0;
      task();
    }, milliseconds);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

/** Call `task` once things have been quiet for `milliseconds`. */
export function settled(task, milliseconds) {
  let timer = 0;
  const later = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(task, milliseconds, ...values);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}
