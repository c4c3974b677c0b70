// The HTTP API as functions. Addresses are relative to the page, so that a prefix of a proxy holds.
// It keeps nothing; errors come as ApiError with the server's own sentence.
import { ahead } from "./first.js";
import { SseParser } from "./sse.js";
import { strings } from "./strings.js";

/** Called when the server wants to know who asks; the page sets it. */
export const door = { onSignedOut: () => {} };

const BASE = new URL("api/v1/training/", document.baseURI);

/** What the API refused: `status` (0: not reached), `code`, a sentence, the fields at fault, and how long to wait. */
export class ApiError extends Error {
  constructor(status, { code = "unknown", detail = "", errors = [], retryAfterS = null } = {}) {
    super(detail || strings.error.status(status));
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.errors = errors;
    this.retryAfterS = retryAfterS;
  }
}

export const endpoint = (path, params = {}) => {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(params)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== undefined && item !== null && item !== "") url.searchParams.append(name, String(item));
    }
  }
  return url;
};

/** One call; `body` is JSON text. Where `stays`, the caller decides what a 401 leads to. Throws ApiError. */
export async function request(method, path, { params, signal, body, headers, stays } = {}) {
  const type = body === undefined ? {} : { "Content-Type": "application/json" };
  const response = await answer(method, path, { params, stays, signal, body, headers: { Accept: "application/json", ...type, ...headers } });
  return response.status === 204 ? null : response.json();
}

// A wrong password is no reason to leave for the sign-in.
const SESSION = "../session";

async function answer(method, path, { params, stays, ...options }) {
  let response;
  try {
    const url = endpoint(path, params);
    response = (method === "GET" && (await ahead(url))) || (await fetch(url, { method, cache: "no-store", ...options }));
    options.signal?.throwIfAborted(); // what was asked for ahead knows no signal
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { code: "unreachable", detail: strings.error.unreachable });
  }
  if (response.status === 401 && path !== SESSION && !stays) door.onSignedOut();
  if (!response.ok) throw new ApiError(response.status, await problem(response));
  return response;
}

/** Chunks of a log, `{id, at, rank, attempt, lines}` each: the last `tail` lines, or all after event `after`. */
async function logs(id, params, signal) {
  const response = await answer("GET", of(id, "/logs"), { params, signal, headers: { Accept: "text/event-stream" } });
  const messages = new SseParser().push(await response.text());
  return messages.filter(({ event }) => event === "log").map(({ data }) => chunkOf(JSON.parse(data)));
}

const chunkOf = ({ event_id: id, timestamp: at, rank, attempt, lines }) => ({ id, at, rank, attempt, lines });

async function problem(response) {
  try {
    const body = await response.json();
    const detail = typeof body.detail === "string" ? body.detail : body.title;
    const retryAfterS = Number(response.headers.get("Retry-After")) || null;
    return { code: body.code, detail, errors: Array.isArray(body.errors) ? body.errors : [], retryAfterS };
  } catch {
    return {}; // not ours: a proxy's page; the status says enough
  }
}

/** Where an artifact is downloaded; its name may have slashes. */
export const artifactUrl = (id, name) =>
  endpoint(of(id, `/artifacts/${name.split("/").map(encodeURIComponent).join("/")}`)).pathname;

/** The whole log as text. */
export const logUrl = (id) => endpoint(of(id, "/logs")).pathname;

const of = (id, rest = "") => `jobs/${encodeURIComponent(id)}${rest}`;

/** The finished images of a set in one file. */
export const zipUrl = (id) => endpoint(setOf(id, "/images.zip")).pathname;

/** One finished image of a set. */
export const imageUrl = (id, item) => endpoint(setOf(id, `/images/${item}`)).pathname;

const setOf = (id, rest = "") => `../image-sets/${encodeURIComponent(id)}${rest}`;

export const api = {
  jobs: (params, signal) => request("GET", "jobs", { params, signal }),
  job: (id, signal) => request("GET", of(id), { signal }),
  imageSet: (id, signal) => request("GET", setOf(id), { signal }),
  sync: (id) => request("POST", of(id, "/sync")),
  metrics: (id, params, signal) => request("GET", of(id, "/metrics"), { params, signal }),
  logs,
  cancel: (id) => request("POST", of(id, "/cancel")),
  ask: (id, what) => request("POST", of(id, `/${what}`)),
  retry: (id) => request("POST", of(id, "/retry")),
  remove: (id) => request("DELETE", of(id)),
};
