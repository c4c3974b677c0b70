// What the page knows: jobs by id, kept true by the stream. The list and the open job stand on it.
//
// An answer of the API says up to which event it is true (`last_event_id`). Events up to there are
// in it already; later ones are folded in, also those that overtook the answer (`recent`). So there
// is no gap and no double between loading and streaming, in whatever order they come.
import { Emitter } from "./emitter.js";
import { fold } from "./fold.js";

// Events that may have overtaken an answer which is on its way.
const RECENT_EVENTS = 5000;

export class Store extends Emitter {
  constructor() {
    super();
    this.jobs = new Map(); // id -> {job, seen}; seen: the last event that is in it
    this.deleted = new Set();
    this.recent = [];
    this.takers = new Set(); // told every event: the list and the open job
    this.onAnswer = () => {}; // told how far the first answers of the API reach
  }

  job(id) {
    return this.jobs.get(id)?.job ?? null;
  }

  /** Take over a job as the API gave it, true up to event `seen`. The stream may be further on than
   *  the answer: what came since is folded in again. */
  put(job, seen) {
    if (this.deleted.has(job.id)) return;
    const entry = { job: { ...this.job(job.id), ...job }, seen };
    this.jobs.set(job.id, entry);
    for (const event of this.recent) if (event.job_id === job.id) this.#apply(entry, event);
    this.changed();
  }

  /** Take the server's own sum of a job, true up to event `event_id`. */
  status(message) {
    const entry = this.jobs.get(message.job_id);
    if (!entry || entry.seen > message.event_id) return;
    const { event, job_id, event_id, timestamp, reason, metrics, ...fields } = message;
    entry.job = { ...entry.job, ...fields, ...metrics };
    entry.seen = event_id;
    this.changed();
  }

  /** Take events of the stream, in order. */
  take(events) {
    for (const event of events) {
      const entry = this.jobs.get(event.job_id);
      if (event.kind === "deleted") {
        this.jobs.delete(event.job_id);
        this.deleted.add(event.job_id);
      } else if (entry) {
        this.#apply(entry, event);
      }
      if (event.kind !== "log") this.recent.push(event);
      for (const taker of this.takers) taker.take(event);
    }
    if (this.recent.length > 2 * RECENT_EVENTS) this.recent = this.recent.slice(-RECENT_EVENTS);
    this.changed();
  }

  /** A stream has begun that does not continue the one before: everything is read anew. The server's
   *  history may be another than before, so ids of events that were seen mean nothing any more. */
  fresh() {
    this.recent = [];
    this.deleted.clear();
    for (const entry of this.jobs.values()) entry.seen = -1;
    for (const taker of this.takers) taker.fresh();
  }

  #apply(entry, event) {
    if (event.id <= entry.seen) return;
    entry.job = fold(entry.job, event);
    entry.seen = event.id;
  }
}
