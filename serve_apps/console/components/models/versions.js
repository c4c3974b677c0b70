// The versions of a model, the newest first: what each is, notes, aliases, download, the way out.
import { html, useRef, useState } from "../../dom.js";
import { endpoint, request } from "../../api.js";
import { bytes, dateTime, number } from "../../format.js";
import { jobHref } from "../../router.js";
import { models as text } from "../../strings-models.js";
import { Confirm } from "../dialog.js";
import { CopyButton } from "../copy.js";
import { useWork } from "../load.js";
import { Aliases } from "./aliases.js";

export function Versions({ path, model, versions, onChange, onGone, onLineage, onMore }) {
  return html`<section class="panel" aria-labelledby="versions">
    <div class="panel-head"><h2 id="versions">${text.versions}</h2></div>
    <ul>${versions.map(
      (version) => html`<${Version} key=${version.version} path=${path} model=${model} of=${version} onChange=${onChange}
        onGone=${onGone} onLineage=${onLineage} />`,
    )}</ul>
    ${onMore && html`<div class="list-foot"><button type="button" class="button" onClick=${onMore}>${text.more}</button></div>`}
  </section>`;
}

function Version({ path, model, of, onChange, onGone, onLineage }) {
  const place = `${path}/versions/${of.version}`;
  const [asks, setAsks] = useState(false);
  const work = useWork();
  const remove = async () => {
    if (await work.run(() => request("DELETE", place))) {
      setAsks(false);
      onGone();
    }
  };
  return html`<li class="version" aria-label=${text.version(of.version)}>
    <div class="version-head">
      <h3 class="num">${text.version(of.version)}</h3>
      <${Aliases} path=${path} model=${model} version=${of.version} own=${of.aliases} onChange=${onChange} />
      <span class="spacer"></span>
      <span class="version-actions">
        <button type="button" class="button button-small" onClick=${() => onLineage(of.version)}>${text.lineage}</button>
        <${CopyButton} text=${of.model_url} label=${text.copyLink(of.version)} />
        <a class="button button-small" href=${endpoint(`${place}/${of.storage_key.split("/").at(-1)}`).pathname} download
          aria-label=${text.downloadOf(of.version)}>${text.download}</a>
        <button type="button" class="button button-small" aria-label=${text.removeOf(of.version)} onClick=${() => setAsks(true)}>${text.remove}</button>
      </span>
    </div>
    <p class="version-facts num">${factsOf(of).map((fact) => html`<span key=${fact}>${fact}</span>`)}
      <a href=${jobHref(of.job_id)}>${text.chain.job} ${of.job_id.slice(-8)}</a></p>
    <${Notes} place=${place} of=${of} onChange=${onChange} />
    ${asks &&
    html`<${Confirm} title=${text.removeTitle(of.version)} text=${text.removeText(of.model, of.version)} action=${text.remove}
      busy=${work.busy} error=${work.error} onConfirm=${remove} onClose=${() => (work.forget(), setAsks(false))} />`}
  </li>`;
}

function factsOf({ size_bytes: size, created_at: at, config }) {
  const { trigger, steps, learning_rate: rate, frame_count: frames } = config;
  return [
    bytes(size),
    dateTime(at),
    trigger && text.trigger(trigger),
    steps && text.steps(steps),
    rate && text.rate(number(rate)),
    frames && text.frames(frames),
  ].filter(Boolean);
}

function Notes({ place, of, onChange }) {
  const [edits, setEdits] = useState(false);
  const work = useWork();
  const field = useRef(null);
  const save = async (event) => {
    event.preventDefault();
    const notes = field.current.value.trim();
    if (await work.run(() => request("PATCH", place, { body: JSON.stringify({ notes }) }))) {
      setEdits(false);
      onChange();
    }
  };
  const keys = (event) => {
    if (event.key === "Escape") setEdits(false);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void save(event);
  };
  if (!edits) {
    return html`<div class="version-notes">${of.notes && html`<p>${of.notes}</p>`}
      <button type="button" class="link-button" onClick=${() => setEdits(true)}
        aria-label=${`${of.notes ? text.edit : text.addNotes}: ${text.notesOf(of.version)}`}>${of.notes ? text.edit : text.addNotes}</button></div>`;
  }
  return html`<form class="version-notes" onSubmit=${save} onKeyDown=${keys}>
    <textarea class="field" ref=${field} rows="3" maxlength="5000" aria-label=${text.notesOf(of.version)}
      onFocus=${(event) => event.target.setSelectionRange(of.notes.length, of.notes.length)} autofocus>${of.notes}</textarea>
    <span class="version-actions"><button type="submit" class="button button-small button-primary" disabled=${work.busy}>${text.save}</button>
      <button type="button" class="button button-small" onClick=${() => setEdits(false)}>${text.cancel}</button></span>
    ${work.error && html`<p class="inline-error" role="alert">${work.error}</p>`}
  </form>`;
}
