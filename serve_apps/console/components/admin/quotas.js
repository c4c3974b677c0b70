// Quotas: those of the settings, and those that users and teams have of their own.
import { html, useRef, useState } from "../../dom.js";
import { request } from "../../api.js";
import { shortTime } from "../../format.js";
import { admin } from "../../strings-admin.js";
import { quotas as text } from "../../strings-control.js";
import { Failed, useLoad, useWork } from "../load.js";
import { Levels, amount } from "../levels.js";

const PATH = "../quotas";
const NAMES = ["jobs", "gpu_hours", "storage_bytes", "usd_day", "usd_month"];
const GB = 1e9;
const placeOf = ({ kind, name }) => `${PATH}/${kind}/${encodeURIComponent(name)}`;
const limitText = (quota, value) => (value === null || value === undefined ? text.unlimited : amount(quota, value));

export function Quotas() {
  const { value, error, reload } = useLoad("quotas", (signal) => request("GET", PATH, { signal }));
  const [chosen, choose] = useState(null); // of whom the form is: {kind, name, own}
  const [now, setNow] = useState(null); // where whoever was changed stands
  const work = useWork();
  if (error && !value) return html`<${Failed} what=${admin.failedToLoad} error=${error} onAgain=${reload} />`;
  if (!value) return html`<p class="panel notice muted" role="status">${admin.loading}</p>`;
  const change = async (ask) => {
    const isDone = await work.run(async () => setNow(await ask()));
    if (isDone) choose(null);
    reload();
    return isDone;
  };
  const set = (who, body) => change(() => request("PUT", placeOf(who), { body: JSON.stringify(body) }));
  const clear = (who) => change(() => request("DELETE", placeOf(who)));
  return html`<${Given} of=${value} />
    <${SetFor} key=${chosen ? `${chosen.kind} ${chosen.name}` : ""} of=${chosen} work=${work} onSet=${set} />
    ${now && html`<section class="panel levels-all"><p role="status">${text.done(now.name)}</p><${Levels} of=${now} /></section>`}
    <${Own} list=${value.set_for} busy=${work.busy} onEdit=${choose} onClear=${clear} />`;
}

/** What holds for everybody who has nothing of their own. */
function Given({ of }) {
  const rows = [[text.ofUser, of.user], [text.ofTeam, of.team]];
  return html`<div class="panel report"><div class="panel-head"><h2>${text.settings}</h2></div>
    <div class="scroll" tabindex="0" role="region" aria-label=${text.settings}><table class="rows rows-stack">
      <thead><tr><td></td>${NAMES.map((name) => html`<th scope="col" key=${name}>${text.levels[name]}</th>`)}</tr></thead>
      <tbody>${rows.map(([who, limits]) => html`<tr key=${who}><th scope="row">${who}</th>
        ${NAMES.map((name) => html`<td class="num" key=${name}><small class="muted rows-label">${text.levels[name]}</small> ${limitText(name, limits[name])}</td>`)}</tr>`)}</tbody>
    </table></div></div>`;
}

function SetFor({ of, work, onSet }) {
  const box = useRef(null);
  const [wrong, setWrong] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    const fields = box.current.elements;
    const body = { note: fields.note.value.trim() };
    for (const name of NAMES) {
      const read = readLimit(name, fields[name].value.trim());
      if (Number.isNaN(read)) {
        setWrong(text.bad(text.fields[name]));
        fields[name].focus();
        return;
      }
      if (read !== undefined) body[name] = read;
    }
    setWrong(null);
    if (await onSet({ kind: fields.kind.value, name: fields.name.value.trim() }, body)) box.current?.reset();
  };
  return html`<form class="panel fields-row" ref=${box} onSubmit=${submit} aria-label=${text.set}>
    <label>${text.kind}<select class="field" name="kind">${["user", "team"].map((kind) => html`<option key=${kind} value=${kind} selected=${kind === of?.kind}>${text.kinds[kind]}</option>`)}</select></label>
    <label>${text.name}<input class="field" name="name" required maxlength="255" autocomplete="off" autocapitalize="none" defaultValue=${of?.name ?? ""} /></label>
    ${NAMES.map((name) => html`<label class="fields-num" key=${name}>${text.fields[name]}<input class="field num" name=${name} inputmode="decimal" autocomplete="off"
      placeholder=${text.like} defaultValue=${of ? writeLimit(name, of.own.limits[name]) : ""} /></label>`)}
    <label class="fields-wide">${text.note}<input class="field" name="note" maxlength="1000" autocomplete="off" defaultValue=${of?.own.note ?? ""} /></label>
    <button type="submit" class="button button-primary" disabled=${work.busy}>${text.submit}</button>
    <p class="hint fields-wide">${text.hint}</p>
    ${(wrong ?? work.error) && html`<p class="inline-error" role="alert">${wrong ?? work.error}</p>`}
  </form>`;
}

/** A number, null for no limit, undefined for that of the settings, NaN where it is none of these. */
function readLimit(name, word) {
  if (word === "") return undefined;
  if (word === "-" || word === "−") return null;
  const value = Number(word.replace(",", "."));
  if (!(value >= 0) || !Number.isFinite(value) || (name === "jobs" && !Number.isInteger(value))) return Number.NaN;
  return name === "storage_bytes" ? Math.round(value * GB) : value;
}

function writeLimit(name, value) {
  if (value === undefined) return "";
  return value === null ? "-" : String(name === "storage_bytes" ? value / GB : value);
}

function Own({ list, busy, onEdit, onClear }) {
  if (list.length === 0) return html`<p class="panel panel-note">${text.ownNone}</p>`;
  const words = text.columns;
  return html`<div class="panel report"><div class="panel-head"><h2>${text.own}</h2></div>
    <div class="scroll" tabindex="0" role="region" aria-label=${text.own}><table class="rows rows-stack quotas">
      <thead><tr><th scope="col">${words.who}</th>${NAMES.map((name) => html`<th scope="col" key=${name}>${text.levels[name]}</th>`)}
        <th scope="col">${words.note}</th><th scope="col">${words.act}</th></tr></thead>
      <tbody>${list.map((one) => html`<tr key=${`${one.kind} ${one.name}`}>
        <th scope="row">${one.name} <small class="muted">${text.kinds[one.kind]}</small></th>
        ${NAMES.map((name) => html`<td class="num" key=${name}><small class="muted rows-label">${text.levels[name]}</small> ${one.own.limits[name] === undefined ? text.like : limitText(name, one.own.limits[name])}</td>`)}
        <td class="rows-wide">${one.own.note} <small class="muted">${text.by(one.own.set_by, shortTime(one.own.set_at))}</small></td>
        <td><div class="row-actions"><button type="button" class="button button-small" aria-label=${text.editOf(one.name)} onClick=${() => onEdit(one)}>${text.edit}</button>
          <button type="button" class="button button-small" aria-label=${text.clearOf(one.name)} disabled=${busy} onClick=${() => onClear(one)}>${text.clear}</button></div></td>
      </tr>`)}</tbody>
    </table></div></div>`;
}
