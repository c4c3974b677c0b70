// Jobs side by side: `#/compare?ids=a,b`, `?parent=<id>` for all parts of a job, `?tag=key=value`.
import { html, useEffect, useMemo, useSource, useState } from "../dom.js";
import { api } from "../api.js";
import { axesOf, direction, flatten, passing, rowsOf } from "../comparison.js";
import { findJobs } from "../compared.js";
import { go, jobHref, listHref } from "../router.js";
import { strings } from "../strings.js";
import { words } from "../strings-compare.js";
import { Failed, useLoad } from "../components/load.js";
import { Metrics, Settings } from "../components/compare/tables.js";
import { Limits, Parallel } from "../components/compare/parallel.js";
import { Overlay } from "../components/compare/overlay.js";

const MOST = 50;
const AT_ONCE = 6; // requests
const MOST_AXES = 12; // settings first, then metrics that have a good end

export function CompareView({ app, params }) {
  useEffect(() => {
    document.title = words.title;
  }, []);
  const wanted = ["ids", "parent", "tag"].map((name) => params.get(name) ?? "");
  const isEmpty = wanted.every((value) => !value);
  return html`<div class="list-head"><h1>${words.heading}</h1></div>
    ${isEmpty ? html`<${Pick} />` : html`<${Comparison} key=${wanted.join()} app=${app} ids=${wanted[0]} parent=${wanted[1]} tag=${wanted[2]} />`}`;
}

function Pick() {
  const { value: jobs, error, reload } = useLoad("pick", (signal) => findJobs("", signal));
  const [chosen, setChosen] = useState([]);
  if (error) return html`<${Failed} what=${words.failedToLoad} error=${error} onAgain=${reload} />`;
  const toggle = (id) => setChosen(chosen.includes(id) ? chosen.filter((other) => other !== id) : [...chosen, id]);
  return html`<section class="panel compare-pick" aria-label=${words.pickLabel}>
    <p class="muted">${words.pick}</p>
    <ul>${(jobs ?? []).map((job) => html`<li key=${job.id}><label class="check"><input type="checkbox" checked=${chosen.includes(job.id)} onChange=${() => toggle(job.id)} />${job.job_name}</label></li>`)}</ul>
    <button type="button" class="button button-primary" disabled=${chosen.length < 2} onClick=${() => go(`#/compare?ids=${chosen.join()}`)}>${words.go(chosen.length)}</button>
  </section>`;
}

/** The jobs with all that is known of them; `missing` are those that are gone. */
async function loadJobs(store, { ids, parent, tag }, signal) {
  const listed = ids ? null : await api.jobs({ parent, tag, limit: MOST, sort: parent ? "created_at" : "-created_at" }, signal);
  const wanted = listed ? listed.jobs.map((job) => job.id) : [...new Set(ids.split(",").filter(Boolean))].slice(0, MOST);
  if (parent) await api.job(parent, signal).then(({ job, last_event_id: seen }) => store.put(job, seen), () => {}); // for its name
  const found = [];
  for (let i = 0; i < wanted.length; i += AT_ONCE) {
    const answers = await Promise.all(wanted.slice(i, i + AT_ONCE).map((id) => api.job(id, signal).catch((error) => {
      if (error.status === 404 || error.status === 422) return null;
      throw error;
    })));
    for (const answer of answers) {
      if (answer === null) continue;
      store.put(answer.job, answer.last_event_id);
      store.onAnswer(answer.last_event_id);
      found.push(answer.job.id);
    }
  }
  return { ids: found, missing: wanted.length - found.length, total: listed?.total ?? wanted.length };
}

function Comparison({ app, ids, parent, tag }) {
  const { store } = app;
  const { value, error, reload } = useLoad(`${ids}|${parent}|${tag}`, (signal) => loadJobs(store, { ids, parent, tag }, signal));
  useSource(store); // final values grow while jobs run
  const [limits, setLimits] = useState({});
  const jobs = (value?.ids ?? []).map((id) => store.job(id)).filter((job) => job?.config);
  const stamp = JSON.stringify(jobs.map((job) => [job.id, job.metrics]));
  const [settings, metrics, axes] = useMemo(() => {
    const told = rowsOf(jobs.map((job) => flatten(job.config)));
    const came = rowsOf(jobs.map((job) => new Map(Object.entries(job.metrics ?? {})))).sort((a, b) => (a.name < b.name ? -1 : 1));
    const axes = axesOf([...told, ...came.filter(({ name }) => direction(name) !== 0)]);
    const last = axes.filter(({ name }) => came.some((row) => row.name === name));
    return [told, came, [...axes.filter((axis) => !last.includes(axis)).slice(0, MOST_AXES - Math.min(last.length, 4)), ...last.slice(0, 4)]];
  }, [stamp]);
  const passes = passing(axes, limits, jobs.length);
  const stable = useMemo(() => jobs, [jobs.map(({ id }) => id).join()]);
  if (error) return html`<${Failed} what=${words.failedToLoad} error=${error} onAgain=${reload} />`;
  if (!value) return html`<p class="panel notice muted" role="status">${words.loading}</p>`;
  if (jobs.length === 0) return html`<section class="panel notice"><h2>${words.none}</h2><a class="button" href=${listHref({})}>${strings.job.back}</a></section>`;
  return html`<p class="compare-what">
      ${parent ? html`${words.partsOf} <a href=${jobHref(parent)}>${store.job(parent)?.job_name ?? parent.slice(-8)}</a>` : tag ? words.tagged(tag) : words.of(jobs.length)}
      ${value.total > jobs.length + value.missing && html`<span class="muted">${words.most(jobs.length, value.total)}</span>`}
      ${value.missing > 0 && html`<span class="muted">${words.missing(value.missing)}</span>`}</p>
    <${Metrics} jobs=${jobs} rows=${metrics} passes=${passes} />
    <section aria-labelledby="compare-parallel"><h2 id="compare-parallel" class="section-head">${words.parallel}</h2>
      <${Parallel} jobs=${jobs} axes=${axes} passes=${passes} limits=${limits} onLimits=${setLimits} />
      ${axes.length > 1 && html`<p class="chart-hint">${words.parallelHint}</p><${Limits} axes=${axes} passes=${passes} limits=${limits} onLimits=${setLimits} />`}</section>
    <section aria-labelledby="compare-curves"><h2 id="compare-curves" class="section-head">${words.curves}</h2><${Overlay} store=${store} jobs=${stable} passes=${passes} /></section>
    <${Settings} jobs=${jobs} rows=${settings} passes=${passes} />`;
}
