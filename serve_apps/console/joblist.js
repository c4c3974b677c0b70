// The list of jobs under one filter: pages by cursor, new jobs at the top, rows that no longer fit gone.
import { api } from "./api.js";
import { MOVES, isWaiting } from "./fold.js";
import { Emitter } from "./emitter.js";

const PAGE = 50;
// At most one look at the first page in this time, however many jobs move.
const REFRESH_MS = 1000;
// Places in the queue change without an event of their own.
const QUEUE_MS = 8000;

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
  /** `filter` is a key of STATUSES, `name` a part of the name. */
  constructor(store, { filter, name }) {
    super();
    this.store = store;
    this.statuses = STATUSES[filter] ?? [];
    this.name = name;
    this.ids = [];
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
    this.forget = this.store.subscribe(() => this.tell());
    this.queueTimer = setInterval(() => {
      if (!document.hidden && this.rows().some(isWaiting)) this.refreshSoon();
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

  rows() {
    return this.ids.map((id) => this.store.job(id)).filter((job) => job !== null && this.#fits(job));
  }

  take(event) {
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
    const page = await this.#fetch({});
    if (!page || page.last_event_id < this.seen) return; // a later answer was quicker
    const last = page.jobs.at(-1);
    const isWhole = page.next_cursor === null;
    const loaded = new Set(page.jobs.map((job) => job.id));
    const beyond = isWhole
      ? []
      : this.ids.filter((id) => {
          const job = this.store.job(id);
          return job !== null && !loaded.has(id) && newerFirst(job, last) > 0;
        });
    this.ids = [...page.jobs.map((job) => job.id), ...beyond];
    if (beyond.length === 0) this.nextCursor = page.next_cursor;
    this.seen = page.last_event_id;
    this.loaded = true;
    this.changed();
  }

  /** Load the next page. */
  async more() {
    if (this.loadingMore || this.nextCursor === null) return;
    this.loadingMore = true;
    this.changed();
    const page = await this.#fetch({ cursor: this.nextCursor });
    this.loadingMore = false;
    if (page) {
      const known = new Set(this.ids);
      this.ids = [...this.ids, ...page.jobs.map((job) => job.id).filter((id) => !known.has(id))];
      this.nextCursor = page.next_cursor;
    }
    this.changed();
  }

  async #fetch(params) {
    try {
      const query = { ...params, status: this.statuses, name: this.name, limit: PAGE };
      const page = await api.jobs(query, this.closing.signal);
      for (const job of page.jobs) this.store.put(job, page.last_event_id);
      this.store.onAnswer(page.last_event_id);
      this.total = page.total;
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

  #fits(job) {
    if (this.statuses.length > 0 && !this.statuses.includes(job.status)) return false;
    return !this.name || job.job_name.toLowerCase().includes(this.name.toLowerCase());
  }
}
