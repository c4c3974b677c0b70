// The API keys of everybody, and revoking them.
import { html, useState } from "../../dom.js";
import { request } from "../../api.js";
import { shortTime } from "../../format.js";
import { admin, keys as text } from "../../strings-admin.js";
import { Confirm } from "../dialog.js";
import { Failed, useLoad, useWork } from "../load.js";

export function Keys() {
  const { value, error, reload } = useLoad("all keys", (signal) => request("GET", "../keys", { signal }));
  const [asked, setAsked] = useState(null);
  const work = useWork();
  if (error && !value) return html`<${Failed} what=${admin.failedToLoad} error=${error} onAgain=${reload} />`;
  if (!value) return html`<p class="panel notice muted" role="status">${admin.loading}</p>`;
  if (value.keys.length === 0) return html`<section class="panel notice"><h2>${text.empty}</h2><p class="muted">${text.emptyText}</p></section>`;
  const revoke = async () => {
    if (!(await work.run(() => request("DELETE", `../keys/${encodeURIComponent(asked.id)}`)))) return;
    setAsked(null);
    reload();
  };
  const words = text.columns;
  return html`<div class="panel report">
    <div class="scroll" tabindex="0" role="region" aria-label=${admin.part.keys}><table class="rows rows-stack">
      <thead><tr>${Object.entries(words).map(([name, word]) => html`<th scope="col" key=${name}>${word}</th>`)}</tr></thead>
      <tbody>${value.keys.map((key) => html`<tr key=${key.id} class=${isOver(key) ? "rows-over" : ""}>
        <th scope="row" class="rows-wide">${key.label}</th><td>${key.user}</td><td>${[key.role, ...(key.scopes ?? []), ...(key.teams ?? []), ...(key.kinds ?? [])].filter(Boolean).join(", ") || text.all}</td>
        <td class="num">${shortTime(key.created_at)}</td><td class="num">${key.used_at ? shortTime(key.used_at) : admin.never}</td>
        <td><div class="row-actions"><span class="num">${stateOf(key)}</span>
          ${!isOver(key) && html`<button type="button" class="button button-small" aria-label=${text.revokeOf(key.label, key.user)}
            onClick=${() => (work.forget(), setAsked(key))}>${text.revoke}</button>`}</div></td>
      </tr>`)}</tbody>
    </table></div>
    ${asked && html`<${Confirm} title=${text.revokeTitle} text=${text.revokeText(asked.label, asked.user)} action=${text.revoke} keep=${text.keep}
      busy=${work.busy} error=${work.error} onConfirm=${revoke} onClose=${() => setAsked(null)} />`}
  </div>`;
}

const isOver = ({ revoked_at: revoked, expires_at: expires }) => revoked !== null || Date.parse(expires) <= Date.now();

function stateOf({ revoked_at: revoked, expires_at: expires }) {
  if (revoked) return text.revoked(shortTime(revoked));
  if (!expires) return text.works;
  return Date.parse(expires) <= Date.now() ? text.expired(shortTime(expires)) : text.until(shortTime(expires));
}
