// The first to run. It asks for all that the view of this address needs, modules and answers alike, while the modules
// that will want them are on their way: a chain of imports, each learned of from the one before, becomes one step.
import { parseRoute } from "./router.js";

// The graph of imports of the two views that most visits begin with, without what index.html lists for every view.
const MODULES = {
  __proto__: null,
  jobs: [
    "views/jobs.js", "joblist.js", "sparks.js", "series.js", "format.js", "strings-jobs.js",
    "components/copy.js", "components/progress.js", "components/sparkline.js", "components/status.js",
    "components/list/columns.js", "components/list/filters.js", "components/list/row.js", "components/list/window.js",
  ],
  job: [
    "views/job.js", "detail.js", "series.js", "format.js", "components/chart.js", "components/charts.js", "components/figures.js",
    "components/progress.js", "components/seen.js", "components/status.js",
  ],
};
// What these views ask for first, in the words in which they ask.
const ANSWERS = {
  __proto__: null,
  jobs: ({ params }) => (params.size ? [] : ["jobs?parent=none&sort=-created_at&limit=30"]),
  job: ({ id }) => ["", "/metrics?level=epoch&most=6000"].map((rest) => `jobs/${encodeURIComponent(id)}${rest}`),
};
const STYLES = { __proto__: null, jobs: ["css/list.css"] }; // as app.js has them
const HOLDS_MS = 5000; // then what was read ahead is old

const held = new Map(); // address -> the answer, or null where there was none

/** The answer that was asked for ahead, once; undefined where there is none. */
export function ahead(url) {
  const answer = held.get(url.href);
  held.delete(url.href);
  return answer;
}

const link = (rel, href, more) => document.head.append(Object.assign(document.createElement("link"), { rel, href, ...more }));

const route = parseRoute(location.hash);
for (const path of ["../session", ...(ANSWERS[route.view]?.(route) ?? [])]) {
  const url = new URL(path, new URL("api/v1/training/", document.baseURI));
  held.set(url.href, fetch(url, { cache: "no-store", headers: { Accept: "application/json" } }).catch(() => null));
}
for (const href of STYLES[route.view] ?? []) link("preload", href, { as: "style" });
for (const href of MODULES[route.view] ?? []) link("modulepreload", href);
setTimeout(() => held.clear(), HOLDS_MS);
