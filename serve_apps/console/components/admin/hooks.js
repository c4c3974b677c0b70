// Webhooks out: whom the platform tells of what, and the log of what each was told.
import { html, useRef, useState } from "../../dom.js";
import { request } from "../../api.js";
import { shortTime } from "../../format.js";
import { admin } from "../../strings-admin.js";
import { hooks as text } from "../../strings-control.js";
import { CopyButton } from "../copy.js";
import { Confirm } from "../dialog.js";
import { Failed, useLoad, useWork } from "../load.js";
import { HookLog } from "./hooklog.js";

export const PATH = "../webhooks";
const TOLD = ["job.created", "job.started", "job.progress", "job.artifact", "job.retried", "job.waiting", "job.completed", "job.failed", "job.cancelled", "alert"];
const AT_FIRST = new Set(["job.waiting", "job.completed", "job.failed", "job.cancelled", "alert"]);

export function Hooks() {
  const { value, error, reload } = useLoad("hooks", (signal) => request("GET", PATH, { signal }));
  const [secret, setSecret] = useState(null);
  if (error && !value) return html`<${Failed} what=${admin.failedToLoad} error=${error} onAgain=${reload} />`;
  if (!value) return html`<p class="panel notice muted" role="status">${admin.loading}</p>`;
  const made = (hook) => {
    setSecret(hook.secret);
    reload();
  };
  return html`<${Add} onMade=${made} />
    ${secret && html`<p class="panel panel-note hook-secret" role="status">${text.secret} <code>${secret}</code> <${CopyButton} text=${secret} /></p>`}
    ${value.webhooks.length === 0
      ? html`<section class="panel notice"><h2>${text.none}</h2><p class="muted">${text.noneText}</p></section>`
      : html`<section class="panel" aria-label=${admin.part.hooks}><ul>${value.webhooks.map((hook) => html`<${Hook} key=${hook.id} hook=${hook} onChange=${reload} />`)}</ul></section>`}`;
}

function Add({ onMade }) {
  const box = useRef(null);
  const work = useWork();
  const add = async (event) => {
    event.preventDefault();
    const { target, address, description } = box.current.elements;
    const events = [...box.current.querySelectorAll("input[name=event]:checked")].map(({ value }) => value);
    const body = { target: target.value, address: address.value.trim(), description: description.value.trim(), events: [...events, "webhook.disabled"] };
    if (await work.run(async () => onMade(await request("POST", PATH, { body: JSON.stringify(body) })))) box.current.reset();
  };
  return html`<form class="panel fields-row" ref=${box} onSubmit=${add} aria-label=${text.add}>
    <label>${text.target}<select class="field" name="target">${Object.entries(text.targets).map(([value, word]) => html`<option key=${value} value=${value}>${word}</option>`)}</select></label>
    <label>${text.address}<input class="field" name="address" required maxlength="2000" autocomplete="off" spellcheck=${false} placeholder=${text.addressHint} /></label>
    <label>${text.description}<input class="field" name="description" maxlength="255" autocomplete="off" /></label>
    <fieldset class="fields-wide checks"><legend>${text.events}</legend>${TOLD.map((name) => html`<label class="check" key=${name}>
      <input type="checkbox" name="event" value=${name} defaultChecked=${AT_FIRST.has(name)} /> <code>${name}</code></label>`)}</fieldset>
    <button type="submit" class="button button-primary" disabled=${work.busy}>${text.submit}</button>
    ${work.error && html`<p class="inline-error" role="alert">${work.error}</p>`}
  </form>`;
}

function Hook({ hook, onChange }) {
  const { id, address, is_enabled: isEnabled } = hook;
  const work = useWork();
  const [asks, setAsks] = useState(false);
  const [turn, setTurn] = useState(0); // the log is read anew
  const [isTested, setTested] = useState(false);
  const path = `${PATH}/${encodeURIComponent(id)}`;
  const test = () => work.run(async () => (await request("POST", `${path}/test`), setTested(true), setTurn(turn + 1)));
  const toggle = () => work.run(async () => (await request("PATCH", path, { body: JSON.stringify({ is_enabled: !isEnabled }) }), onChange()));
  const remove = () => work.run(async () => (await request("DELETE", path), setAsks(false), onChange()));
  const switchWord = isEnabled ? text.disable : text.enable;
  return html`<li class="letter hook">
    <div class="letter-about"><b>${address}</b>
      <small class="muted">${[text.targets[hook.target], text.of(hook.user), hook.description, hook.events.join(", ")].filter(Boolean).join(" · ")}</small>
      <small class=${isEnabled && !hook.failing_since ? "muted" : "form-problem"}>${stateOf(hook)}</small>
      ${isTested && html`<p role="status">${text.tested}</p>`}
      ${work.error && !asks && html`<p class="inline-error" role="alert">${work.error}</p>`}</div>
    <div class="row-actions">
      <button type="button" class="button button-small" disabled=${work.busy || !isEnabled} aria-label=${text.testOf(address)} onClick=${test}>${text.test}</button>
      <button type="button" class="button button-small" disabled=${work.busy} aria-label=${text.switchOf(switchWord, address)} onClick=${toggle}>${switchWord}</button>
      <button type="button" class="button button-small" aria-label=${text.removeOf(address)} onClick=${() => (work.forget(), setAsks(true))}>${text.remove}</button>
    </div>
    <${HookLog} path=${path} turn=${turn} isEnabled=${isEnabled} />
    ${asks && html`<${Confirm} title=${text.removeTitle} text=${text.removeText(address)} action=${text.remove} keep=${text.keep} busy=${work.busy}
      error=${work.error} onConfirm=${remove} onClose=${() => setAsks(false)} />`}
  </li>`;
}

function stateOf({ is_enabled: isEnabled, disabled_reason: why, failing_since: since, failures, last_ok_at: lastOk }) {
  if (!isEnabled) return text.disabled(why);
  const parts = [text.enabled, since && text.failing(failures, shortTime(since)), lastOk ? text.lastOk(shortTime(lastOk)) : text.neverOk];
  return parts.filter(Boolean).join(" · ");
}
