// How far a run is: a bar, its stage, epochs, and the time left.
import { html, useNow } from "../dom.js";
import { duration, percent } from "../format.js";
import { isFinal } from "../fold.js";
import { strings } from "../strings.js";

const text = strings.job;

export function ProgressBar({ job, large = false }) {
  return html`<progress class=${`progress progress-${job.status}${large ? " progress-large" : ""}`} max="100"
    value=${job.progress_percent} aria-label=${strings.jobs.columns.progress}></progress>`;
}

/** The bar with one line of text, for a row of the list. */
export function ProgressLine({ job }) {
  const isOver = isFinal(job);
  return html`<${ProgressBar} job=${job} />
    <p class="job-progress-text">
      <span>${percent(job.progress_percent)}</span>
      <span>${isOver ? reached(job) : (job.stage ?? "")}</span>
      ${!isOver && job.eta_at && html`<${Eta} at=${job.eta_at} />`}
      ${job.progress_origin !== "reported" && html`<${Origin} job=${job} />`}
    </p>`;
}

/** How far a run came, in its own unit; empty where that is neither epochs nor images. */
export function reached(job) {
  if (job.images_total) return strings.jobs.images(job.images_done ?? 0, job.images_total);
  if (job.kind === "video_lora") return ""; // its stages tell
  return job.total_epochs || !job.provider ? text.epoch(job.current_epoch, job.total_epochs) : "";
}

/** Where the percentage is from. */
export function Origin({ job }) {
  const origin = text.origin[job.progress_origin];
  if (!origin || isFinal(job)) return null;
  return html`<span class=${`origin origin-${job.progress_origin}`} title=${origin.help}>${origin.label}</span>`;
}

/** The time left, counted down between reports. */
export function Eta({ at }) {
  const left = Date.parse(at) - useNow(1000);
  return html`<span>${left > 1000 ? text.eta(duration(left)) : text.etaDue}</span>`;
}
