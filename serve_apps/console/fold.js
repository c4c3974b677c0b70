// (job, event) -> job, as far as the page shows it. Pure.
// The server's own fold decides; this one spares a request for every event and is put right by the
// next answer of the API. Events come in the order of their ids; old ones are dropped before this.
import { artifactUrl } from "./api.js";

const FINAL = { succeeded: "completed", failed: "failed", cancelled: "cancelled" };
const HEADLINE = ["train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate"];
// Facts that the API also gives as members of the job.
const OWN_FACTS = [
  "provider_id", "provider_url", "provider_version", "cost_estimate_usd", "cost_usd", "images_total", "images_done",
  "images_failed", "input_images_url", "trigger_word", "captioning", "training_steps", "predict_time", "total_time",
];
// 100 belongs to success alone.
const MOST_RUNNING_PERCENT = 99;

export const isFinal = (job) => job.status === "completed" || job.status === "failed" || job.status === "cancelled";
export const isWaiting = (job) => job.status === "queued" || job.status === "pending";

/** True for a run whose curves count steps, as those of LoRA trainings do. */
export const countsSteps = (job) => job?.kind === "lora" || (Boolean(job?.provider) && !job.total_epochs);

/** True for a job that can be asked to save, to draw samples, or to end with its result kept. */
export const listens = (job) =>
  job.kind === "lora" && job.backend === "ray" && job.status === "running" && !job.cancel_requested;

/** The kinds after which a job may stand elsewhere in lists and queue. */
export const MOVES = new Set([
  "created", "pending", "scheduled", "started", "retried", "parked", "succeeded", "failed", "cancelled", "deleted",
]);

/** The job after an event `{kind, data, at}`; the same object where nothing changed. */
export function fold(job, event) {
  const change = FOLDS[event.kind]?.(job, event.data, event);
  return change ? { ...job, ...change } : job;
}

const running = (job, data) =>
  isFinal(job) || data.attempt < job.attempt ? {} : { status: "running", attempt: data.attempt, queue_position: null };

const FOLDS = {
  pending(job, data) {
    if (isFinal(job) || data.attempt < job.attempt) return null;
    return { status: "pending", attempt: data.attempt, reason: data.reason };
  },
  scheduled(job, data) {
    if (isFinal(job) || data.attempt < job.attempt) return null;
    return { status: "queued", attempt: data.attempt, submission_id: data.submission_id, queue_position: null, reason: null };
  },
  prioritized: (job, data) => ({ priority: data.priority }),
  started: (job, data, { at }) => ({ ...running(job, data), started_at: job.started_at ?? at }),
  stage: (job, data) => (data.attempt < job.attempt ? null : { ...running(job, data), stage: data.name }),
  progress(job, data, { at }) {
    const change = { ...running(job, data), current_epoch: Math.max(job.current_epoch, data.epoch) };
    const percent = Math.min(data.percent, MOST_RUNNING_PERCENT);
    if (percent > job.progress_percent) Object.assign(change, { progress_percent: percent, progress_origin: data.origin });
    if (data.eta_seconds !== null && data.attempt >= job.attempt) {
      change.eta_at = new Date(Date.parse(at) + data.eta_seconds * 1000).toISOString();
    }
    return change;
  },
  described(job, { facts }) {
    const change = job.facts ? { facts: { ...job.facts, ...facts } } : {};
    for (const name of OWN_FACTS) if (name in facts && name in job) change[name] = facts[name];
    return change;
  },
  metrics(job, { values, epoch }) {
    const change = {};
    for (const name of HEADLINE) if (name in values) change[name] = values[name];
    const loss = values.val_loss;
    if (Number.isFinite(loss) && !(job.best_val_loss <= loss && job.best_val_loss !== null)) {
      change.best_val_loss = loss;
      change.best_epoch = epoch;
    }
    if (job.metrics) change.metrics = { ...job.metrics, ...values };
    return change;
  },
  artifact(job, data, { at }) {
    if (!job.artifacts) return null;
    const { name, type, uri, size_bytes, sha256 } = data;
    const added = { name, type, uri, size_bytes, sha256, created_at: at, url: artifactUrl(job.id, name) };
    const others = job.artifacts.filter((known) => known.name !== name);
    return { artifacts: [...others, added].sort((a, b) => (a.name < b.name ? -1 : 1)) };
  },
  cancel_requested: (job, data) => ({ cancel_requested: true, delete_requested: job.delete_requested || data.delete }),
  asked: (job, data, { at }) => (job.asked ? { asked: { ...job.asked, [data.what]: at } } : null),
  retried(job, data) {
    if (isFinal(job) || data.attempt < job.attempt) return null;
    // A new submission waits again; a restart inside one goes on running.
    return { attempt: data.attempt, retry_message: data.message, status: data.restart === 0 ? "queued" : "running" };
  },
  parked(job, data) {
    // Nothing of it runs until a person approves: the stage says for what.
    if (isFinal(job) || data.attempt + 1 < job.attempt) return null;
    return { attempt: data.attempt + 1, status: "pending", reason: job.stage, queue_position: null };
  },
  succeeded: end,
  failed: end,
  cancelled: end,
};

function end(job, data, { kind, at }) {
  if (isFinal(job)) return null;
  const change = { status: FINAL[kind], completed_at: at, eta_at: null, queue_position: null, reason: null };
  if (kind === "succeeded") change.progress_percent = 100;
  if (kind === "failed") Object.assign(change, { failure: data.reason, error_message: data.message });
  return change;
}
