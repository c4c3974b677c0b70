// The audit log: who did what, searched, checked and taken away as a file.
import { html, useRef, useState } from "../../dom.js";
import { endpoint, request } from "../../api.js";
import { shortTime } from "../../format.js";
import { admin } from "../../strings-admin.js";
import { audit as text } from "../../strings-control.js";
import { Failed, useLoad, useWork } from "../load.js";

const PATH = "../audit";
const PAGE = 100;

export function Audit() {
  const [wanted, setWanted] = useState({});
  const [pages, setPages] = useState(1);
  const { value, error, reload } = useLoad(JSON.stringify(wanted), (signal) => read(wanted, pages, signal));
  const more = () => {
    setPages(pages + 1);
    reload();
  };
  const find = (fields) => {
    setPages(1);
    setWanted(fields);
  };
  if (error && !value) return html`<${Failed} what=${admin.failedToLoad} error=${error} onAgain=${reload} />`;
  return html`<${Search} onFind=${find} /><${Check} />
    ${!value && html`<p class="panel notice muted" role="status">${admin.loading}</p>`}
    ${value?.entries.length === 0 && html`<p class="panel panel-note">${text.none}</p>`}
    ${value?.entries.length > 0 && html`<${Entries} entries=${value.entries} onMore=${value.isMore ? more : null} />`}`;
}

async function read(wanted, pages, signal) {
  const entries = [];
  let before = null;
  for (let page = 0; page < pages && (page === 0 || before !== null); page += 1) {
    const answer = await request("GET", PATH, { params: { ...wanted, before, limit: PAGE }, signal });
    entries.push(...answer.entries);
    before = answer.next_before;
  }
  return { entries, isMore: before !== null };
}

function Search({ onFind }) {
  const box = useRef(null);
  const find = (event) => {
    event.preventDefault();
    const fields = [...new FormData(box.current)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value !== "");
    onFind(Object.fromEntries(fields));
  };
  return html`<form class="panel fields-row" ref=${box} onSubmit=${find} role="search">
    <label>${text.actor}<input class="field" name="actor" maxlength="255" autocomplete="off" /></label>
    <label>${text.action}<input class="field" name="action" maxlength="50" autocomplete="off" placeholder=${text.actionHint} /></label>
    <label>${text.target}<input class="field" name="target" maxlength="255" autocomplete="off" /></label>
    <button type="submit" class="button">${text.find}</button>
  </form>`;
}

/** Whether the log is as it was written. */
function Check() {
  const work = useWork();
  const [verdict, setVerdict] = useState(null);
  const verify = () => work.run(async () => setVerdict(await request("GET", `${PATH}/verify`)));
  return html`<div class="row-actions"><button type="button" class="button" disabled=${work.busy} onClick=${verify}>${work.busy ? text.verifying : text.verify}</button>
    <a class="button" href=${endpoint(`${PATH}.jsonl`).href} download="audit.jsonl">${text.file}</a></div>
    ${work.error && html`<p class="inline-error" role="alert">${work.error}</p>`}
    ${verdict && html`<p class=${verdict.ok ? "panel panel-note audit-verdict" : "inline-error audit-verdict"} role=${verdict.ok ? "status" : "alert"}>
      ${verdict.ok ? text.right(verdict.entries, verdict.head) : text.wrong(verdict.entries, verdict.problem)}</p>`}`;
}

function Entries({ entries, onMore }) {
  const words = text.columns;
  return html`<div class="panel report">
    <div class="scroll" tabindex="0" role="region" aria-label=${admin.part.audit}><table class="rows rows-stack audit">
      <thead><tr>${Object.entries(words).map(([name, word]) => html`<th scope="col" key=${name}>${word}</th>`)}</tr></thead>
      <tbody>${entries.map(({ seq, at, actor, action, target, detail }) => html`<tr key=${seq}>
        <td class="num">${seq}</td><td class="num">${shortTime(at)}</td><td>${actor}</td><td><code>${action}</code></td>
        <td class="rows-wide audit-word">${target}</td><td class="rows-wide rows-line audit-word"><small class="muted">${Object.entries(detail).map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(", ")}</small></td>
      </tr>`)}</tbody>
    </table></div>
    ${onMore && html`<div class="list-foot"><button type="button" class="button" onClick=${onMore}>${text.older}</button></div>`}
  </div>`;
}
