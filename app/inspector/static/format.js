// Numbers, sizes and times as people read them.

import { language, t } from "./language.js";

export const NONE = "–";

export function number(value, digits = 0) {
  if (typeof value !== "number" || !Number.isFinite(value)) return NONE;
  return value.toLocaleString(language(), { maximumFractionDigits: digits });
}

/** 1234 -> 1.2k: for narrow columns. */
export function short(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return NONE;
  if (value < 10_000) return number(value);
  if (value >= 1e12) return value.toExponential(1); // nonsense, but it must fit
  return value < 1_000_000 ? `${number(value / 1000, value < 100_000 ? 1 : 0)}k` : `${number(value / 1_000_000, 1)}M`;
}

export function bytes(value) {
  if (typeof value !== "number") return NONE;
  if (value < 1024) return `${value} B`;
  return value < 1_048_576 ? `${number(value / 1024, 1)} KB` : `${number(value / 1_048_576, 1)} MB`;
}

/** Seconds: 0.0042 -> 4.2 ms, 0.81 -> 810 ms, 2.413 -> 2.41 s, 83 -> 1:23 min, 5400 -> 1:30 h. */
export function seconds(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return NONE;
  if (value === 0) return "0";
  if (value < 0.01) return `${number(value * 1000, 1)} ms`;
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${value.toFixed(value < 10 ? 2 : 1)} s`;
  const whole = Math.round(value < 3600 ? value : value / 60);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")} ${value < 3600 ? "min" : "h"}`;
}

/** An offset in a timeline, always in the same shape: +1.234. */
export function offset(value) {
  return `+${value.toFixed(3)}`;
}

export function clock(unix) {
  const date = new Date(unix * 1000);
  const two = (part) => String(part).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** The time of day; for another day than today, with its date. */
export function moment(unix) {
  const date = new Date(unix * 1000);
  if (date.toDateString() === new Date().toDateString()) return clock(unix);
  return `${date.toLocaleDateString(language(), { month: "short", day: "numeric" })} ${clock(unix)}`;
}

export function fullTime(unix) {
  return new Date(unix * 1000).toLocaleString(language(), { dateStyle: "medium", timeStyle: "medium" });
}

export function cost(value) {
  if (typeof value !== "number") return NONE;
  return `$${value < 0.01 ? value.toPrecision(2) : value.toFixed(value < 1 ? 4 : 2)}`;
}

/** "a.b=2,c.d=1;warn" -> [{rule, count, warn}]. */
export function readRepairs(text) {
  if (typeof text !== "string" || !text) return [];
  return text.split(",").map((part) => {
    const [, rule, count, mode] = /^(.*?)=(\d+)(;warn)?$/.exec(part) ?? [null, part, "1", undefined];
    return { rule, count: Number(count), warn: Boolean(mode) };
  });
}

/** How many repairs were made (not only noted). */
export function countRepairs(text) {
  return readRepairs(text).reduce((sum, { count, warn }) => sum + (warn ? 0 : count), 0);
}

/** Whether a row is still being answered. */
export function isRunning(row) {
  return row.duration === null || row.duration === undefined;
}

/** How long a request took, or has been running when it was stored last. */
export function elapsed(row) {
  return isRunning(row) ? (row.updated ?? row.started) - row.started : row.duration;
}

/** running | ok | error: what the colour of a row says. */
export function health(row) {
  if (isRunning(row)) return "running";
  return row.error || (row.status ?? 0) >= 400 ? "error" : "ok";
}

export function statusText(row) {
  return isRunning(row) ? t("list.running") : String(row.status ?? NONE);
}
