// What jobs were told and what came of it, side by side.
import { html } from "../../dom.js";
import { number } from "../../format.js";
import { bestOf } from "../../comparison.js";
import { jobHref } from "../../router.js";
import { words } from "../../strings-compare.js";
import { colorOf } from "../curvetools.js";
import { Status } from "../status.js";

export const shown = (value) => {
  if (value === null || value === undefined || value === "") return words.unset;
  if (typeof value === "number") return number(value);
  return typeof value === "string" ? value : JSON.stringify(value);
};

function Heads({ jobs, passes, first }) {
  return html`<thead><tr><th scope="col">${first}</th>
    ${jobs.map((job, i) => html`<th scope="col" key=${job.id} class=${passes[i] ? "" : "compare-out"}>
      <span class="swatch" style=${{ background: `var(${colorOf(i)})` }} aria-hidden="true"></span><a href=${jobHref(job.id)}>${job.job_name}</a></th>`)}</tr></thead>`;
}

export function Metrics({ jobs, rows, passes }) {
  return html`<section aria-labelledby="compare-metrics"><h2 id="compare-metrics" class="section-head">${words.metrics}</h2>
    <div class="panel scroll" tabindex="0" role="region" aria-labelledby="compare-metrics">
    <table class="table compare-table"><caption class="visually-hidden">${words.metricsCaption}</caption>
      <${Heads} jobs=${jobs} passes=${passes} first=${words.metric} />
      <tbody><tr><th scope="row">${words.status}</th>${jobs.map((job) => html`<td key=${job.id}><${Status} job=${job} /></td>`)}</tr>
      ${rows.map(({ name, values }) => {
        const best = bestOf(name, values);
        return html`<tr key=${name}><th scope="row">${name}</th>${values.map((value, i) => html`<td key=${jobs[i].id} class=${best.includes(i) ? "compare-best" : ""}>
          ${shown(value)}${best.includes(i) && html` <small>★ ${words.best}</small>`}</td>`)}</tr>`;
      })}</tbody></table></div></section>`;
}

export function Settings({ jobs, rows, passes }) {
  const differing = rows.filter(({ differs }) => differs);
  const same = rows.filter(({ differs }) => !differs);
  return html`<section aria-labelledby="compare-config"><h2 id="compare-config" class="section-head">${words.configuration}</h2>
    <div class="panel scroll" tabindex="0" role="region" aria-labelledby="compare-config">
    <table class="table compare-table"><caption class="visually-hidden">${words.configurationCaption}</caption>
      <${Heads} jobs=${jobs} passes=${passes} first=${words.setting} />
      <tbody>${differing.map(({ name, values }) => html`<tr key=${name}><th scope="row">${name}</th>
        ${values.map((value, i) => html`<td key=${jobs[i].id}>${shown(value)}</td>`)}</tr>`)}</tbody></table></div>
    <details class="disclosure"><summary>${words.same(same.length)}</summary>
      <dl class="panel pairs pairs-columns">${same.map(({ name, values }) => html`<div key=${name}><dt>${name}</dt><dd>${shown(values[0])}</dd></div>`)}</dl></details>
  </section>`;
}
