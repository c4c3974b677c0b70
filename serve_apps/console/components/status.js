// A job's status as an icon of its own shape and a word; the colour only repeats what these say.
import { html } from "../dom.js";
import { strings } from "../strings.js";

const SHAPES = {
  queued: html`<circle cx="8" cy="8" r="5.5" /><path d="M8 5v3.2l2 1.3" />`,
  pending: html`<path d="M4.5 2.5h7M4.5 13.5h7" />
    <path d="M5.5 2.5c0 3 5 4 5 5.5s-5 2.5-5 5.5M10.5 2.5c0 3-5 4-5 5.5s5 2.5 5 5.5" />`,
  running: html`<circle class="icon-track" cx="8" cy="8" r="5.5" />
    <path class="icon-spin" d="M8 2.5a5.5 5.5 0 0 1 5.5 5.5" />`,
  completed: html`<circle cx="8" cy="8" r="5.5" /><path d="M5.5 8.200l1.800 1.800 3.300-3.700" />`,
  failed: html`<path d="M8 2.200l6 11H2zM8 6.500v3M8 11.3v.2" />`,
  cancelled: html`<circle cx="8" cy="8" r="5.5" /><path d="M4.200 11.800l7.600-7.600" />`,
};

/** What to call a job's status: one that was asked to stop and has not yet is "cancelling". */
export function statusOf(job) {
  const isFinal = ["completed", "failed", "cancelled"].includes(job.status);
  if (job.delete_requested) return { shape: job.status, label: strings.status.deleting, isFinal };
  if (job.cancel_requested && !isFinal) return { shape: job.status, label: strings.status.cancelling, isFinal };
  return { shape: job.status, label: strings.status[job.status] ?? job.status, isFinal };
}

export function Status({ job }) {
  const { shape, label } = statusOf(job);
  return html`<span class=${`status status-${shape}`} title=${strings.statusHelp[shape]}>
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">${SHAPES[shape]}</svg>
    <span>${label}</span>
  </span>`;
}
