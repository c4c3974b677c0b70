// The rows that the first answer left out of a long run: those of the part that is looked at, or all of them.
import { api } from "./api.js";
import { MOST_ROWS } from "./detail.js";
import { rowOfApi } from "./series.js";

const SETTLE_MS = 150; // after the last move of a zoom
const ROWS_AT_ONCE = 20_000;

export class Rest {
  constructor(detail) {
    this.detail = detail;
    this.series = detail.series;
    this.levels = new Map(); // level -> {held: [after, before][], all: Promise | null}
    this.timer = null;
    this.loading = null;
  }

  /** Of this level not all rows are here. */
  leftOut(level) {
    this.levels.set(level, { held: [], all: null });
  }

  /** The charts show `[min, max]` of their axis (null: all of it): fetch what is missing there, a moment after the last call. */
  look(level, by, zoom) {
    clearTimeout(this.timer);
    const state = this.levels.get(level);
    if (!zoom || !state || state.all) return;
    this.timer = setTimeout(() => void this.#fetch(level, state, this.series.between(level, by, ...zoom)), SETTLE_MS);
  }

  async #fetch(level, state, [after, before]) {
    if (state.held.some(([first, end]) => first <= after && end >= before)) return;
    this.loading?.abort();
    this.loading = new AbortController();
    const signal = AbortSignal.any([this.loading.signal, this.detail.closing.signal]);
    try {
      const span = { after_id: after, before_id: Number.isFinite(before) ? before : null };
      const { metrics, thinned } = await api.metrics(this.detail.id, { level, most: MOST_ROWS, ...span }, signal);
      this.#add(metrics);
      if (!thinned) state.held.push([after, before]);
    } catch {
      // what is drawn stays; the next move asks again
    }
  }

  /** Every row of a level; later calls wait for the first one. Rejects where they cannot be had. */
  all(level) {
    const state = this.levels.get(level);
    if (!state) return undefined;
    state.all ??= this.#readAll(level).catch((error) => {
      state.all = null;
      throw error;
    });
    return state.all;
  }

  async #readAll(level) {
    const { signal } = this.detail.closing;
    for (let after = 0; ; ) {
      const { metrics } = await api.metrics(this.detail.id, { level, limit: ROWS_AT_ONCE, after_id: after }, signal);
      this.#add(metrics);
      if (metrics.length < ROWS_AT_ONCE) return;
      after = metrics.at(-1).event_id;
    }
  }

  #add(metrics) {
    for (const row of metrics) this.series.add(rowOfApi(row));
    this.detail.changed();
  }
}
