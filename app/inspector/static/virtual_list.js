// A list that draws only what can be seen: for thousands of rows of known heights; knows nothing of what is in them.

import { h } from "./dom.js";

const OVERSCAN = 12; // rows drawn above and below what is seen

/** Where rows stand when all have one height. */
export function evenLayout(count, height) {
  return {
    count,
    total: count * height,
    top: (index) => index * height,
    height: () => height,
    find: (y) => Math.max(0, Math.min(count - 1, Math.floor(y / height))),
  };
}

/** Where rows stand when each has its own height; `heights` in pixels. */
export function unevenLayout(heights) {
  const tops = new Float64Array(heights.length + 1);
  for (let index = 0; index < heights.length; index++) tops[index + 1] = tops[index] + heights[index];
  return {
    count: heights.length,
    total: tops[heights.length],
    top: (index) => tops[index],
    height: (index) => heights[index],
    find(y) {
      let low = 0;
      let high = heights.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (tops[middle] <= y) low = middle;
        else high = middle - 1;
      }
      return Math.max(0, low);
    },
  };
}

export class VirtualList {
  /** `scroller` scrolls; `draw(index)` returns the element of a row; `onRange(first, last)` hears what is seen. */
  constructor(scroller, draw, onRange = () => {}) {
    this.scroller = scroller;
    this.draw = draw;
    this.onRange = onRange;
    this.layout = evenLayout(0, 1);
    this.rows = new Map();
    this.body = h("div", { class: "virtual", role: "presentation" });
    scroller.append(this.body);
    this.onScroll = () => this.paint();
    scroller.addEventListener("scroll", this.onScroll, { passive: true });
    this.observer = new ResizeObserver(this.onScroll);
    this.observer.observe(scroller);
  }

  /** Take a new layout and draw everything anew. */
  set(layout) {
    this.layout = layout;
    this.body.style.height = `${layout.total}px`;
    this.clear();
    this.paint();
  }

  clear() {
    for (const row of this.rows.values()) row.remove();
    this.rows.clear();
  }

  /** Draw one row again, if it is drawn at all. */
  refresh(index) {
    const old = this.rows.get(index);
    if (!old) return;
    const fresh = this.place(index);
    old.replaceWith(fresh);
    this.rows.set(index, fresh);
  }

  place(index) {
    const row = this.draw(index);
    row.style.transform = `translateY(${this.layout.top(index)}px)`;
    row.style.height = `${this.layout.height(index)}px`;
    return row;
  }

  paint() {
    const { count } = this.layout;
    if (!count) return this.onRange(0, 0);
    const { scrollTop, clientHeight } = this.scroller;
    const first = Math.max(0, this.layout.find(scrollTop) - OVERSCAN);
    const last = Math.min(count - 1, this.layout.find(scrollTop + clientHeight) + OVERSCAN);
    for (const [index, row] of this.rows) {
      if (index < first || index > last) {
        row.remove();
        this.rows.delete(index);
      }
    }
    const fresh = document.createDocumentFragment();
    for (let index = first; index <= last; index++) {
      if (this.rows.has(index)) continue;
      const row = this.place(index);
      this.rows.set(index, row);
      fresh.append(row);
    }
    this.body.append(fresh);
    this.onRange(first, last);
  }

  /** Scroll as little as is needed to see a row; `centre` puts it in the middle. */
  reveal(index, { centre = false } = {}) {
    const { scrollTop, clientHeight } = this.scroller;
    const top = this.layout.top(index);
    const bottom = top + this.layout.height(index);
    if (centre) this.scroller.scrollTop = top - clientHeight / 2;
    else if (top < scrollTop) this.scroller.scrollTop = top;
    else if (bottom > scrollTop + clientHeight) this.scroller.scrollTop = bottom - clientHeight;
    this.paint();
  }

  destroy() {
    this.observer.disconnect();
    this.scroller.removeEventListener("scroll", this.onScroll);
  }
}
