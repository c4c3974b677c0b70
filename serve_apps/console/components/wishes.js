// What a running training can be asked for beside its end: save, draw samples, stop and keep.
import { html, useState } from "../dom.js";
import { api } from "../api.js";
import { clockTime } from "../format.js";
import { wishes as text } from "../strings-lora.js";
import { Confirm } from "./dialog.js";

export function Wishes({ job }) {
  const [busy, setBusy] = useState(null);
  const [asks, setAsks] = useState(false); // the question before the end is open
  const [error, setError] = useState(null);
  const ask = async (what) => {
    setBusy(what);
    setError(null);
    try {
      await api.ask(job.id, what);
      setAsks(false);
    } catch (problem) {
      setError(problem.message);
    }
    setBusy(null);
  };
  const names = job.config.sample_prompts?.length ? ["save", "sample"] : ["save"];
  const newest = Object.entries(job.asked).sort(([, a], [, b]) => Date.parse(b) - Date.parse(a))[0];
  return html`
    ${names.map(
      (what) => html`<button type="button" class="button" key=${what} title=${text[what].help} disabled=${busy !== null}
        onClick=${() => ask(what)}>${text[what].label}</button>`,
    )}
    <button type="button" class="button" title=${text.finish.help} disabled=${busy !== null} onClick=${() => setAsks(true)}>
      ${text.finish.label}</button>
    <p class="wishes-note muted" role="status">${newest && text.asked(text[newest[0]]?.label ?? newest[0], clockTime(newest[1]))}</p>
    ${error && !asks && html`<p class="inline-error" role="alert">${error}</p>`}
    ${asks &&
    html`<${Confirm} title=${text.finishTitle} text=${text.finishText(job.job_name)} action=${text.finish.label}
      keep=${text.goOn} isDanger=${false} busy=${busy !== null} error=${error} onConfirm=${() => ask("finish")}
      onClose=${() => setAsks(false)} />`}`;
}
