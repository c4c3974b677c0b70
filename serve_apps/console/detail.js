// The open job: its curves and its log beside what the store knows of it.
import { api } from "./api.js";
import { Emitter } from "./emitter.js";
import { MOVES, countsSteps, isWaiting } from "./fold.js";
import { LogBuffer } from "./logbuffer.js";
import { MetricSeries, rowOfApi } from "./series.js";

// What a chart of this width can show many times over.
const MOST_ROWS = 20_000;
// Fewer epochs than this make no curve: a young run shows its steps.
export const EPOCHS_FOR_CURVE = 3;
const FIRST_LINES = 1000;
// How far back each press of "older" reaches, in lines; the API gives no more than the last.
const OLDER_LINES = [5_000, 20_000, 50_000];
// The place in the queue, and facts that the stream does not carry, are read again this often.
const QUEUE_MS = 5000;
const SETTLE_MS = 400;
const LOG_RETRY_MS = 3000;

export class JobDetail extends Emitter {
  constructor(store, id) {
    super();
    this.store = store;
    this.id = id;
    this.error = null;
    this.series = this.#newSeries();
    this.items = null; // of an image set, once they are loaded
    this.itemsError = null;
    this.hasSteps = false; // the steps of the past are loaded
    this.log = new LogBuffer();
    this.logState = { loaded: false, error: null, hasOlder: false };
    this.reach = 0; // presses of "older"
    this.logWork = Promise.resolve();
    this.waitingLines = null; // chunks that came while the log is being read
    this.logTimer = null;
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
    void this.#loadLog(() => ({ tail: FIRST_LINES }));
    return () => {
      this.closing.abort();
      this.store.takers.delete(this);
      forget();
      clearInterval(queue);
      clearTimeout(this.timer);
      clearTimeout(this.logTimer);
    };
  }

  /** The connection stands and carries the log from here on: read what came before it. */
  streamOpened() {
    void this.#loadLog(() => (this.log.newest > 0 ? { after: this.log.newest } : { tail: FIRST_LINES }));
  }

  /** Everything anew: the stream does not continue what is held. */
  fresh() {
    void this.#loadJob();
    this.series = this.#newSeries();
    void this.#loadEpochs();
    if (this.hasSteps) void this.#loadMetrics("step");
    this.log.clear();
    this.reach = 0;
    void this.#loadLog(() => ({ tail: FIRST_LINES }));
  }

  take(event) {
    if (event.job_id !== this.id) return;
    if (event.kind === "metrics") this.series.add(event.data);
    else if (event.kind === "log") this.#takeLines(event);
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

  /** Reach further back into the log. */
  async loadOlder() {
    const tail = OLDER_LINES[Math.min(this.reach, OLDER_LINES.length - 1)];
    this.reach += 1;
    await this.#loadLog(() => ({ tail }));
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
    if (this.series.epochs().length < EPOCHS_FOR_CURVE) this.loadSteps();
  }

  async #loadMetrics(level) {
    const series = this.series;
    await this.#try(
      async () => {
        const { metrics } = await api.metrics(this.id, { level, limit: MOST_ROWS }, this.closing.signal);
        for (const row of metrics) series.add(rowOfApi(row));
      },
      (error) => {
        this.error ??= error;
      },
    );
  }

  /** Read lines; `reach` gives the query when its turn comes, for reads run one after another. Lines
   *  that the stream brings meanwhile wait, so that the order is kept. */
  #loadLog(reach) {
    this.waitingLines ??= [];
    this.logWork = this.logWork.then(() => this.#readLog(reach()));
    return this.logWork;
  }

  async #readLog(params) {
    const log = this.log;
    await this.#try(
      async () => {
        const chunks = await api.logs(this.id, params, this.closing.signal);
        if (params.tail) {
          log.extend(chunks);
          const lines = chunks.reduce((sum, chunk) => sum + chunk.lines.length, 0);
          this.logState.hasOlder = lines >= params.tail && this.reach < OLDER_LINES.length;
        } else {
          log.append(chunks);
        }
        log.append(this.waitingLines?.splice(0) ?? []);
        this.logState.loaded = true;
        this.logState.error = null;
        this.waitingLines = null;
      },
      (error) => {
        if (error.status === 404 || error.status === 422) return; // no such job; the page says so
        this.logState.error = error.message;
        clearTimeout(this.logTimer);
        this.logTimer = setTimeout(() => this.streamOpened(), LOG_RETRY_MS);
      },
    );
  }

  #takeLines({ id, at, data: { rank, attempt, lines } }) {
    const chunk = { id, at, rank, attempt, lines };
    if (this.waitingLines) this.waitingLines.push(chunk);
    else this.log.append([chunk]);
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
