// Puts raw chunks, emitted chunks and repairs side by side in time; pure: knows times and heights, draws nothing.
//
// Chunks of one upstream read have one time. What was written to the client before the next read belongs to that read.

import { pair, sayTheSame } from "./chunk_pairing.js";

export const ROW = 24; // px
const PX_PER_SECOND = 60; // the scale of gaps
const SMALLEST_GAP = 0.05; // seconds; shorter ones are not drawn
export const HIGHEST_GAP = 150; // px; a longer silence is cut there and says so
const STALL_FLOOR = 1; // seconds
const LONGEST_HOLD = 2; // seconds a chunk may be held back and still stand beside what it came from

/**
 * Return {rows, heights, stalls, rules, end}. Rows are {kind: "chunk", at, raw, emitted, repairs} or
 * {kind: "gap", at, seconds, cut, stall, lost}; `stalls` and `rules` are the positions of rows worth jumping to.
 * `lost`: how many reads and writes were too many to be kept, so that the time after the last chunk was no silence.
 */
export function layOut({ raw = [], emitted = [], repairs = [] }, end = 0, lost = 0) {
  const groups = groupByRead(raw, emitted);
  attach(groups, raw, repairs);
  joinHeldBack(groups);
  const stall = stallLimit(groups);
  const rows = [];
  const heights = [];
  const marks = { stalls: [], rules: [] };
  const put = (row, height) => {
    heights.push(height);
    return rows.push(row) - 1;
  };
  let last = 0;
  for (const group of groups) {
    gap(last, group.at, stall, put, marks);
    for (const row of group.rows) {
      const place = put(row, ROW);
      if (row.repairs.length) marks.rules.push(place);
    }
    last = Math.max(last, group.end);
  }
  if (lost) put({ kind: "gap", at: last, seconds: Math.max(0, end - last), cut: false, stall: false, lost }, ROW);
  else if (end) gap(last, end, stall, put, marks);
  return { rows, heights, ...marks, end: Math.max(last, end) };
}

function gap(from, to, stall, put, marks) {
  const silence = to - from;
  if (silence < SMALLEST_GAP) return;
  const height = silence * PX_PER_SECOND;
  const isStall = silence >= stall;
  const row = { kind: "gap", at: from, seconds: silence, cut: height > HIGHEST_GAP, stall: isStall };
  const place = put(row, Math.max(isStall ? ROW : 2, Math.min(HIGHEST_GAP, height)));
  if (isStall) marks.stalls.push(place);
}

/** A stall is a second at least, and eight times the usual gap. */
function stallLimit(groups) {
  const gaps = groups
    .slice(1)
    .map((group, index) => group.at - groups[index].at)
    .sort((a, b) => a - b);
  const usual = gaps.length ? gaps[gaps.length >> 1] : 0;
  return Math.max(STALL_FLOOR, 8 * usual);
}

function groupByRead(raw, emitted) {
  const reads = [];
  for (const chunk of raw) {
    const last = reads[reads.length - 1];
    if (last && last.at === chunk.at) last.raw.push(chunk);
    else reads.push({ at: chunk.at, raw: [chunk], emitted: [] });
  }
  const early = [];
  let read = -1;
  for (const chunk of emitted) {
    while (read + 1 < reads.length && reads[read + 1].at <= chunk.at) read++;
    (read < 0 ? early : reads[read].emitted).push(chunk);
  }
  const groups = early.map((chunk) => group(chunk.at, [], [chunk])).concat(reads.flatMap((one) => splitRead(one)));
  return groups;
}

/** What was written long after its read (a keep-alive, an ending) stands on its own. */
function splitRead({ at, raw, emitted }) {
  const near = emitted.filter((chunk) => chunk.at - at < SMALLEST_GAP);
  const late = emitted.filter((chunk) => chunk.at - at >= SMALLEST_GAP);
  return [group(at, raw, near), ...late.map((chunk) => group(chunk.at, [], [chunk]))];
}

function group(at, raw, emitted) {
  const rows = pair(raw, emitted).map(([one, other]) => ({ kind: "chunk", at, raw: one, emitted: other, repairs: [] }));
  return { at, end: Math.max(at, ...emitted.slice(-1).map((chunk) => chunk.at)), rows };
}

/** Give each repair its row: in the read after which it was made. Before the first read: rows of their own, in front. */
function attach(groups, raw, repairs) {
  const homes = new Map();
  for (const group of groups) for (const row of group.rows) if (row.raw) homes.set(row.raw, group);
  const early = [];
  for (const repair of repairs) {
    const group =
      homes.get(raw[Math.min(repair.raw, raw.length) - 1]) ??
      (raw.length ? undefined : groups.findLast(({ at }) => at <= repair.at));
    if (group) rowOf(group.rows, repair).repairs.push(repair);
    else early.push(repair);
  }
  if (early.length) groups.unshift(beforeTheStream(early));
}

/** Within one read only what a repair says tells which chunk it was: the value it put in, or the call it names. */
function rowOf(rows, repair) {
  if (rows.length === 1) return rows[0];
  const says = (row, text) => typeof row.emitted?.data === "string" && row.emitted.data.includes(text);
  const value = typeof repair.after === "string" && repair.after ? `:${JSON.stringify(repair.after)}` : null;
  const call = /tool_calls\[(\d+)\]/.exec(repair.where ?? "");
  return (
    (value ? rows.find((row) => says(row, value)) : undefined) ??
    (call ? rows.find((row) => says(row, `"tool_calls":[{"index":${call[1]},`)) : undefined) ??
    (/usage/.test(repair.where ?? "") ? rows.find((row) => says(row, '"usage":{')) : undefined) ??
    rows.findLast((row) => row.emitted) ??
    rows[rows.length - 1]
  );
}

/** What was held back until a later read stands beside the raw chunk that it came from, where no other stands between. */
function joinHeldBack(groups) {
  let waiting = []; // rows with a raw chunk only, since the last row with both
  for (const group of groups) {
    group.rows = group.rows.filter((row) => {
      if (row.raw && !row.emitted) waiting.push(row);
      if (!row.emitted) return true;
      const partner = row.raw
        ? undefined
        : waiting.find((one) => row.emitted.at - one.at < LONGEST_HOLD && sayTheSame(one.raw, row.emitted));
      waiting = partner ? waiting.slice(waiting.indexOf(partner) + 1) : [];
      if (!partner) return true;
      partner.emitted = row.emitted;
      partner.repairs.push(...row.repairs);
      return false;
    });
  }
}

/** What was repaired before the upstream was asked: a row for each rule. */
function beforeTheStream(repairs) {
  const byRule = new Map();
  for (const repair of repairs) {
    if (!byRule.has(repair.rule)) byRule.set(repair.rule, []);
    byRule.get(repair.rule).push(repair);
  }
  const rows = [...byRule.values()].map((made) => ({ kind: "chunk", at: made[0].at ?? 0, repairs: made }));
  return { at: rows[0].at, end: rows[rows.length - 1].at, rows };
}
