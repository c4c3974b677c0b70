// The leaderboard: one line a trial, sorted by the server.
import { html } from "../../dom.js";
import { endpoint } from "../../api.js";
import { dollars, duration, number } from "../../format.js";
import { jobHref } from "../../router.js";
import { words } from "../../strings-sweep.js";

export const FIRST_ROWS = 50;
export const MOST_ROWS = 1000;

// As a job of that state is marked.
const MARKS = { waiting: "queued", running: "running", completed: "completed", stopped: "cancelled", failed: "failed" };

export function Board({ sweep, path, sort, onSort, out, onAll }) {
  const { trials, metric, mode, unit } = sweep;
  const names = Object.keys(sweep.space).sort();
  const csv = endpoint(path, { format: "csv" });
  const columns = [["number", words.columns.number], ["state", words.columns.state], ["value", metric], ["reached", words.columns.reached[unit]]];
  const last = [["seconds", words.columns.seconds], ["cost", words.columns.cost]];
  const head = (columns) => columns.map(([name, label]) => html`<${Head} key=${name} name=${name} label=${label} sort=${sort} first=${name === "value" && mode === "max"} onSort=${onSort} />`);
  return html`<section aria-labelledby="sweep-board">
    <div class="sweep-head"><h2 id="sweep-board" class="section-head">${words.board}</h2>
      <a class="button button-small" href=${csv.pathname + csv.search} download>${words.csv}</a></div>
    ${trials.length === 0
      ? html`<p class="panel panel-note">${words.none}</p>`
      : html`<div class="panel scroll" tabindex="0" role="region" aria-labelledby="sweep-board"><table class="table sweep-table">
        <caption class="visually-hidden">${words.caption(metric, mode)}</caption>
        <thead><tr>${head(columns)}${names.map((name) => html`<th scope="col" key=${name} title=${name}>${shortOf(name, names)}</th>`)}${head(last)}<th scope="col">${words.columns.why}</th></tr></thead>
        <tbody>${trials.map((trial) => html`<${Row} key=${trial.number} trial=${trial} names=${names} isOut=${out.has(trial.number)} />`)}</tbody>
      </table></div>`}
    ${onAll && html`<button type="button" class="button" onClick=${onAll}>${words.all(sweep.total)}</button>`}
  </section>`;
}

/** The first click sorts upwards, where more is better downwards; the next one the other way. */
function Head({ name, label, sort, first, onSort }) {
  const is = sort.replace("-", "") === name;
  const isFalling = sort.startsWith("-");
  const next = is ? !isFalling : first;
  return html`<th scope="col" aria-sort=${is ? (isFalling ? "descending" : "ascending") : undefined}>
    <button type="button" class="sweep-sort" title=${words.sortBy(label)} onClick=${() => onSort(next ? `-${name}` : name)}>${label}${is && html`<span aria-hidden="true">${isFalling ? " ↓" : " ↑"}</span>`}</button></th>`;
}

function Row({ trial, names, isOut }) {
  return html`<tr class=${isOut ? "compare-out" : ""}>
    <th scope="row"><a href=${jobHref(trial.job_id)}>${trial.number}</a></th>
    <td><span class=${`status status-${MARKS[trial.state]}`}>${words.counts[trial.state]}</span></td>
    <td class=${`num${trial.is_best ? " compare-best" : ""}`}>${number(trial.value)}${trial.is_best && html` <small>★ ${words.best}</small>`}</td>
    <td class="num">${number(trial.reached)}</td>
    ${names.map((name) => html`<td class="num" key=${name}>${shown(trial.parameters[name])}</td>`)}
    <td class="num">${trial.seconds === null ? "–" : duration(trial.seconds * 1000)}</td>
    <td class="num">${trial.cost_usd === null ? "–" : dollars(trial.cost_usd)}</td>
    <td class="sweep-why">${[trial.source && words.source(trial.source), trial.why].filter(Boolean).join("; ")}</td>
  </tr>`;
}

const shown = (value) => (typeof value === "number" ? number(value) : value === undefined || value === null ? "–" : String(value));

/** The last word of a dotted name, where no other ends in it. */
function shortOf(name, names) {
  const last = (one) => one.split(".").at(-1);
  return names.filter((other) => last(other) === last(name)).length > 1 ? name : last(name);
}
