// Dead letters: webhooks that could not be used. Replayed once the reason is gone, or discarded.
import { html, useState } from "../../dom.js";
import { request } from "../../api.js";
import { shortTime } from "../../format.js";
import { jobHref } from "../../router.js";
import { admin, letters as text } from "../../strings-admin.js";
import { Confirm } from "../dialog.js";
import { Failed, useLoad, useWork } from "../load.js";

const PATH = "../webhooks/deliveries";
const PAGE = 50;

export function Letters() {
  const [pages, setPages] = useState(1);
  const { value, error, reload } = useLoad(`letters ${pages}`, (signal) => read(pages, signal));
  const [told, setTold] = useState({}); // what became of a replay, by id
  const [asked, setAsked] = useState(null);
  const work = useWork();
  if (error && !value) return html`<${Failed} what=${admin.failedToLoad} error=${error} onAgain=${reload} />`;
  if (!value) return html`<p class="panel notice muted" role="status">${admin.loading}</p>`;
  const replay = (id) =>
    work.run(async () => {
      const done = await request("POST", `${PATH}/${id}/replay`, { stays: true });
      setTold((before) => ({ ...before, [id]: done.problem ? text.still(done.problem) : text.applied(done.events) }));
      reload();
    });
  const discard = async () => {
    if (!(await work.run(() => request("DELETE", `${PATH}/${asked}`)))) return;
    setAsked(null);
    reload();
  };
  const { letters, isMore } = value;
  const gone = Object.entries(told).filter(([id]) => !letters.some((letter) => String(letter.id) === id));
  return html`
    <p class="hint">${text.text}</p>
    ${gone.length > 0 && html`<p class="panel panel-note" role="status">${gone.at(-1)[1]}</p>`}
    ${work.error && !asked && html`<p class="inline-error" role="alert">${work.error}</p>`}
    ${letters.length === 0 && html`<section class="panel notice"><h2>${text.empty}</h2><p class="muted">${text.emptyText}</p></section>`}
    ${letters.length > 0 && html`<section class="panel" aria-label=${admin.part.letters}><ul>
      ${letters.map((letter) => html`<${Letter} key=${letter.id} of=${letter} busy=${work.busy} told=${told[letter.id]}
        onReplay=${() => replay(letter.id)} onDiscard=${() => (work.forget(), setAsked(letter.id))} />`)}
    </ul>${isMore && html`<div class="list-foot"><button type="button" class="button" onClick=${() => setPages(pages + 1)}>${text.more}</button></div>`}
    </section>`}
    ${asked && html`<${Confirm} title=${text.discardTitle} text=${text.discardText} action=${text.discard} keep=${text.keep} busy=${work.busy}
      error=${work.error} onConfirm=${discard} onClose=${() => setAsked(null)} />`}
  `;
}

async function read(pages, signal) {
  const letters = [];
  let cursor = null;
  for (let page = 0; page < pages && (page === 0 || cursor); page += 1) {
    const answer = await request("GET", PATH, { params: { state: "dead", limit: PAGE, cursor }, signal });
    letters.push(...answer.deliveries);
    cursor = answer.next_cursor;
  }
  return { letters, isMore: cursor !== null };
}

function Letter({ of, busy, told, onReplay, onDiscard }) {
  const about = [of.provider, of.status, of.provider_id].filter(Boolean).join(" · ");
  return html`<li class="letter">
    <div class="letter-about"><b>${of.problem}</b>
      <small class="muted num">${about} · ${shortTime(of.received_at)}
        ${of.job_id && html` · <a href=${jobHref(of.job_id)}>${text.job} ${of.job_id.slice(-8)}</a>`}</small>
      ${told && html`<p role="status">${told}</p>`}
      <${Body} id=${of.id} /></div>
    <div class="row-actions">
      <button type="button" class="button button-small" disabled=${busy} aria-label=${text.replayOf(of.id)} onClick=${onReplay}>${text.replay}</button>
      <button type="button" class="button button-small" disabled=${busy} aria-label=${text.discardOf(of.id)} onClick=${onDiscard}>${text.discard}</button>
    </div>
  </li>`;
}

function Body({ id }) {
  const [body, setBody] = useState(null);
  const open = async (event) => {
    if (!event.target.open || body !== null) return;
    try {
      setBody((await request("GET", `${PATH}/${id}`)).body);
    } catch (problem) {
      setBody(problem.message);
    }
  };
  return html`<details class="letter-body" onToggle=${open}><summary>${text.body}</summary>${body !== null && html`<pre tabindex="0">${body}</pre>`}</details>`;
}
