// Teams: added and removed, and who is in them.
import { html, useRef, useState } from "../../dom.js";
import { request } from "../../api.js";
import { shortTime } from "../../format.js";
import { admin } from "../../strings-admin.js";
import { teams as text } from "../../strings-control.js";
import { Confirm } from "../dialog.js";
import { Failed, useLoad, useWork } from "../load.js";

const PATH = "../teams";
const of = (team, user) => `${PATH}/${encodeURIComponent(team)}/members/${encodeURIComponent(user)}`;

export function Teams() {
  const { value, error, reload } = useLoad("teams", (signal) => request("GET", PATH, { signal }));
  if (error && !value) return html`<${Failed} what=${admin.failedToLoad} error=${error} onAgain=${reload} />`;
  if (!value) return html`<p class="panel notice muted" role="status">${admin.loading}</p>`;
  return html`<${Add} onAdded=${reload} />
    ${value.teams.length === 0
      ? html`<section class="panel notice"><h2>${text.none}</h2><p class="muted">${text.noneText}</p></section>`
      : html`<${List} teams=${value.teams} onChange=${reload} />`}`;
}

function Add({ onAdded }) {
  const box = useRef(null);
  const work = useWork();
  const add = async (event) => {
    event.preventDefault();
    const { id, name } = box.current.elements;
    if (!(await work.run(() => request("POST", PATH, { body: JSON.stringify({ id: id.value.trim(), name: name.value.trim() }) })))) return;
    box.current.reset();
    onAdded();
  };
  return html`<form class="panel fields-row" ref=${box} onSubmit=${add} aria-label=${text.add}>
    <label>${text.id}<input class="field" name="id" required maxlength="100" autocomplete="off" autocapitalize="none" placeholder=${text.idHint} /></label>
    <label>${text.name}<input class="field" name="name" maxlength="255" autocomplete="off" /></label>
    <button type="submit" class="button button-primary" disabled=${work.busy}>${text.submit}</button>
    ${work.error && html`<p class="inline-error" role="alert">${work.error}</p>`}
  </form>`;
}

function List({ teams, onChange }) {
  const [asked, setAsked] = useState(null); // the team that is to go
  const work = useWork();
  const change = async (method, path) => {
    const isDone = await work.run(() => request(method, path, method === "PUT" ? { body: "{}" } : {}));
    if (isDone) setAsked(null);
    onChange();
    return isDone;
  };
  const words = text.columns;
  return html`<div class="panel report">
    ${work.error && !asked && html`<p class="inline-error" role="alert">${work.error}</p>`}
    <div class="scroll" tabindex="0" role="region" aria-label=${admin.part.teams}><table class="rows rows-stack teams">
      <thead><tr><th scope="col">${words.team}</th><th scope="col">${words.members}</th><th scope="col">${words.since}</th><th scope="col">${words.act}</th></tr></thead>
      <tbody>${teams.map(({ id, name, members, created_at: since }) => html`<tr key=${id}>
        <th scope="row">${id}${name !== id && html` <small class="muted">${name}</small>`}</th>
        <td class="rows-wide rows-line"><ul class="chips">
          ${members.length === 0 && html`<li class="muted">${text.noMembers}</li>`}
          ${members.map((user) => html`<li key=${user} class="chip">${user}<button type="button" class="chip-off" aria-label=${text.takeOut(user, id)} disabled=${work.busy}
            onClick=${() => change("DELETE", of(id, user))}>×</button></li>`)}</ul>
          <${Member} team=${id} busy=${work.busy} onAdd=${(user) => change("PUT", of(id, user))} /></td>
        <td class="num">${shortTime(since)}</td>
        <td><button type="button" class="button button-small" aria-label=${text.removeOf(id)} onClick=${() => (work.forget(), setAsked(id))}>${text.remove}</button></td>
      </tr>`)}</tbody>
    </table></div>
    ${asked && html`<${Confirm} title=${text.removeTitle(asked)} text=${text.removeText} action=${text.remove} keep=${text.keep} busy=${work.busy}
      error=${work.error} onConfirm=${() => change("DELETE", `${PATH}/${encodeURIComponent(asked)}`)} onClose=${() => (work.forget(), setAsked(null))} />`}
  </div>`;
}

function Member({ team, busy, onAdd }) {
  const field = useRef(null);
  const add = async (event) => {
    event.preventDefault();
    if (await onAdd(field.current.value.trim())) field.current.value = "";
  };
  return html`<form class="row-actions" onSubmit=${add}>
    <input class="field field-small" ref=${field} required maxlength="100" autocomplete="off" autocapitalize="none" aria-label=${text.member(team)} placeholder=${text.memberHint} />
    <button type="submit" class="button button-small" disabled=${busy}>${text.addMember}</button></form>`;
}
