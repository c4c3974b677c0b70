// A finished LoRA training becomes a version of a model, or is one already.
import { html, useEffect, useRef, useState } from "../dom.js";
import { request } from "../api.js";
import { modelHref } from "../router.js";
import { strings } from "../strings.js";
import { keepVersion as text } from "../strings-lora.js";
import { useLoad, useWork } from "./load.js";

const NAME = "[A-Za-z0-9][A-Za-z0-9._\\-]{0,99}"; // what the server takes

export function KeepVersion({ job }) {
  const { value } = useLoad(job.id, (signal) => request("GET", "../models", { params: { limit: 200 }, signal }));
  const [made, setMade] = useState(null);
  const [isOpen, setOpen] = useState(false);
  const link = useRef(null);
  useEffect(() => void (made && link.current?.focus()), [made]); // the button that had the focus is gone
  const models = value?.models ?? [];
  const version = made ?? models.find(({ latest }) => latest.job_id === job.id)?.latest;
  if (version) return html`<a class="button" href=${`${modelHref(version.model)}?v=${version.version}`} ref=${link}>${text.made(version.model, version.version)}</a>`;
  return html`<button type="button" class="button" title=${text.help} onClick=${() => setOpen(true)}>${text.make}</button>
    ${isOpen && html`<${Question} job=${job} names=${models.map(({ name }) => name)} onClose=${() => setOpen(false)}
      onMade=${(found) => (setOpen(false), setMade(found))} />`}`;
}

function Question({ job, names, onClose, onMade }) {
  const dialog = useRef(null);
  const { busy, error, run } = useWork();
  const [name, setName] = useState(() => suggested(job, names));
  useEffect(() => {
    const before = document.activeElement;
    dialog.current.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  const submit = (event) => {
    event.preventDefault();
    void run(async () => onMade(await request("POST", `../models/${encodeURIComponent(name.trim())}/versions`, { body: JSON.stringify({ job_id: job.id }) })));
  };
  return html`<dialog class="dialog" ref=${dialog} aria-labelledby="keep-version" onClose=${onClose}>
    <form onSubmit=${submit}>
      <h2 id="keep-version">${text.title}</h2>
      <p>${text.explain}</p>
      <label class="dialog-field">${text.model}
        <input class="field" list="model-names" required pattern=${NAME} maxlength="100" autocomplete="off" spellcheck=${false} value=${name}
          title=${text.nameHelp} onInput=${({ target }) => setName(target.value)} /></label>
      <datalist id="model-names">${names.map((known) => html`<option key=${known} value=${known}></option>`)}</datalist>
      <p class="muted">${names.includes(name.trim()) ? text.next(name.trim()) : text.nameHelp}</p>
      ${error && html`<p class="dialog-error" role="alert">${error}</p>`}
      <div class="dialog-actions">
        <button type="button" class="button" onClick=${() => dialog.current.close()}>${strings.actions.back}</button>
        <button type="submit" class="button button-primary" disabled=${busy}>${busy ? strings.actions.working : text.make}</button>
      </div>
    </form>
  </dialog>`;
}

/** The model of the same name as the job or its trigger word, else a name made of the job's. */
function suggested(job, names) {
  const made = (word) => (word ?? "").trim().replaceAll(/[^A-Za-z0-9._-]+/g, "-").replaceAll(/^[^A-Za-z0-9]+|-+$/g, "").slice(0, 100);
  const words = [job.job_name, job.trigger_word].map(made).filter(Boolean);
  return words.find((word) => names.includes(word)) ?? words[0] ?? "";
}
