// The queue: who waits for what, in its order; held, let go, and put into another order.
import { html, useEffect, useRef, useState } from "../../dom.js";
import { request } from "../../api.js";
import { MOVES } from "../../fold.js";
import { dateTime } from "../../format.js";
import { jobHref } from "../../router.js";
import { admin, queue as text } from "../../strings-admin.js";
import { hold } from "../../strings-hold.js";
import { Failed, useEvents, useLoad, useWork } from "../load.js";

const PATH = "../queue";
const KINDS = [...MOVES, "prioritized", "queue"];

export function Queue({ app }) {
  const { value, error, reload } = useLoad("queue", (signal) => request("GET", PATH, { signal }));
  const [answered, setAnswered] = useState(null);
  const work = useWork();
  useEvents(app.store, KINDS, reload);
  useEffect(() => setAnswered(null), [value]);
  const ask = (path, body) => work.run(async () => setAnswered(await request("POST", `${PATH}/${path}`, { body: JSON.stringify(body) })));
  const prioritize = (id, priority) =>
    work.run(async () => {
      await request("PATCH", `jobs/${encodeURIComponent(id)}`, { body: JSON.stringify({ priority }) });
      reload();
    });
  const state = answered ?? value;
  if (error && !state) return html`<${Failed} what=${admin.failedToLoad} error=${error} onAgain=${reload} />`;
  if (!state) return html`<p class="panel notice muted" role="status">${admin.loading}</p>`;
  const names = [...new Set(state.waiting.map(({ queue }) => queue))];
  return html`
    <${Hold} paused=${state.paused} busy=${work.busy} ask=${ask} />
    ${work.error && html`<p class="inline-error" role="alert">${work.error}</p>`}
    ${state.waiting.length === 0 && html`<section class="panel notice"><h2>${text.empty}</h2><p class="muted">${text.emptyText}</p></section>`}
    ${names.map(
      (name) => html`<${Line} key=${name} name=${name} jobs=${state.waiting.filter(({ queue }) => queue === name)} busy=${work.busy} onPriority=${prioritize}
        onMove=${(id, before) => ask("move", { job_id: id, before })} />`,
    )}
    ${state.waiting.length > 0 && html`<p class="hint">${text.order}</p>`}
  `;
}

function Hold({ paused, busy, ask }) {
  const box = useRef(null);
  const pause = async (event) => {
    event.preventDefault();
    await ask("pause", { reason: box.current.elements.why.value.trim() });
  };
  if (paused) {
    const since = dateTime(paused.at);
    return html`<section class="panel hold hold-on" role="status">
      <p>${paused.reason ? hold.pausedWhy(paused.by, since, paused.reason) : hold.paused(paused.by, since)}</p>
      <button type="button" class="button button-primary" disabled=${busy} onClick=${() => ask("resume", {})}>${text.resume}</button>
    </section>`;
  }
  return html`<form class="panel hold" ref=${box} onSubmit=${pause}>
    <p>${text.going}</p>
    <label class="hold-why"><span class="visually-hidden">${text.why}</span>
      <input class="field" name="why" maxlength="200" autocomplete="off" placeholder=${text.whyHint} /></label>
    <button type="submit" class="button" disabled=${busy}>${text.pause}</button>
  </form>`;
}

function Line({ name, jobs, busy, onMove, onPriority }) {
  const words = text.columns;
  return html`<div class="panel report">
    <div class="panel-head"><h2>${text.of[name] ?? text.ofOther(name)}</h2><span class="muted num">${jobs.length}</span></div>
    <div class="scroll" tabindex="0" role="region" aria-label=${text.of[name] ?? text.ofOther(name)}>
      <table class="rows rows-stack">
        <thead><tr><th scope="col">${words.place}</th><th scope="col">${words.job}</th><th scope="col">${words.user}</th>
          <th scope="col">${words.priority}</th><th scope="col">${words.reason}</th><th scope="col">${words.move}</th></tr></thead>
        <tbody>${jobs.map((job, at) => html`<tr key=${job.id}>
          <td class="num">${job.position ?? at + 1}</td>
          <td class="rows-wide"><a href=${jobHref(job.id)}>${job.job_name}</a></td>
          <td>${job.user}</td>
          <td><input class="field field-number num" type="number" min="-100" max="100" value=${job.priority} disabled=${busy}
            aria-label=${text.priorityOf(job.job_name)} onChange=${(event) => changed(event, job, onPriority)} /></td>
          <td class="rows-wide rows-line muted">${job.reason ?? text.notYet}</td>
          <td class="rows-line"><${Moves} jobs=${jobs} at=${at} busy=${busy} onMove=${onMove} /></td>
        </tr>`)}</tbody>
      </table>
    </div>
  </div>`;
}

function changed({ target }, job, onPriority) {
  const priority = Number(target.value);
  if (target.value === "" || !target.checkValidity() || !Number.isInteger(priority)) target.value = job.priority;
  else if (priority !== job.priority) onPriority(job.id, priority);
}

function Moves({ jobs, at, busy, onMove }) {
  const { id, job_name: name } = jobs[at];
  const isFirst = at === 0;
  const isLast = at === jobs.length - 1;
  const button = (label, isOff, before) => html`<button type="button" class="button button-small" disabled=${busy || isOff}
    aria-label=${text.move(label, name)} onClick=${() => onMove(id, before?.id ?? null)}>${label}</button>`;
  return html`<div class="row-actions">
    ${button(text.first, isFirst, jobs[0])}
    ${button(text.up, isFirst, jobs[at - 1])}
    ${button(text.down, isLast, jobs[at + 2])}
    ${button(text.last, isLast, null)}
  </div>`;
}
