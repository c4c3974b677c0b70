// The small loss curves of the list: loaded when a row comes into view, then grown by the stream.
import { api } from "./api.js";
import { Emitter } from "./emitter.js";
import { countsSteps } from "./fold.js";
import { MetricSeries, rowOfApi } from "./series.js";

const POINTS = 60;
const AT_ONCE = 4; // requests, so that a long list does not push other requests aside
const NAMES = ["train_loss", "val_loss"];

class Spark extends Emitter {
  constructor() {
    super();
    this.period = 500; // the numbers beside it are quick
    this.series = new MetricSeries();
    this.curves = [];
    this.isLoaded = false;
  }

  add(rows) {
    let grown = false;
    const { countsSteps } = this.series;
    for (const row of rows) if ((row.batch !== null) === countsSteps && this.series.add(row)) grown = true;
    if (!grown) return;
    const [, ...columns] = this.series.columns(NAMES, countsSteps ? "step" : "epoch");
    this.curves = NAMES.map((name, i) => ({ name, values: columns[i].slice(-POINTS) }));
    this.changed();
  }
}

export class Sparks {
  constructor(store) {
    this.sparks = new Map();
    this.queue = [];
    this.busy = 0;
    this.store = store;
    this.ids = new WeakMap(); // element -> job id
    this.observer = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) this.#want(this.ids.get(entry.target));
    });
    store.takers.add(this);
  }

  of(id) {
    let spark = this.sparks.get(id);
    if (!spark) this.sparks.set(id, (spark = new Spark()));
    return spark;
  }

  /** Load a job's curve when `element` is seen; returns the way to stop. */
  watch(id, element) {
    this.ids.set(element, id);
    this.observer.observe(element);
    return () => {
      this.observer.unobserve(element);
      this.#unwant(id); // scrolled past before its turn came
    };
  }

  take(event) {
    if (event.kind === "metrics") this.sparks.get(event.job_id)?.add([event.data]);
    else if (event.kind === "deleted") this.sparks.delete(event.job_id);
  }

  fresh() {
    for (const [id, spark] of this.sparks) {
      if (spark.isLoaded) {
        spark.isLoaded = false;
        this.#want(id);
      }
    }
  }

  #want(id) {
    const spark = this.of(id);
    if (spark.isLoaded) return;
    spark.isLoaded = true;
    this.queue.push(id);
    this.#work();
  }

  #unwant(id) {
    const at = this.queue.indexOf(id);
    if (at < 0) return;
    this.queue.splice(at, 1);
    this.of(id).isLoaded = false;
  }

  #work() {
    while (this.busy < AT_ONCE && this.queue.length > 0) {
      this.busy += 1;
      void this.#load(this.queue.shift()).finally(() => {
        this.busy -= 1;
        this.#work();
      });
    }
  }

  async #load(id) {
    try {
      // Two rows an epoch where train and val report apart.
      const { series } = this.of(id);
      series.countsSteps = countsSteps(this.store.job(id));
      const { metrics } = await api.metrics(id, { level: series.countsSteps ? "step" : "epoch", limit: 2 * POINTS });
      this.of(id).add(metrics.map(rowOfApi));
    } catch {
      this.of(id).isLoaded = false; // decoration: the next time the row is seen is soon enough
    }
  }
}
