// Addresses of the page: `#/` is the list, `#/jobs/<id>` a job, `#/models/<name>` a model, `#/<view>` every other view. Filters of the list stand in the
// address too, so that a reload, the back button and a shared link show the same.
// The hash is used, not the path, so that the page works under any prefix of a proxy.

/** `#/jobs/abc?x=y` -> `{view, id, params}`. */
export function parseRoute(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const params = new URLSearchParams(query);
  const parts = path.split("/").filter(Boolean);
  if (parts.length === 0) return { view: "jobs", params };
  const one = { __proto__: null, jobs: "job", models: "model" }; // of these there is a view for each
  if (parts.length === 1 && !Object.values(one).includes(parts[0])) return { view: parts[0], params };
  if (parts.length === 2 && parts[0] in one) {
    try {
      return { view: one[parts[0]], id: decodeURIComponent(parts[1]), params };
    } catch {
      return { view: "unknown", params }; // a lone % in the address
    }
  }
  return { view: "unknown", params };
}

export const jobHref = (id) => `#/jobs/${encodeURIComponent(id)}`;

export const modelHref = (name) => `#/models/${encodeURIComponent(name)}`;

/** To the sign-in, and from there back to `hash`. */
export const signInHref = (hash) =>
  hash.length > 2 && !hash.startsWith("#/sign-in") ? `#/sign-in?back=${encodeURIComponent(hash)}` : "#/sign-in";

/** The address of the list with these filters; empty ones are left out. */
export function listHref(filters) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(filters)) if (value) params.set(name, value);
  const query = params.toString();
  return query ? `#/?${query}` : "#/";
}

/** Go somewhere; `replace` leaves no step for the back button (typing in a search field). */
export function go(href, { replace = false } = {}) {
  if (replace) {
    history.replaceState(null, "", href);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = href;
  }
}
