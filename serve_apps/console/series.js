// Metric rows -> columns for charts. Pure.
//
// The horizontal axis counts epochs. The row that ends epoch 3 stands at 3; batch n of epoch 3 at
// 2 + n / (batches of an epoch). So step rows and epoch rows share one axis.
//
// In a column `null` is a value that was not a number (a gap in the curve) and `undefined` is a
// place where this metric has no row (the curve passes). uPlot draws them so. The API has a null for
// both; what tells them apart is whether rows of that kind (phase, step or epoch) have the metric.

const keyOf = (row) => `${row.phase}:${row.epoch}:${row.batch ?? ""}`;
const kindOf = (row) => `${row.phase}:${row.batch === null ? "epoch" : "step"}`;

/** A row as the API lists it, in the shape of the stream: `{epoch, batch, phase, values}`. */
export function rowOfApi({ epoch, batch, phase, extra, event_id, timestamp, ...values }) {
  return { id: event_id, epoch, batch, phase, at: Date.parse(timestamp), values: { ...values, ...extra } };
}

/** A gap reaches from the last value before it to the first one after it, also over places where the
 *  metric has no row; else the curve would be drawn through all of the gap but its middle. */
function widenGaps(column) {
  column.forEach((value, i) => {
    if (value !== null) return;
    for (let left = i - 1; left >= 0 && column[left] === undefined; left -= 1) column[left] = null;
    for (let right = i + 1; right < column.length && column[right] === undefined; right += 1) column[right] = null;
  });
  return column;
}

/** The rows of one job, each once, however often it arrives. */
export class MetricSeries {
  constructor() {
    this.rows = new Map(); // phase:epoch:batch -> row
    this.order = []; // the rows as they came
    this.begun = Infinity; // ms of the first row
    this.drawn = new Map(); // columns that were asked for, to go on from
    this.batches = 0; // most batches seen in an epoch
    this.version = 0; // grows with every change
    this.carried = new Map(); // "train:step" -> names of the metrics that such rows have
    this.countsSteps = false; // the run has no epochs: the axis counts its steps
  }

  /** Take a row `{epoch, batch, phase, values}` over; returns false where it was known. */
  add(row) {
    const key = keyOf(row);
    if (this.rows.has(key)) return false;
    this.rows.set(key, row);
    this.order.push(row);
    if (row.at < this.begun) this.begun = row.at;
    if (row.batch !== null && row.batch > this.batches) this.batches = row.batch;
    const kind = kindOf(row);
    let names = this.carried.get(kind);
    if (!names) this.carried.set(kind, (names = new Set()));
    for (const name in row.values) if (row.values[name] !== null) names.add(name);
    this.version += 1;
    return true;
  }

  /** Where a row stands on the axis of epochs. */
  position(row) {
    if (this.countsSteps) return row.batch ?? row.epoch;
    if (row.batch === null) return row.epoch;
    return row.epoch - 1 + row.batch / Math.max(this.batches, 1);
  }

  /** The events `[after, before]` between which the rows from `min` to `max` on the axis stand, the rows beside them included. */
  between(level, by, min, max) {
    let [after, before] = [0, Infinity];
    for (const row of this.order) {
      if ((row.batch === null) !== (level === "epoch")) continue;
      const x = this.#place(row, by);
      if (x < min && row.id > after) after = row.id;
      if (x > max && row.id < before) before = row.id;
    }
    return [after, before];
  }

  /** Names of all metrics of which there is a value. */
  names() {
    return new Set([...this.carried.values()].flatMap((names) => [...names]));
  }

