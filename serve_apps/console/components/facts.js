// Files of a job, what it found out about itself, and how it was configured.
import { html } from "../dom.js";
import { artifactUrl } from "../api.js";
import { isFinal } from "../fold.js";
import { bytes, dateTime } from "../format.js";
import { strings } from "../strings.js";
import { CopyButton } from "./copy.js";

const text = strings.job;
// Shown elsewhere, or too long for a line.
const SHOWN_ELSEWHERE = new Set([
  "confusion_matrix", "dataset_size", "train_samples", "val_samples",
  "provider", "provider_id", "provider_url", "provider_version", "cost_estimate_usd", "cost_usd", "images_total",
  "images_done", "images_failed", "success_rate", "input_images_url", "trigger_word", "captioning", "training_steps",
  "predict_time", "total_time", "dataset_address", "sample_prompts",
]);

export function Artifacts({ job }) {
  const files = job.artifacts.filter(({ type }) => type !== "sample"); // those are shown beside the curves
  if (job.kind === "image_set" && files.length === 0) return null; // its images are shown above
  return html`<section class="panel" aria-labelledby="artifacts">
    <div class="panel-head"><h2 id="artifacts">${text.artifacts}</h2></div>
    ${files.length === 0
      ? html`<p class="panel-note">${isFinal(job) ? text.noArtifactsFinal : text.noArtifacts}</p>`
      : html`<ul>
          ${files.map((artifact) => html`<${Artifact} key=${artifact.name} id=${job.id} artifact=${artifact} />`)}
        </ul>`}
  </section>`;
}

function Artifact({ id, artifact }) {
  const { name, type, uri, size_bytes: size, created_at: at } = artifact;
  const notes = [type, size === null ? null : bytes(size), dateTime(at)].filter(Boolean);
  return html`<li class="artifact">
    <span class="artifact-name"><a href=${artifactUrl(id, name)} download aria-label=${text.download(name)}>${name}</a>
      <small class="num">${notes.join(" · ")}</small></span>
    <${CopyButton} text=${uri} label=${text.copyUri(name)} />
  </li>`;
}

export function Facts({ job }) {
  const own = Object.entries(job.facts).filter(([name]) => !SHOWN_ELSEWHERE.has(name));
  const submission = job.provider ? null : job.submission_id;
  const pairs = [[text.id, job.id], [text.submission, submission], ...own].filter(([, value]) => value !== null);
  return html`<${Pairs} id="facts" heading=${text.facts} pairs=${pairs} />`;
}

export function Config({ job }) {
  return html`<${Pairs} id="config" heading=${text.config} pairs=${Object.entries(job.config)} columns />`;
}

function Pairs({ id, heading, pairs, columns = false }) {
  return html`<section class="panel" aria-labelledby=${id}>
    <div class="panel-head"><h2 id=${id}>${heading}</h2></div>
    <dl class=${columns ? "pairs pairs-columns" : "pairs"}>
      ${pairs.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${shown(value)}</dd></div>`)}
    </dl>
  </section>`;
}

function shown(value) {
  if (value === null) return html`<span class="muted">${strings.job.unset}</span>`;
  if (typeof value === "number") return String(value); // as it was written
  if (typeof value === "boolean") return value ? strings.job.yes : strings.job.no;
  if (typeof value === "string") return value;
  if (typeof value === "object" && Object.keys(value).length === 0) return html`<span class="muted">${strings.job.unset}</span>`;
  if (Array.isArray(value) && value.every((item) => typeof item !== "object")) return value.map(String).join(", ");
  return html`<code>${JSON.stringify(value)}</code>`;
}

export function Details({ job }) {
  return html`<div class="details">
    <div><${Artifacts} job=${job} /><${Facts} job=${job} /></div>
    <${Config} job=${job} />
  </div>`;
}
