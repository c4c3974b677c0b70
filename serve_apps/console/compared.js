// Jobs whose curves are drawn beside others: read once, then grown by the stream.
import { api } from "./api.js";
import { MOST_ROWS } from "./detail.js";
import { Emitter } from "./emitter.js";
import { countsSteps } from "./fold.js";
import { MetricSeries, rowOfApi } from "./series.js";

export class Compared extends Emitter {
  constructor(store) {
    super();
    this.store = store;
    this.jobs = []; // {id, name, series, levels: Set}
    this.version = 0;
    this.closing = new AbortController();
  }

  /** Follow the stream until the returned function is called. */
  open() {
    this.closing = new AbortController();
    this.store.takers.add(this);
    return () => {
      this.store.takers.delete(this);
      this.closing.abort();
    };
  }

  has = (id) => this.jobs.some((job) => job.id === id);

  /** Add a job, `{id, job_name, …}` as the API gives it. */
  add(job, level) {
    if (this.has(job.id)) return;
    const series = new MetricSeries();
    series.countsSteps = countsSteps(job);
    this.jobs = [...this.jobs, { id: job.id, name: job.job_name, series, levels: new Set() }];
    this.load(level);
  }

  remove(id) {
    this.jobs = this.jobs.filter((job) => job.id !== id);
    this.#change();
  }

  /** Have the rows of this level of all jobs. */
  load(level) {
    for (const job of this.jobs) {
      if (job.levels.has(level)) continue;
      job.levels.add(level);
      void this.#read(job, level);
    }
    this.#change();
  }

  take(event) {
    const job = event.kind === "metrics" && this.jobs.find(({ id }) => id === event.job_id);
    if (job && job.series.add({ ...event.data, at: Date.parse(event.at) })) this.#change();
  }

  fresh() {
    for (const job of this.jobs) for (const level of job.levels) void this.#read(job, level);
  }

  async #read(job, level) {
    try {
      const { metrics } = await api.metrics(job.id, { level, most: MOST_ROWS }, this.closing.signal);
      for (const row of metrics) job.series.add(rowOfApi(row));
      this.#change();
    } catch {
      job.levels.delete(level); // asked for again with the next change of level
    }
  }

  #change() {
    this.version += 1;
    this.changed();
  }
}

/** Jobs to choose from, the newest first. */
export const findJobs = async (name, signal) => (await api.jobs({ name, limit: 50 }, signal)).jobs;
