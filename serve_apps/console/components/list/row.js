// One row of the list.
import { html, memo, useEffect, useNow, useRef, useSource } from "../../dom.js";
import { age, dateTime, dollars, duration, number, since } from "../../format.js";
import { isFinal, isWaiting } from "../../fold.js";
import { jobHref, listHref } from "../../router.js";
import { strings } from "../../strings.js";
import { words } from "../../strings-jobs.js";
import { ProgressLine } from "../progress.js";
import { Sparkline } from "../sparkline.js";
import { Status } from "../status.js";

const text = strings.jobs;

/** @param {{job: object, at: number, of: number, depth: number, columns: string[], selected: boolean, parts: number,
 *   unfolded: number | null, sparks: object, onSelect: Function, onToggle: Function}} props `unfolded`: how many of the
 *  parts are shown, null where they are folded. */
export const Row = memo(function Row({ job, at, of, depth, columns, selected, parts, unfolded, sparks, onSelect, onToggle }) {
  return html`<li class=${`job-row${depth ? " job-row-part" : ""}${selected ? " job-row-selected" : ""}`} data-id=${job.id}
    aria-setsize=${of} aria-posinset=${at + 1}>
    ${columns.map((name) => html`<div class=${`job-cell-${name}`} key=${name}>${CELLS[name]({ job, selected, parts, unfolded, sparks, onSelect, onToggle })}</div>`)}
  </li>`;
});

const CELLS = {
  select: ({ job, selected, onSelect }) => html`<input type="checkbox" class="job-select" checked=${selected}
    aria-label=${words.select(job.job_name)} onClick=${(event) => onSelect(job.id, event.shiftKey)} />`,
  status: ({ job }) => html`<${Status} job=${job} />`,
  name: ({ job, parts, unfolded, onToggle }) => html`
    <a class="job-name" href=${jobHref(job.id)} title=${job.job_name}>${job.job_name}</a>
    <span class="job-sub">
      ${parts > 0 && html`<${Parts} job=${job} parts=${parts} unfolded=${unfolded} onToggle=${onToggle} />`}
      ${what(job)}<span>${job.id.slice(-8)}</span></span>`,
  backend: ({ job }) => html`<span class="job-small">${strings.backends[job.backend] ?? job.backend}</span>`,
  progress: Progress,
  loss: ({ job, sparks }) => html`<${Loss} job=${job} sparks=${sparks} />`,
  cost: Cost,
  owner: ({ job }) => html`<a class="job-small job-link" href=${listHref({ user: job.user })} title=${job.user}>${job.user}</a>`,
  age: ({ job }) => html`<${Age} job=${job} />`,
};

function Parts({ job, parts, unfolded, onToggle }) {
  const isOpen = unfolded !== null;
  return html`<button type="button" class="job-parts" aria-expanded=${isOpen ? "true" : "false"} onClick=${() => onToggle(job.id)}
      aria-label=${isOpen ? words.hideParts(job.job_name) : words.showParts(job.job_name, parts)}>${isOpen ? "▾" : "▸"} ${words.parts(parts)}</button>
    ${isOpen && unfolded < parts && html`<a class="job-link" href=${listHref({ parent: job.id })}>${words.allParts(unfolded, parts)}</a>`}
    ${isOpen && html`<a class="job-link" href=${`#/compare?parent=${job.id}`}>${words.compareParts}</a>`}`;
}

const what = (job) => job.model_architecture ?? strings.kinds[job.kind] ?? job.kind;

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

function Cost({ job }) {
  const spent = dollars(job.cost_usd);
  const guess = dollars(job.cost_estimate_usd);
  if (spent) return html`<span class="job-small num">${spent}</span>`;
  return guess && html`<span class="job-small num muted" title=${words.estimateHelp}>${words.estimate(guess)}</span>`;
}

function Age({ job }) {
  const now = useNow(1000);
  const took = isFinal(job) && job.started_at ? Date.parse(job.completed_at) - Date.parse(job.started_at) : Number.NaN;
  return html`<time datetime=${job.created_at} title=${text.created(dateTime(job.created_at))}>
      ${text.ago(age(since(job.created_at, now)))}</time>
    ${!Number.isNaN(took) && html`<span class="job-took">${text.took(duration(took))}</span>`}`;
}
