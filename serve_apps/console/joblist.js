// The list of jobs under one filter: pages by cursor, new jobs at the top, rows that no longer fit gone. Where nothing
// is filtered, parts of other jobs stand folded under these.
import { api } from "./api.js";
import { MOVES, isWaiting } from "./fold.js";
import { Emitter } from "./emitter.js";

const PAGE = 30; // more than a screen shows
const NEXT_PAGE = 200; // somebody who scrolls on wants many
const MOST_PARTS = 100; // unfolded at once; all of them are one link away
// At most one look at the first page in this time, however many jobs move.
const REFRESH_MS = 1000;
// Places in the queue change without an event of their own.
const QUEUE_MS = 8000;
const QUICKEST_MS = 100;
const SLOWEST_MS = 300;
const NEWEST_FIRST = "-created_at";

export const STATUSES = {
  all: [],
  running: ["running"],
  waiting: ["queued", "pending"],
  completed: ["completed"],
  failed: ["failed"],
  cancelled: ["cancelled"],
};

// Newest first; ids of one instant in the order of the API.
const newerFirst = (a, b) => (a.created_at < b.created_at ? 1 : a.created_at > b.created_at ? -1 : a.id < b.id ? 1 : -1);

export class JobList extends Emitter {
  /** `status` is a key of STATUSES, `name` a part of the name; the others are as the API takes them. */
  constructor(store, { status = "all", name = "", kind = "", backend = "", user = "", tag = "", parent = "", sort = "" } = {}) {
    super();
    this.pace = { since: 0, events: 0 };
    this.store = store;
    this.statuses = STATUSES[status] ?? [];
    this.name = name;
    this.sort = sort || NEWEST_FIRST;
    const isPlain = !this.statuses.length && ![name, kind, backend, user, tag, parent].some(Boolean);
    // Whoever looks for something may look for a part.
    this.query = { status: this.statuses, name, kind, backend, user, tag, parent: isPlain ? "none" : parent, sort: this.sort };
    this.ids = [];
    this.parts = new Map(); // id -> how many parts it has
    this.unfolded = new Map(); // id -> ids of its parts, null until they are loaded
    this.total = 0;
    this.nextCursor = null;
    this.seen = -1;
    this.loaded = false;
    this.loadingMore = false;
    this.error = null;
    this.lastRefresh = 0;
    this.timer = null;
    this.closing = new AbortController();
  }

  /** Load, and follow the store until `close`. */
  open() {
    this.store.takers.add(this);
    this.forget = this.store.subscribe(() => this.changed());
    this.queueTimer = setInterval(() => {
      if (!document.hidden && this.rows().some(({ job }) => isWaiting(job))) this.refreshSoon();
    }, QUEUE_MS);
    void this.refresh();
    return () => this.close();
  }

  close() {
    this.closing.abort();
    this.store.takers.delete(this);
    this.forget();
    clearTimeout(this.timer);
    clearInterval(this.queueTimer);
  }

  /** What is shown, in order: `{job, depth}`, parts that are unfolded after the job that they are of. */
  rows() {
    const rows = [];
    for (const id of this.ids) {
      const job = this.store.job(id);
      if (job === null || !this.#fits(job)) continue;
      rows.push({ job, depth: 0 });
      for (const part of this.unfolded.get(id) ?? []) {
        const found = this.store.job(part);
        if (found !== null) rows.push({ job: found, depth: 1 });
      }
    }
    return rows;
  }

  /** Show or hide the parts of a job. */
  toggle(id) {
    if (this.unfolded.delete(id)) return this.changed();
    this.unfolded.set(id, null);
    return this.#loadParts(id);
  }

  take(event) {
    this.#keepPace(performance.now());
    if (MOVES.has(event.kind) && event.id > this.seen) this.refreshSoon();
  }

  fresh() {
    this.seen = -1;
    void this.refresh();
  }

  refreshSoon() {
    if (this.timer !== null) return;
    const wait = Math.max(0, this.lastRefresh + REFRESH_MS - Date.now());
    this.timer = setTimeout(() => {
      this.timer = null;
      void this.refresh();
    }, wait);
  }

  /** Read the first page anew; what was loaded beyond it stays. */
  async refresh() {
    this.lastRefresh = Date.now();
    const page = await this.#fetch({ ...this.query, limit: PAGE });
    if (!page || page.last_event_id < this.seen) return; // a later answer was quicker
    const beyond = page.next_cursor === null ? [] : this.#beyond(page.jobs);
    this.ids = [...page.jobs.map((job) => job.id), ...beyond];
    if (beyond.length === 0) this.nextCursor = page.next_cursor;
    this.total = page.total;
    this.seen = page.last_event_id;
    if (this.loaded) this.changed();
    else {
      this.loaded = true;
      this.tell(); // the first rows wait for no frame and no period
    }
    for (const [id, held] of this.unfolded) {
      if (held && (this.parts.get(id) ?? 0) !== held.length && held.length < MOST_PARTS) void this.#loadParts(id);
    }
  }

  /** Load the next page. */
  async more() {
    if (this.loadingMore || this.nextCursor === null) return;
    this.loadingMore = true;
    this.changed();
    const page = await this.#fetch({ ...this.query, cursor: this.nextCursor, limit: NEXT_PAGE });
    this.loadingMore = false;
    if (page) {
      const known = new Set(this.ids);
      this.ids = [...this.ids, ...page.jobs.map((job) => job.id).filter((id) => !known.has(id))];
      this.nextCursor = page.next_cursor;
      this.total = page.total;
    }
    this.changed();
  }

  /** What stays behind the first page. Only of the order by time is it known here what stands before it. */
  #beyond(first) {
    const loaded = new Set(first.map((job) => job.id));
    const last = first.at(-1);
    return this.ids.filter((id) => {
      const job = this.store.job(id);
      return job !== null && !loaded.has(id) && (this.sort !== NEWEST_FIRST || newerFirst(job, last) > 0);
    });
  }

  async #loadParts(id) {
    const page = await this.#fetch({ parent: id, sort: "created_at", limit: MOST_PARTS });
    if (!this.unfolded.has(id)) return; // folded again meanwhile
    if (page) this.unfolded.set(id, page.jobs.map((job) => job.id));
    else this.unfolded.delete(id);
    this.changed();
  }

  async #fetch(query) {
    try {
      const page = await api.jobs(query, this.closing.signal);
      for (const job of page.jobs) this.store.put(job, page.last_event_id);
      for (const job of page.jobs) this.parts.set(job.id, page.parts[job.id] ?? 0);
      this.store.onAnswer(page.last_event_id);
      this.error = null;
      return page;
    } catch (error) {
      if (error.name === "AbortError") return null;
      this.error = error;
      this.store.onAnswer(null);
      this.changed();
      return null;
    }
  }

  /** Where many jobs move, rows are drawn together, less often: the eye sees no difference, the processor does. */
  #keepPace(now) {
    const { pace } = this;
    if (now - pace.since > 1000) {
      this.period = Math.min(SLOWEST_MS, Math.max(QUICKEST_MS, 4 * pace.events));
      Object.assign(pace, { since: now, events: 0 });
    }
    pace.events += 1;
  }

  // The rest of a filter never changes, so the API's word holds.
  #fits(job) {
    if (this.statuses.length > 0 && !this.statuses.includes(job.status)) return false;
    return !this.name || job.job_name.toLowerCase().includes(this.name.toLowerCase());
  }
}
