// How far a job was at which time, each point with whose word it is. Pure, but for the present order of origins.

/** From the surest to the least sure. */
export const ORIGINS = ["reported", "parsed", "estimated"];
const MOST = 2000; // points held; beyond that every second one that changes nothing is let go

/** The points of one job, each once, however often it arrives. */
export class ProgressPoints {
  constructor() {
    this.byEvent = new Map(); // event id -> {id, at, percent, origin, attempt}
    this.version = 0; // grows with every change
    this.sorted = null;
  }

  /** A point as the API lists it. */
  add({ event_id: id, timestamp, percent, origin, attempt }) {
    this.#put({ id, at: Date.parse(timestamp), percent, origin, attempt });
  }

  /** An event of the stream; others than those that tell of progress change nothing. */
  take({ id, kind, at, data }) {
    if (kind === "progress") this.#put({ id, at: Date.parse(at), percent: data.percent, origin: data.origin ?? "reported", attempt: data.attempt });
    else if (kind === "succeeded") this.#put({ id, at: Date.parse(at), percent: 100, origin: "reported", attempt: data.attempt });
  }

  #put(point) {
    if (this.byEvent.has(point.id)) return;
    this.byEvent.set(point.id, point);
    this.sorted = null;
    this.version += 1;
    if (this.byEvent.size > MOST) this.#thin();
  }

  /** In the order in which they were told. */
  all() {
    this.sorted ??= [...this.byEvent.values()].sort((a, b) => a.id - b.id);
    return this.sorted;
  }

  #thin() {
    const points = this.all();
    const last = points.length - 1;
    points.forEach((point, i) => {
      if (i % 2 === 1 && i < last && !differ(points[i - 1], point) && !differ(point, points[i + 1])) this.byEvent.delete(point.id);
    });
    // Where nearly every point differs from its neighbour, the oldest go.
    for (const id of [...this.byEvent.keys()].sort((a, b) => a - b).slice(0, Math.max(0, this.byEvent.size - MOST))) this.byEvent.delete(id);
    this.sorted = null;
  }

  /** Names of the origins that there are, the surest first. */
  origins() {
    const found = new Set(this.all().map(({ origin }) => origin));
    return ORIGINS.filter((origin) => found.has(origin));
  }

  /** `[minutes since the first, percent of all points, percent of the points of origins[0], …]`, null where a point has
   *  another origin. A lower point of a later attempt is shown as it was told. */
  columns(origins) {
    const points = this.all();
    const begun = points[0]?.at ?? 0;
    // By the clock: a run's own may be behind that of who spoke before.
    const inTime = points.map((point, i) => ({ ...point, i })).sort((a, b) => a.at - b.at || a.i - b.i);
    return [
      inTime.map(({ at }) => (at - begun) / 60_000),
      inTime.map(({ percent }) => percent),
      ...origins.map((name) => inTime.map(({ origin, percent }) => (origin === name ? percent : null))),
    ];
  }

  /** What the same origin said in a row: `{origin, attempt, from, to, begins, ends}`, ms since the first and percent. */
  runs() {
    const points = this.all();
    const begun = points[0]?.at ?? 0;
    const runs = [];
    for (const point of points) {
      const run = runs.at(-1);
      if (run && run.origin === point.origin && run.attempt === point.attempt) Object.assign(run, { to: point.at - begun, ends: point.percent });
      else runs.push({ origin: point.origin, attempt: point.attempt, from: point.at - begun, to: point.at - begun, begins: point.percent, ends: point.percent });
    }
    return runs;
  }
}

const differ = (one, other) => one.origin !== other.origin || one.attempt !== other.attempt;
