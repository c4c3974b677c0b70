// The open job: its curves and its log beside what the store knows of it.
import { api } from "./api.js";
import { Emitter } from "./emitter.js";
import { MOVES, countsSteps, isWaiting } from "./fold.js";
import { MetricSeries, rowOfApi } from "./series.js";

// Rows of one level that are asked for: more than a chart can draw. Of a longer run the others come with the zoom.
export const MOST_ROWS = 6000;
// Fewer epochs than this make no curve: a young run shows its steps.
export const EPOCHS_FOR_CURVE = 3;
// The place in the queue, and facts that the stream does not carry, are read again this often.
const QUEUE_MS = 5000;
const SETTLE_MS = 400;

export class JobDetail extends Emitter {
  constructor(store, id) {
    super();
    this.store = store;
    this.id = id;
    this.error = null;
    this.series = this.#newSeries();
    this.items = null; // of an image set, once they are loaded
    this.itemsError = null;
    this.hasRead = false; // whether there are any values is known
    this.hasSteps = false; // the steps of the past are loaded
    this.rest = null; // the rows that are left out of a long run, see rest.js
    this.log = null; // its lines, once they come into view
    this.timer = null;
    this.closing = new AbortController();
  }

  get job() {
    return this.store.job(this.id);
  }

  get isDeleted() {
    return this.store.deleted.has(this.id);
  }

  /** Load, and follow the store until the returned function is called. */
  open() {
    this.store.takers.add(this);
    const forget = this.store.subscribe(() => this.tell());
    const queue = setInterval(() => {
      if (!document.hidden && this.job && isWaiting(this.job)) void this.#loadJob();
    }, QUEUE_MS);
    void this.#loadJob();
    void this.#loadEpochs();
    return () => {
      this.closing.abort();
      this.store.takers.delete(this);
      forget();
      clearInterval(queue);
      clearTimeout(this.timer);
    };
  }

  /** The connection stands and carries the log from here on: read what came before it. */
  streamOpened() {
    void this.log?.refresh();
  }

  /** Everything anew: the stream does not continue what is held. */
  fresh() {
    void this.#loadJob();
    this.series = this.#newSeries();
    this.rest = null;
    void this.#loadEpochs();
    if (this.hasSteps) void this.#loadMetrics("step");
    void this.log?.restart();
  }

  take(event) {
    if (event.job_id !== this.id) return;
    if (event.kind === "metrics") this.series.add({ ...event.data, id: event.id, at: Date.parse(event.at) });
    else if (event.kind === "log") this.log?.take(event);
    else if (event.kind === "item") this.items?.put(event.data);
    // What the page folded itself is confirmed by the server's answer.
    else if (MOVES.has(event.kind) && event.kind !== "deleted") this.#loadSoon();
  }

  /** The rows of all steps, once they are wanted. */
  loadSteps() {
    if (this.hasSteps) return;
    this.hasSteps = true;
    void this.#loadMetrics("step");
  }

  /** All rows of a level: a table, a file and an average need them. */
  whole(level) {
    return this.rest?.all(level);
  }

  /** Read the job anew: something was asked of the server that may have changed it. */
  reload() {
    void this.#loadJob();
  }

  /** Forget an error and try again. */
  retry() {
    this.error = null;
    this.fresh();
  }

  #loadSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.#loadJob(), SETTLE_MS);
  }

  async #loadJob() {
    await this.#try(
      async () => {
        const { job, recent_metrics: rows, last_event_id: seen } = await api.job(this.id, this.closing.signal);
        this.series.countsSteps = countsSteps(job);
        for (const row of rows) this.series.add(rowOfApi(row));
        this.store.put(job, seen);
        this.store.onAnswer(seen);
        this.error = null;
        if (job.kind === "image_set") void this.#loadItems();
      },
      (error) => {
        this.error = error;
        this.store.onAnswer(null);
      },
    );
  }

  async #loadItems() {
    await this.#try(
      async () => {
        // Before the list is read, so that no event falls between the two.
        this.items ??= new (await import("./imageitems.js")).ImageItems();
        const { items } = await api.imageSet(this.id, this.closing.signal);
        for (const item of items) this.items.put(item);
        this.itemsError = null;
      },
      (error) => {
        this.itemsError = error.message;
      },
    );
  }

  #newSeries() {
    const series = new MetricSeries();
    series.countsSteps = countsSteps(this.job);
    return series;
  }

  async #loadEpochs() {
    await this.#loadMetrics("epoch");
    this.hasRead = true;
    this.tell(); // the first curves wait for no period
    if (this.series.epochs().length < EPOCHS_FOR_CURVE) this.loadSteps();
  }

  async #loadMetrics(level) {
    const series = this.series;
    await this.#try(
      async () => {
        const { metrics, thinned } = await api.metrics(this.id, { level, most: MOST_ROWS }, this.closing.signal);
        for (const row of metrics) series.add(rowOfApi(row));
        if (!thinned) return;
        const { Rest } = await import("./rest.js");
        if (series === this.series) (this.rest ??= new Rest(this)).leftOut(level);
      },
      (error) => {
        this.error ??= error;
      },
    );
  }

  async #try(load, failed) {
    try {
      await load();
    } catch (error) {
      if (error.name === "AbortError") return;
      failed(error);
    }
    this.changed();
  }
}