  /** `[xs, ys of names[0], ys of names[1], …]`, xs growing. `level` is "epoch" or "step"; the step
   *  level has the rows of both, but for metrics that steps report themselves: their mean over the
   *  epoch would draw a saw into the curve. `by` "time": xs are minutes since the first row. */
  columns(names, level, by = "place") {
    const ofSteps = new Set();
    for (const [kind, carried] of this.carried) {
      if (kind.endsWith(":step")) for (const name of carried) ofSteps.add(name);
    }
    // What changes where rows stand that were placed before.
    const stamp = [this.countsSteps || by === "time" ? 0 : this.batches, by === "time" ? this.begun : 0,
      ...[...this.carried.values()].map((carried) => carried.size)].join();
    const key = [level, by, ...names].join();
    let drawn = this.drawn.get(key);
    if (drawn?.stamp !== stamp) drawn = { stamp, count: 0, xs: [], ys: names.map(() => []), hasGaps: names.map(() => false) };
    this.drawn.set(key, drawn);
    if (!this.#extend(drawn, names, level, by, ofSteps)) this.#sort(drawn, names, level, by, ofSteps);
    return [drawn.xs.slice(), ...drawn.ys.map((column, i) => (drawn.hasGaps[i] ? widenGaps(column.slice()) : column.slice()))];
  }

  /** Put the rows that came since at the end; false where one belongs before it. */
  #extend(drawn, names, level, by, ofSteps) {
    for (; drawn.count < this.order.length; drawn.count += 1) {
      const row = this.order[drawn.count];
      const values = this.#valuesOf(row, names, level, ofSteps);
      if (values === null) continue;
      const x = this.#place(row, by);
      const last = drawn.xs.length - 1;
      if (last >= 0 && x < drawn.xs[last]) return false;
      const isNew = last < 0 || x > drawn.xs[last];
      if (isNew) drawn.xs.push(x);
      values.forEach((value, i) => {
        if (isNew) drawn.ys[i].push(value);
        else if (value !== undefined) drawn.ys[i][last] = value;
        if (value === null) drawn.hasGaps[i] = true;
      });
    }
    return true;
  }

  /** Everything anew, for rows that did not come in the order of the axis. */
  #sort(drawn, names, level, by, ofSteps) {
    const at = new Map();
    for (const row of this.order) {
      const values = this.#valuesOf(row, names, level, ofSteps);
      if (values === null) continue;
      const x = this.#place(row, by);
      const point = at.get(x);
      if (!point) at.set(x, values);
      else values.forEach((value, i) => value !== undefined && (point[i] = value));
    }
    drawn.xs = [...at.keys()].sort((a, b) => a - b);
    drawn.ys = names.map((_, i) => drawn.xs.map((x) => at.get(x)[i]));
    drawn.hasGaps = drawn.ys.map((column) => column.includes(null));
    drawn.count = this.order.length;
  }

  #place(row, by) {
    return by === "time" ? (row.at - this.begun) / 60_000 : this.position(row);
  }

  /** A row's values of some metrics; null where it has no place among them. */
  #valuesOf(row, names, level, ofSteps) {
    const isStep = row.batch !== null;
    if (isStep && level === "epoch") return null;
    const carried = this.carried.get(kindOf(row));
    let has = false;
    const values = names.map((name) => {
      const value = carried.has(name) ? row.values[name] : undefined;
      if (value === undefined || (!isStep && level === "step" && ofSteps.has(name))) return undefined;
      has = true;
      return Number.isFinite(value) ? value : null;
    });
    return has ? values : null;
  }

  /** One object per epoch, newest first, for the table: `{at, values}`. */
  epochs() {
    return this.#grouped((row) => (row.batch === null ? row.epoch : null));
  }

  /** The same per step, for a run without epochs. */
  steps() {
    return this.#grouped((row) => row.batch);
  }

  #grouped(place) {
    const groups = new Map();
    for (const row of this.rows.values()) {
      const at = place(row);
      if (at === null) continue;
      const carried = this.carried.get(kindOf(row));
      const values = groups.get(at) ?? {};
      for (const name in row.values) if (carried.has(name)) values[name] = row.values[name];
      groups.set(at, values);
    }
    return [...groups].map(([at, values]) => ({ at, values })).sort((a, b) => b.at - a.at);
  }
}

/** The paths of small curves in a box of `width` × `height`, all on one scale; gaps where a value is
 *  null, "" where there are fewer than two points. */
export function sparkPaths(curves, width, height) {
  const numbers = curves.flat().filter(Number.isFinite);
  const low = Math.min(...numbers);
  const span = Math.max(...numbers) - low || 1;
  return curves.map((values) => {
    if (values.filter(Number.isFinite).length < 2) return "";
    const step = width / (values.length - 1);
    let path = "";
    let pen = "M";
    values.forEach((value, i) => {
      if (!Number.isFinite(value)) {
        pen = "M";
        return;
      }
      const y = height - ((value - low) / span) * height;
      path += `${pen}${(i * step).toFixed(1)} ${y.toFixed(1)}`;
      pen = "L";
    });
    return path;
  });
}
