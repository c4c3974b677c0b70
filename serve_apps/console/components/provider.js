// A job at a provider: where to look there, what it costs, and asking for news at once.
import { html, useState } from "../dom.js";
import { api } from "../api.js";
import { isFinal } from "../fold.js";
import { ABSENT, clockTime, dollars, duration } from "../format.js";
import { strings } from "../strings.js";
import { provider as text } from "../strings-remote.js";

export function Provider({ job, detail }) {
  const name = strings.backends[job.provider] ?? job.provider;
  const isWeb = /^https?:\/\//.test(job.provider_url ?? "");
  return html`<section class="panel provider" aria-labelledby="provider">
    <div class="panel-head">
      <h2 id="provider">${text.heading(name)}</h2>
      <span class="spacer"></span>
      ${!isFinal(job) && html`<${Sync} job=${job} detail=${detail} />`}
      ${isWeb &&
      html`<a class="button button-small" href=${job.provider_url} target="_blank" rel="noopener noreferrer">
        ${text.page(name)} ↗</a>`}
    </div>
    <dl class="pairs pairs-columns">
      ${pairsOf(job).map(([label, value]) => html`<div key=${label}><dt>${label}</dt><dd>${value}</dd></div>`)}
    </dl>
  </section>`;
}

function pairsOf(job) {
  const seconds = (value) => (Number.isFinite(value) ? duration(value * 1000) : null);
  return [
    [text.id, job.kind === "image_set" ? null : (job.provider_id ?? ABSENT)], // each image has its own
    [text.cost, Number.isFinite(job.cost_usd) ? `${dollars(job.cost_usd)} (${text.measured})` : null],
    [text.estimate, dollars(job.cost_estimate_usd) || null],
    [text.trigger, job.trigger_word ?? job.config.trigger_word ?? null],
    [text.captioning, job.captioning ?? job.config.captioning ?? null],
    [text.steps, job.training_steps ?? job.config.steps ?? null],
    [text.worked, seconds(job.predict_time)],
    [text.total, seconds(job.total_time)],
    [text.version, job.provider_version],
    [text.dataset, job.input_images_url],
  ].filter(([, value]) => value !== null && value !== undefined);
}

function Sync({ job, detail }) {
  const [busy, setBusy] = useState(false);
  const [note, setNote] = useState(null);
  const sync = async () => {
    setBusy(true);
    try {
      await api.sync(job.id);
      setNote({ words: text.synced(clockTime(new Date().toISOString())) });
      detail.reload();
    } catch (error) {
      setNote({ words: error.message, isError: true });
    }
    setBusy(false);
  };
  return html`
    ${note && html`<span class=${note.isError ? "provider-error" : "muted"} role=${note.isError ? "alert" : "status"}>${note.words}</span>`}
    <button type="button" class="button button-small" title=${text.syncHelp} disabled=${busy} onClick=${sync}>
      ${busy ? text.syncing : text.sync}</button>`;
}
