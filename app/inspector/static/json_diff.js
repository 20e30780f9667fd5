// The difference of two JSON values as a tree; pure: draws nothing, keeps both values as they are.
//
// A node is one of {kind: same|added|removed|changed|object|array, before, after, changes: number}; objects have
// `entries: [{key, node}]`, arrays `items: [{from, to, node}]` with the positions on both sides (null: not there).

const DEEPEST = 80;
const LONGEST_TABLE = 400; // elements a side that are aligned exactly; longer middles are compared by position

const texts = new WeakMap();

/** Equal values have equal texts, whatever the order of their keys. */
export function canonical(value) {
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "undefined";
  let text = texts.get(value);
  if (text === undefined) {
    try {
      text = JSON.stringify(value, (_, inner) =>
        inner !== null && typeof inner === "object" && !Array.isArray(inner)
          ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
          : inner,
      );
    } catch {
      text = `too deep ${Math.random()}`; // equal to nothing
    }
    texts.set(value, text);
  }
  return text;
}

export function diff(before, after, depth = 0) {
  if (before === after || canonical(before) === canonical(after)) return { kind: "same", before, after, changes: 0 };
  if (depth < DEEPEST && isObject(before) && isObject(after)) return diffObjects(before, after, depth);
  if (depth < DEEPEST && Array.isArray(before) && Array.isArray(after)) return diffArrays(before, after, depth);
  return { kind: "changed", before, after, changes: 1 };
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

const added = (after) => ({ kind: "added", after, changes: 1 });
const removed = (before) => ({ kind: "removed", before, changes: 1 });

function diffObjects(before, after, depth) {
  const entries = [];
  for (const key of Object.keys(before)) {
    entries.push({
      key,
      node: Object.hasOwn(after, key) ? diff(before[key], after[key], depth + 1) : removed(before[key]),
    });
  }
  for (const key of Object.keys(after)) if (!Object.hasOwn(before, key)) entries.push({ key, node: added(after[key]) });
  return { kind: "object", before, after, entries, changes: sum(entries) };
}

function diffArrays(before, after, depth) {
  const items = align(before, after).map(([from, to]) => ({
    from,
    to,
    node:
      to === null ? removed(before[from]) : from === null ? added(after[to]) : diff(before[from], after[to], depth + 1),
  }));
  return { kind: "array", before, after, items, changes: sum(items) };
}

function sum(children) {
  return children.reduce((total, { node }) => total + node.changes, 0);
}

/** Pair elements: equal ones first, in order; then those that seem to be the same thing, changed. */
function align(before, after) {
  const left = before.map(canonical);
  const right = after.map(canonical);
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start++;
  let endLeft = left.length;
  let endRight = right.length;
  while (endLeft > start && endRight > start && left[endLeft - 1] === right[endRight - 1]) {
    endLeft--;
    endRight--;
  }
  const pairs = [];
  for (let index = 0; index < start; index++) pairs.push([index, index]);
  const anchors = common(left, right, start, endLeft, endRight);
  let [fromLeft, fromRight] = [start, start];
  for (const [l, r] of [...anchors, [endLeft, endRight]]) {
    pairs.push(...match(before, after, fromLeft, l, fromRight, r));
    if (l < endLeft && r < endRight) pairs.push([l, r]);
    [fromLeft, fromRight] = [l + 1, r + 1];
  }
  for (let index = 0; index < left.length - endLeft; index++) pairs.push([endLeft + index, endRight + index]);
  return pairs;
}

/** The longest common subsequence of the middles, as pairs of positions. */
function common(left, right, start, endLeft, endRight) {
  const rows = endLeft - start;
  const columns = endRight - start;
  if (!rows || !columns || rows > LONGEST_TABLE || columns > LONGEST_TABLE) return [];
  const width = columns + 1;
  const table = new Uint16Array((rows + 1) * width);
  for (let i = rows - 1; i >= 0; i--) {
    for (let j = columns - 1; j >= 0; j--) {
      const below = table[(i + 1) * width + j];
      const beside = table[i * width + j + 1];
      table[i * width + j] =
        left[start + i] === right[start + j] ? table[(i + 1) * width + j + 1] + 1 : Math.max(below, beside);
    }
  }
  const pairs = [];
  for (let i = 0, j = 0; i < rows && j < columns;) {
    if (left[start + i] === right[start + j]) pairs.push([start + i++, start + j++]);
    else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) i++;
    else j++;
  }
  return pairs;
}

/** What an element is about: a tool's name, a message's role and call. */
function topic(value) {
  if (value === null || typeof value !== "object") return typeof value;
  const name = value.function?.name ?? value.name ?? "";
  return [value.role, value.type, value.tool_call_id, name]
    .map((part) => (typeof part === "string" ? part : ""))
    .join("\u0000");
}

function match(before, after, l, endLeft, r, endRight) {
  const pairs = [];
  while (l < endLeft && r < endRight) {
    const wanted = topic(before[l]);
    let found = r;
    while (found < endRight && topic(after[found]) !== wanted) found++;
    if (found < endRight) {
      while (r < found) pairs.push([null, r++]);
      pairs.push([l++, r++]);
    } else if (endLeft - l === endRight - r && similar(before[l], after[r])) {
      pairs.push([l++, r++]);
    } else {
      pairs.push([l++, null]);
    }
  }
  while (l < endLeft) pairs.push([l++, null]);
  while (r < endRight) pairs.push([null, r++]);
  return pairs;
}

function similar(a, b) {
  return Array.isArray(a) === Array.isArray(b) && typeof a === typeof b;
}

/** Count what was added, removed and changed. */
export function countChanges(node, counts = { added: 0, removed: 0, changed: 0 }) {
  if (node.kind in counts) counts[node.kind] += 1;
  for (const { node: child } of node.entries ?? node.items ?? []) if (child.changes) countChanges(child, counts);
  return counts;
}
