// What one webhook was told, and what came of each message.
import { html, useState } from "../../dom.js";
import { request } from "../../api.js";
import { shortTime } from "../../format.js";
import { jobHref } from "../../router.js";
import { admin } from "../../strings-admin.js";
import { hooks as text } from "../../strings-control.js";
import { Failed, useLoad, useWork } from "../load.js";

const PAGE = 20;

export function HookLog({ path, turn, isEnabled }) {
  const [isOpen, setOpen] = useState(false);
  return html`<details class="letter-body" onToggle=${({ target }) => setOpen(target.open)}><summary>${text.log}</summary>
    ${isOpen && html`<${Messages} key=${turn} path=${path} isEnabled=${isEnabled} />`}</details>`;
}

function Messages({ path, isEnabled }) {
  const [limit, setLimit] = useState(PAGE);
  const { value, error, reload } = useLoad(`${path} ${limit}`, (signal) => request("GET", `${path}/messages`, { params: { limit }, signal }));
  const work = useWork();
  if (error && !value) return html`<${Failed} what=${admin.failedToLoad} error=${error} onAgain=${reload} />`;
  if (!value) return html`<p class="muted">${admin.loading}</p>`;
  const { waiting = 0, delivered = 0, dead = 0 } = value.counts;
  const again = (id) => work.run(async () => (await request("POST", `${path}/messages/${id}/replay`), reload()));
  const words = text.columns;
  return html`<div class="row-actions"><span class="muted num">${text.counts(waiting, delivered, dead)}</span>
      <button type="button" class="button button-small" onClick=${reload}>${text.refresh}</button></div>
    ${work.error && html`<p class="inline-error" role="alert">${work.error}</p>`}
    ${value.messages.length === 0 && html`<p class="muted">${text.logNone}</p>`}
    ${value.messages.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label=${text.log}><table class="rows rows-stack audit">
      <thead><tr>${Object.entries(words).map(([name, word]) => html`<th scope="col" key=${name}>${word}</th>`)}</tr></thead>
      <tbody>${value.messages.map((message) => html`<tr key=${message.id}>
        <td class="num">${shortTime(message.created_at)}</td>
        <td><code>${message.type}</code>${message.job_id && html` <a href=${jobHref(message.job_id)}>${message.job_id.slice(-8)}</a>`}</td>
        <td>${text.states[message.state]}</td>
        <td class="rows-wide audit-word">${triedOf(message)}</td>
        <td>${message.state !== "waiting" && html`<button type="button" class="button button-small" disabled=${work.busy || !isEnabled} aria-label=${text.againOf(message.id)}
          onClick=${() => again(message.id)}>${text.again}</button>`}</td>
      </tr>`)}</tbody></table></div>`}
    ${value.next_cursor && limit < 500 && html`<button type="button" class="button button-small" onClick=${() => setLimit(Math.min(500, limit * 5))}>${text.more}</button>`}`;
}

function triedOf({ attempts, tries }) {
  const last = tries.at(-1);
  return last ? text.tried(attempts, last.problem ?? String(last.status), Math.round(last.ms)) : "";
}
