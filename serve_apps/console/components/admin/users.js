// Users: added, given another role or password, switched off and let in again.
import { html, useEffect, useRef, useState } from "../../dom.js";
import { request } from "../../api.js";
import { shortTime } from "../../format.js";
import { admin, users as text } from "../../strings-admin.js";
import { Confirm } from "../dialog.js";
import { Failed, useLoad, useWork } from "../load.js";

const PATH = "../users";
const ROLES = ["viewer", "trainer", "admin"];

export function Users({ app }) {
  const { value, error, reload } = useLoad("users", (signal) => request("GET", PATH, { signal }));
  if (error && !value) return html`<${Failed} what=${admin.failedToLoad} error=${error} onAgain=${reload} />`;
  if (!value) return html`<p class="panel notice muted" role="status">${admin.loading}</p>`;
  return html`
    ${app.session.isOpen && html`<p class="panel panel-note">${text.open}</p>`}
    <${Add} onAdded=${reload} />
    ${value.users.length > 0 && html`<${List} users=${value.users} onChange=${reload} />`}
  `;
}

function Add({ onAdded }) {
  const box = useRef(null);
  const work = useWork();
  const add = async (event) => {
    event.preventDefault();
    const { name, role, password } = box.current.elements;
    const body = JSON.stringify({ name: name.value.trim(), role: role.value, password: password.value || null });
    if (!(await work.run(() => request("POST", PATH, { body })))) return;
    box.current.reset();
    onAdded();
  };
  return html`<form class="panel fields-row" ref=${box} onSubmit=${add} aria-label=${text.add}>
    <label>${text.name}<input class="field" name="name" required maxlength="100" autocomplete="off" autocapitalize="none" /></label>
    <label>${text.role}<select class="field" name="role">
      ${ROLES.map((role) => html`<option key=${role} value=${role} selected=${role === "trainer"}>${text.roles[role]}</option>`)}
    </select></label>
    <label>${text.password}<input class="field" name="password" type="password" autocomplete="new-password" placeholder=${text.passwordHint} /></label>
    <button type="submit" class="button button-primary" disabled=${work.busy}>${text.submit}</button>
    ${work.error && html`<p class="inline-error" role="alert">${work.error}</p>`}
  </form>`;
}

function List({ users, onChange }) {
  const [asked, setAsked] = useState(null); // who is to be switched off
  const [done, setDone] = useState(null);
  const work = useWork();
  const change = async (name, body) => {
    const isDone = await work.run(() => request("PATCH", `${PATH}/${encodeURIComponent(name)}`, { body: JSON.stringify(body) }));
    if (isDone) setAsked(null);
    onChange(); // where it was refused, the page shows again what holds
    return isDone;
  };
  const words = text.columns;
  return html`<div class="panel report">
    ${done && html`<p class="panel-note" role="status">${text.done(done)}</p>`}
    ${work.error && !asked && html`<p class="inline-error" role="alert">${work.error}</p>`}
    <div class="scroll" tabindex="0" role="region" aria-label=${admin.part.users}><table class="rows rows-stack">
      <thead><tr><th scope="col">${words.name}</th><th scope="col">${words.role}</th><th scope="col">${words.password}</th>
        <th scope="col">${words.since}</th><th scope="col">${words.state}</th></tr></thead>
      <tbody>${users.map((user) => html`<${User} key=${user.name} user=${user} busy=${work.busy} onChange=${change}
        onOff=${() => (work.forget(), setAsked(user.name))} onDone=${setDone} />`)}</tbody>
    </table></div>
    ${asked && html`<${Confirm} title=${text.offTitle(asked)} text=${text.offText} action=${text.off} keep=${text.keep} busy=${work.busy}
      error=${work.error} onConfirm=${() => change(asked, { is_active: false })} onClose=${() => (work.forget(), setAsked(null))} />`}
  </div>`;
}

function User({ user, busy, onChange, onOff, onDone }) {
  const { name, role, is_active: isActive } = user;
  return html`<tr class=${isActive ? "" : "rows-over"}>
    <th scope="row">${name}</th>
    <td><select class="field" aria-label=${text.roleOf(name)} value=${role} disabled=${busy}
      onChange=${({ target }) => onChange(name, { role: target.value })}>
      ${ROLES.map((other) => html`<option key=${other} value=${other} selected=${other === role}>${text.roles[other]}</option>`)}
    </select></td>
    <td><${Password} user=${user} busy=${busy} onChange=${onChange} onDone=${onDone} /></td>
    <td class="num">${shortTime(user.created_at)}</td>
    <td><div class="row-actions"><span>${isActive ? text.active : text.inactive}</span>
      ${isActive
        ? html`<button type="button" class="button button-small" aria-label=${text.offOf(name)} onClick=${onOff}>${text.off}</button>`
        : html`<button type="button" class="button button-small" aria-label=${text.onOf(name)} disabled=${busy}
            onClick=${() => onChange(name, { is_active: true })}>${text.on}</button>`}</div></td>
  </tr>`;
}

function Password({ user, busy, onChange, onDone }) {
  const [isOpen, setOpen] = useState(false);
  const field = useRef(null);
  useEffect(() => isOpen && field.current.focus(), [isOpen]);
  const set = async (event) => {
    event.preventDefault();
    if (!(await onChange(user.name, { password: field.current.value }))) return;
    setOpen(false);
    onDone(user.name);
  };
  if (!isOpen) {
    return html`<div class="row-actions"><span>${user.has_password ? text.hasPassword : text.noPassword}</span>
      <button type="button" class="button button-small" aria-label=${text.resetOf(user.name)} onClick=${() => setOpen(true)}>${text.reset}</button></div>`;
  }
  return html`<form class="row-actions" onSubmit=${set}>
    <input class="field" ref=${field} type="password" required autocomplete="new-password" aria-label=${text.resetOf(user.name)} />
    <button type="submit" class="button button-small" disabled=${busy}>${text.set}</button>
    <button type="button" class="button button-small" onClick=${() => setOpen(false)}>${text.cancel}</button>
  </form>`;
}
