// What can be done with the selected jobs. Each one's refusal is told.
import { html, useState } from "../../dom.js";
import { request } from "../../api.js";
import { words } from "../../strings-jobs.js";
import { Confirm } from "../dialog.js";
import { useWork } from "../load.js";

const text = words.bulk;
const AT_ONCE = 500; // as many as the API takes
export const MOST_COMPARED = 50;

/** Ask the API for the same of many jobs; the results of all. */
async function askAll(what, ids) {
  const results = [];
  for (let i = 0; i < ids.length; i += AT_ONCE) {
    const answer = await request("POST", `jobs/${what}`, { body: JSON.stringify({ ids: ids.slice(i, i + AT_ONCE) }) });
    results.push(...answer.results);
  }
  return results;
}

export function Bulk({ ids, store, onClear }) {
  const [asked, setAsked] = useState(null);
  const [told, setTold] = useState(null);
  const { busy, error, run, forget } = useWork();
  const ask = (what) => () => {
    forget();
    setAsked(what);
  };
  const go = (what) => () => run(async () => {
    const results = await askAll(what, ids);
    setTold({ what, done: results.filter(({ outcome }) => outcome !== "refused").length, refused: results.filter(({ outcome }) => outcome === "refused") });
    setAsked(null);
    onClear();
  });
  const questions = {
    cancel: { title: text.cancelTitle(ids.length), text: text.cancelText, action: text.cancelAction, onConfirm: go("cancel") },
    delete: { title: text.removeTitle(ids.length), text: text.removeText, action: text.removeAction, onConfirm: go("delete") },
  };
  return html`<section class="bulk" aria-label=${text.label}>
    ${told && html`<${Told} ...${told} store=${store} onClose=${() => setTold(null)} />`}
    ${ids.length > 0 && html`<p class="bulk-bar">
      <b class="num" role="status">${text.selected(ids.length)}</b>
      <button type="button" class="button button-small" onClick=${ask("cancel")}>${text.cancel}</button>
      <button type="button" class="button button-small" onClick=${ask("delete")}>${text.remove}</button>
      ${ids.length <= MOST_COMPARED
        ? html`<a class="button button-small" href=${`#/compare?ids=${ids.join()}`}>${text.compare}</a>`
        : html`<span class="muted">${text.compareMost(MOST_COMPARED)}</span>`}
      <button type="button" class="button button-small" onClick=${onClear}>${text.clear}</button>
    </p>`}
    ${asked && html`<${Confirm} ...${questions[asked]} keep=${text.keep} busy=${busy} error=${error} onClose=${() => setAsked(null)} />`}
  </section>`;
}

function Told({ what, done, refused, store, onClose }) {
  return html`<div class="bulk-told" role="status">
    ${done > 0 && html`<p>${text.done[what](done)}</p>`}
    ${refused.length > 0 && html`<p>${text.refused(refused.length)}</p>
      <ul>${refused.map(({ id, detail }) => html`<li key=${id}><b>${store.job(id)?.job_name ?? id}</b>: ${detail}</li>`)}</ul>`}
    <button type="button" class="button button-small" onClick=${onClose}>${text.close}</button>
  </div>`;
}
