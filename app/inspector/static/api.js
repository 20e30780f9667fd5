// Speaks to the gateway's inspector API; knows addresses and errors, nothing of what is shown.

export const BASE = `${location.pathname.replace(/\/+$/, "")}/api`;

/** The API refused or could not be reached; `status` is 0 for the latter. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const lockListeners = new Set();

/** Call `listener` when the API wants a token. */
export function onLocked(listener) {
  lockListeners.add(listener);
}

function address(path, params = {}) {
  const query = new URLSearchParams(
    Object.entries(params).filter(([, value]) => value !== "" && value !== undefined && value !== null),
  );
  return `${BASE}/${path}${query.size ? `?${query}` : ""}`;
}

async function ask(path, params, signal) {
  let answer;
  try {
    answer = await fetch(address(path, params), { signal, credentials: "same-origin", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, String(error.message ?? error));
  }
  if (answer.ok) return answer;
  if (answer.status === 401 || answer.status === 403) for (const listener of lockListeners) listener();
  throw new ApiError(answer.status, await reason(answer));
}

async function reason(answer) {
  const text = await answer.text();
  try {
    return JSON.parse(text).error.message;
  } catch {
    return text.slice(0, 300) || `HTTP ${answer.status}`;
  }
}

export async function getJson(path, params, signal) {
  return (await ask(path, params, signal)).json();
}

const trace = (id, rest = "") => `traces/${encodeURIComponent(id)}${rest}`;

export const getTraces = (filters, before, limit, signal) => getJson("traces", { ...filters, before, limit }, signal);
export const getTrace = (id, signal) => getJson(trace(id), {}, signal);
export const getChunks = (id, signal) => getJson(trace(id, "/chunks"), {}, signal);
export const getSeries = (minutes, bucket, signal) => getJson("series", { minutes, bucket }, signal);
export const getSessions = (signal) => getJson("sessions", {}, signal);
export const getFilters = (signal) => getJson("filters", {}, signal);
export const getCurl = async (id) => (await ask(trace(id, "/curl"))).text();
export const captureAddress = (id) => address(trace(id, "/capture"));

/** The value of one part, or undefined where it was not kept. */
export async function getPart(id, part, signal) {
  try {
    return await getJson(trace(id, `/parts/${part}`), {}, signal);
  } catch (error) {
    if (error.status === 404) return undefined;
    throw error;
  }
}
