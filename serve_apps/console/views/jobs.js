// The list of jobs: filter, search, live rows, pages by cursor.
import { html, memo, useEffect, useMemo, useNow, useRef, useSource, useState } from "../dom.js";
import { age, dateTime, duration, number, since } from "../format.js";
import { isFinal, isWaiting } from "../fold.js";
import { JobList, STATUSES } from "../joblist.js";
import { go, jobHref, listHref } from "../router.js";
import { Sparks } from "../sparks.js";
import { strings } from "../strings.js";
import { CopyButton } from "../components/copy.js";
import { ProgressLine } from "../components/progress.js";
import { Sparkline } from "../components/sparkline.js";
import { Status } from "../components/status.js";

const text = strings.jobs;
const TYPING_MS = 250;

export function JobsView({ app, params }) {
  const filter = params.get("status") in STATUSES ? params.get("status") : "all";
  const name = params.get("name") ?? "";
  app.sparks ??= new Sparks(app.store);
  const list = useMemo(() => new JobList(app.store, { filter, name }), [app, filter, name]);
  useEffect(() => list.open(), [list]);
  useSource(list);
  useEffect(() => {
    document.title = strings.title.jobs;
  }, []);
  return html`
    <div class="list-head">
      <h1>${text.heading}</h1>
      <${Filter} filter=${filter} name=${name} />
      <${Search} filter=${filter} name=${name} />
    </div>
    ${list.error && html`<p class="inline-error" role="alert">${text.failedToLoad}: ${list.error.message}
      <button type="button" class="button button-small" onClick=${() => list.refresh()}>${strings.actions.tryAgain}</button></p>`}
    <${Body} app=${app} list=${list} isFiltered=${filter !== "all" || name !== ""} />
  `;
}

function Filter({ filter, name }) {
  return html`<div class="segments" role="group" aria-label=${text.filter}>
    ${Object.keys(STATUSES).map(
      (key) => html`<button type="button" class="segment" key=${key} aria-pressed=${key === filter ? "true" : "false"}
        onClick=${() => go(listHref({ status: key === "all" ? "" : key, name }))}>${text.filters[key]}</button>`,
    )}
  </div>`;
}

function Search({ filter, name }) {
  const [typed, setTyped] = useState(name);
  const timer = useRef(null);
  useEffect(() => setTyped(name), [name]); // the back button
  useEffect(() => () => clearTimeout(timer.current), []);
  const search = (event) => {
    const value = event.target.value;
    setTyped(value);
    clearTimeout(timer.current);
    const href = listHref({ status: filter === "all" ? "" : filter, name: value.trim() });
    timer.current = setTimeout(() => go(href, { replace: true }), TYPING_MS);
  };
  return html`<search class="search">
    <input class="field" type="search" value=${typed} onInput=${search} placeholder=${text.search} aria-label=${text.search}
      autocomplete="off" spellcheck=${false} maxlength="255" />
  </search>`;
}

function Body({ app, list, isFiltered }) {
  if (!list.loaded) return list.error ? null : html`<p class="panel notice muted" role="status">${text.loading}</p>`;
  const rows = list.rows();
  if (rows.length === 0) return isFiltered ? html`<${NoMatch} />` : html`<${Empty} />`;
  return html`<section class="panel jobs" aria-label=${text.list}>
    <div class="jobs-columns" aria-hidden="true">
      <span>${text.columns.status}</span><span>${text.columns.name}</span><span>${text.columns.progress}</span>
      <span>${text.columns.loss}</span><span class="job-age">${text.columns.age}</span>
    </div>
    <ul>${rows.map((job) => html`<${Row} key=${job.id} job=${job} sparks=${app.sparks} />`)}</ul>
    <div class="list-foot">
      <span class="muted num" role="status">${text.count(rows.length, Math.max(list.total, rows.length))}</span>
      ${list.nextCursor !== null &&
      html`<button type="button" class="button" disabled=${list.loadingMore} onClick=${() => list.more()}>${text.more}</button>`}
    </div>
  </section>`;
}

const Row = memo(function Row({ job, sparks }) {
  return html`<li class="job-row">
    <div class="job-cell-status"><${Status} job=${job} /></div>
    <div class="job-cell-name">
      <a class="job-name" href=${jobHref(job.id)} title=${job.job_name}>${job.job_name}</a>
      <span class="job-sub">${what(job)}<span>${job.id.slice(-8)}</span></span>
    </div>
    <div class="job-cell-progress"><${Progress} job=${job} /></div>
    <div class="job-cell-loss"><${Loss} job=${job} sparks=${sparks} /></div>
    <div class="job-age"><${Age} job=${job} /></div>
  </li>`;
});

/** What runs and, where it is not this cluster, who runs it. */
function what(job) {
  const kind = job.model_architecture ?? strings.kinds[job.kind] ?? job.kind;
  return job.provider ? `${kind} · ${strings.backends[job.provider] ?? job.provider}` : kind;
}

function Progress({ job }) {
  if (job.status === "failed") {
    return html`<p class="job-reason job-failure">${job.error_message ?? strings.failure[job.failure] ?? ""}</p>`;
  }
  if (isWaiting(job)) {
    const place = job.queue_position ? text.place(job.queue_position) : "";
    return html`<p class="job-reason">${[place, job.reason].filter(Boolean).join(" · ") || strings.statusHelp[job.status]}</p>`;
  }
  return html`<${ProgressLine} job=${job} />`;
}

function Loss({ job, sparks }) {
  const box = useRef(null);
  useEffect(() => sparks.watch(job.id, box.current), [job.id, sparks]);
  const spark = useSource(sparks.of(job.id));
  if (job.train_loss === null && job.val_loss === null) return html`<div ref=${box}></div>`;
  return html`<div class="job-loss" ref=${box}>
    <${Sparkline} curves=${spark.curves} />
    <dl>
      <dt>${text.lossTrain}</dt><dd>${number(job.train_loss, 3)}</dd>
      ${(job.val_loss !== null || !job.provider) && html`<dt>${text.lossVal}</dt><dd>${number(job.val_loss, 3)}</dd>`}
    </dl>
  </div>`;
}

function Age({ job }) {
  const now = useNow(1000);
  const took = isFinal(job) && job.started_at ? Date.parse(job.completed_at) - Date.parse(job.started_at) : Number.NaN;
  return html`<time datetime=${job.created_at} title=${text.created(dateTime(job.created_at))}>
      ${text.ago(age(since(job.created_at, now)))}</time>
    ${!Number.isNaN(took) && html`<span class="job-took">${text.took(duration(took))}</span>`}`;
}

function Empty() {
  // As it stands: the platform's own dataset, a model small enough for a CPU, no weights to fetch.
  const config = { model_architecture: "convnext_atto", pretrained: false, epochs: 5, warmup_epochs: 1 };
  const body = { job_name: "My first run", config };
  const url = new URL("api/v1/training/jobs", document.baseURI);
  const command = `curl -X POST ${url} \\\n  -H "Content-Type: application/json" \\\n  -d '${JSON.stringify(body)}'`;
  return html`<section class="panel notice">
    <h2>${text.none}</h2>
    <p class="muted">${text.noneText}</p>
    <div class="command"><pre><code>${command}</code></pre><${CopyButton} text=${command} /></div>
  </section>`;
}

function NoMatch() {
  return html`<section class="panel notice">
    <h2>${text.noMatch}</h2>
    <p class="muted">${text.noMatchText}</p>
    <a class="button" href=${listHref({})}>${text.clear}</a>
  </section>`;
}
