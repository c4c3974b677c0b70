// The words that mean a version: set here, moved here from another version, removed.
import { html, useEffect, useRef, useState } from "../../dom.js";
import { request } from "../../api.js";
import { models as text } from "../../strings-models.js";
import { useWork } from "../load.js";

const LATEST = "latest"; // the platform's own

export function Aliases({ path, model, version, own, onChange }) {
  const [edits, setEdits] = useState(false);
  const work = useWork();
  const remove = async (alias) => {
    if (await work.run(() => request("DELETE", aliasPath(path, alias)))) onChange();
  };
  const set = async (alias) => {
    const body = JSON.stringify({ version });
    if (!(await work.run(() => request("PUT", aliasPath(path, alias), { body })))) return;
    setEdits(false);
    onChange();
  };
  return html`<span class="aliases">
    ${own.map((alias) =>
      alias === LATEST
        ? html`<span class="alias alias-latest" key=${alias} title=${text.aliasLatest}>${alias}</span>`
        : html`<span class="alias alias-set" key=${alias}>${alias}
            <button type="button" class="alias-remove" aria-label=${text.aliasRemove(alias)} disabled=${work.busy}
              onClick=${() => remove(alias)}><span aria-hidden="true">×</span></button></span>`,
    )}
    ${edits
      ? html`<${Editor} aliases=${model.aliases} version=${version} busy=${work.busy} onSet=${set} onClose=${() => (work.forget(), setEdits(false))} />`
      : html`<button type="button" class="link-button" aria-label=${text.aliasOf(version)} onClick=${() => setEdits(true)}>${text.alias}</button>`}
    ${work.error && html`<span class="alias-error" role="alert">${work.error}</span>`}
  </span>`;
}

const aliasPath = (path, alias) => `${path}/aliases/${encodeURIComponent(alias)}`;

function Editor({ aliases, version, busy, onSet, onClose }) {
  const [typed, setTyped] = useState("");
  const field = useRef(null);
  useEffect(() => field.current.focus(), []);
  const name = typed.trim();
  const elsewhere = aliases[name] !== undefined && aliases[name] !== version ? aliases[name] : null;
  const submit = (event) => {
    event.preventDefault();
    if (name && !busy) onSet(name);
  };
  const known = Object.keys(aliases).filter((alias) => alias !== LATEST);
  return html`<form class="alias-form" onSubmit=${submit} onKeyDown=${(event) => event.key === "Escape" && onClose()}>
    <input class="field" ref=${field} value=${typed} list=${`aliases-${version}`} aria-label=${text.aliasName} placeholder=${text.aliasHint}
      maxlength="100" autocomplete="off" spellcheck=${false} autocapitalize="none" onInput=${(event) => setTyped(event.target.value)} />
    <datalist id=${`aliases-${version}`}>${known.map((alias) => html`<option key=${alias} value=${alias}></option>`)}</datalist>
    <button type="submit" class="button button-small button-primary" disabled=${busy || !name}>${text.aliasSet}</button>
    <button type="button" class="button button-small" onClick=${onClose}>${text.cancel}</button>
    ${elsewhere !== null && html`<small role="status">${text.aliasMoves(name, elsewhere)}</small>`}
  </form>`;
}
