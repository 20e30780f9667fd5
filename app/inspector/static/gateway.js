// Asks the gateway's own /v1 routes as any client does. A key, where one is wanted, is kept in memory only.

import { parsed } from "./payload.js";

const ROOT = location.pathname.replace(/\/inspector\/*$/, "");
let key = "";

export function setKey(value) {
  key = value.trim();
}

export function hasKey() {
  return key !== "";
}

/** The gateway refused; `status` and its error message. */
export class Refused extends Error {
  constructor(status, message, id) {
    super(message);
    this.status = status;
    this.requestId = id;
  }
}

async function send(path, options = {}) {
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  const answer = await fetch(`${ROOT}${path}`, { ...options, headers, cache: "no-store" });
  if (answer.ok) return answer;
  const text = await answer.text();
  throw new Refused(
    answer.status,
    parsed(text)?.error?.message ?? text.slice(0, 500),
    answer.headers.get("x-request-id"),
  );
}

/** The ids of all models. */
export async function listModels() {
  const { data } = await (await send("/v1/models")).json();
  return data.map(({ id }) => id);
}

/** Send a chat request; returns the Response. */
export function chat(body, signal) {
  return send("/v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}
