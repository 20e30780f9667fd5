// What one chunk says, in few words: its delta instead of its envelope; knows OpenAI's chunks, draws nothing.

import { compact, parsed } from "./payload.js";

const ENVELOPE = new Set([
  "id",
  "object",
  "created",
  "model",
  "system_fingerprint",
  "service_tier",
  "choices",
  "usage",
  "provider",
]);

/** The exact text of a chunk. */
export function chunkText(chunk) {
  if (!chunk) return "";
  return typeof chunk.data === "string" ? chunk.data : compact(chunk.data, Infinity);
}

/** The essence of a chunk in one line of JSON-like text; the exact text where it is no chunk. */
export function essence(chunk) {
  const text = chunkText(chunk);
  if (text.length > 200_000) return text.slice(0, 400);
  const value = typeof chunk.data === "string" ? parsed(chunk.data) : chunk.data;
  if (value === null || typeof value !== "object" || Array.isArray(value) || !Array.isArray(value.choices)) return text;
  const parts = value.choices.map(choice).filter(Boolean);
  for (const key of Object.keys(value)) if (!ENVELOPE.has(key)) parts.push(`${key} ${compact(value[key], 200)}`);
  if (value.usage) parts.push(`usage ${usage(value.usage)}`);
  return parts.join("  ") || compact(value.choices, 200);
}

function choice(value) {
  if (value === null || typeof value !== "object") return compact(value);
  const parts = value.index ? [`choice ${value.index}`] : [];
  const said = value.delta ?? value.message;
  if (said !== null && typeof said === "object") parts.push(...delta(said));
  else if (typeof value.text === "string") parts.push(quoted(value.text));
  const finish = value.finish_reason ?? value.finishReason;
  if (finish !== null && finish !== undefined) parts.push(`finish ${compact(finish, 60)}`);
  return parts.join("  ");
}

/** What is said first, how it is wrapped last. */
function delta(said) {
  const parts = [];
  const last = [];
  for (const [key, value] of Object.entries(said)) {
    if (key === "content" && typeof value === "string")
      parts.unshift(value || !said.tool_calls ? quoted(value) : 'content ""');
    else if (key === "tool_calls" && Array.isArray(value)) parts.push(...value.map(call));
    else if (typeof value === "string" && key !== "role") parts.push(`${key} ${quoted(value)}`);
    else last.push(`${key} ${typeof value === "string" ? value || '""' : compact(value, 200)}`);
  }
  return [...parts, ...last];
}

/** A call, or a piece of one: what is not there is told, for that is what goes wrong. */
function call(value) {
  if (value === null || typeof value !== "object") return compact(value);
  const place = value.index === undefined ? "no index" : `${compact(value.index)}`;
  const id = value.id === undefined ? "" : ` id ${compact(value.id, 60)}`;
  const name = value.function?.name === undefined ? "" : ` ${value.function.name}`;
  const given = value.function?.arguments;
  const rest = Object.keys(value)
    .filter((key) => !["index", "id", "type", "function"].includes(key))
    .map((key) => ` ${key}`);
  return `call[${place}]${id}${name} ${typeof given === "string" ? given : compact(given ?? null)}${rest.join("")}`;
}

const quoted = (text) => `“${text}”`;

function usage(value) {
  if (typeof value !== "object") return compact(value, 60);
  return `${value.prompt_tokens ?? "?"} + ${value.completion_tokens ?? "?"}`;
}
