// A sweep on the page of its job: figures, leaderboard, all curves on one chart, and what was tried against what came of it.
import { html, stylesheet, useEffect, useMemo, useRef, useState } from "../../dom.js";
import { request } from "../../api.js";
import { axesOf, passing, rowsOf } from "../../comparison.js";
import { dollars, number } from "../../format.js";
import { modelHref } from "../../router.js";
import { words } from "../../strings-sweep.js";
import { Limits, Parallel } from "../compare/parallel.js";
import { Failed, useLoad, useWork } from "../load.js";
import { Board, FIRST_ROWS, MOST_ROWS } from "./board.js";
import { Curves } from "./curves.js";

const EVERY_MS = 2000; // trials report all the time
const NEWS = ["item", "described", "created", "started", "succeeded", "failed", "cancelled"];

await Promise.all(["css/curves.css", "css/compare.css"].map(stylesheet));

export function Sweep({ app, job }) {
  const [sort, setSort] = useState("best");
  const [limit, setLimit] = useState(FIRST_ROWS);
  const path = `../sweeps/${encodeURIComponent(job.id)}`;
  const { value, error, reload } = useLoad(`${sort}|${limit}`, (signal) => request("GET", path, { params: { sort, limit }, signal }));
  const curves = useLoad("curves", (signal) => request("GET", `${path}/curves`, { signal }));
  useNews(app.store, () => (reload(), curves.reload()));
  const before = useRef(null); // stays while another order is on its way
  if (value) before.current = value;
  const sweep = value ?? before.current;
  const [limits, setLimits] = useState({});
  const measured = useMemo(() => ranked(sweep), [sweep]);
  const axes = useMemo(() => axesOfTrials(measured, sweep?.metric), [measured]);
  if (!sweep) return error ? html`<${Failed} what=${words.failedToLoad} error=${error} onAgain=${reload} />` : html`<p class="panel notice muted" role="status">${words.loading}</p>`;
  const passes = passing(axes, limits, measured.length);
  const out = new Set(measured.filter((_, i) => !passes[i]).map((trial) => trial.number));
  const lines = measured.map((trial) => ({ id: trial.job_id, job_name: trial.job_name }));
  return html`${error && html`<${Failed} what=${words.failedToLoad} error=${error} onAgain=${reload} />`}
    <${Figures} sweep=${sweep} path=${path} onPublished=${reload} />
    <${Board} sweep=${sweep} path=${path} sort=${sort} onSort=${setSort} out=${out} onAll=${sweep.total > limit ? () => setLimit(MOST_ROWS) : null} />
    <section aria-labelledby="sweep-curves"><h2 id="sweep-curves" class="section-head">${words.curves}</h2>
      <${Curves} found=${curves.value} error=${curves.error} onAgain=${curves.reload} /></section>
    ${axes.length > 1 && html`<section aria-labelledby="sweep-parallel"><h2 id="sweep-parallel" class="section-head">${words.parallel}</h2>
      <${Parallel} jobs=${lines} axes=${axes} passes=${passes} limits=${limits} onLimits=${setLimits} />
      <${Limits} axes=${axes} passes=${passes} limits=${limits} onLimits=${setLimits} /></section>`}`;
}

/** Those that have a value, the best first: so they have the colours of their curves. */
function ranked(sweep) {
  const sign = sweep?.mode === "max" ? -1 : 1;
  return (sweep?.trials ?? []).filter(({ value }) => value !== null).sort((a, b) => sign * (a.value - b.value) || a.number - b.number);
}

/** The fields in which trials differ, and the metric as the last one. */
function axesOfTrials(trials, metric) {
  const told = rowsOf(trials.map((trial) => new Map(Object.entries(trial.parameters).map(([name, value]) => [name.replace(/^config\./, ""), value]))));
  return trials.length < 2 ? [] : axesOf([...told, { name: metric, values: trials.map(({ value }) => value), differs: true }]);
}

/** Call `act` after news of any job, at most so often; what came in between is one. */
function useNews(store, act) {
  const newest = useRef(act);
  newest.current = act;
  useEffect(() => {
    let timer = null;
    const soon = () => {
      timer ??= setTimeout(() => ((timer = null), newest.current()), EVERY_MS);
    };
    const taker = { take: (event) => NEWS.includes(event.kind) && soon(), fresh: soon };
    store.takers.add(taker);
    return () => {
      store.takers.delete(taker);
      clearTimeout(timer);
    };
  }, [store]);
}

function Figures({ sweep, path, onPublished }) {
  const { best, budget, counts, version } = sweep;
  const spent = budget.charged_usd + budget.reserved_usd;
  const states = Object.entries(counts).filter(([, count]) => count > 0).map(([state, count]) => `${count.toLocaleString()} ${words.counts[state]}`);
  return html`<section class="panel sweep-figures" aria-label=${words.label}>
    <dl>
      <div><dt>${words.figures.trials}</dt><dd class="num">${words.ofTrials(sweep.total, budget.trials)}</dd><dd class="muted">${states.join(", ")}</dd></div>
      <div><dt>${words.figures.best(sweep.metric)}</dt><dd class="num">${number(best?.value)}</dd><dd class="muted">${best && words.inTrial(best.number)}</dd></div>
      <div><dt>${words.figures.search}</dt><dd>${sweep.search}</dd><dd class="muted">${sweep.scheduler === "fifo" ? "" : sweep.scheduler}</dd></div>
      ${(budget.usd !== null || spent > 0) && html`<div><dt>${words.figures.spent}</dt>
        <dd class="num">${budget.usd === null ? dollars(spent) : words.ofMoney(dollars(spent), dollars(budget.usd))}</dd></div>`}
    </dl>
    ${sweep.ended_by && html`<p class="sweep-ended">${sweep.ended_by}</p>`}
    ${version
      ? html`<a class="button" href=${`${modelHref(version.model)}?v=${version.version}`}>${words.version(version.model, version.version)}</a>`
      : counts.completed > 0 && html`<${Publish} path=${path} onPublished=${onPublished} />`}
  </section>`;
}

function Publish({ path, onPublished }) {
  const { busy, error, run } = useWork();
  const publish = async () => (await run(() => request("POST", `${path}/publish`, { body: "{}" }))) && onPublished();
  return html`<span class="sweep-publish"><button type="button" class="button" title=${words.publishHelp} disabled=${busy} onClick=${publish}>${words.publish}</button>
    ${error && html`<span class="inline-error" role="alert">${error}</span>`}</span>`;
}
