// What is done to columns before they are drawn. Pure; columns are `[xs, ys, …]` as MetricSeries gives them.

/** Moving average with exponential weights, put right for its start (as Adam does it): with weight 0 the values
 *  themselves. Gaps stay gaps, and are no part of the average. */
export function smooth(column, weight) {
  if (weight <= 0) return column;
  let sum = 0;
  let share = 0;
  return column.map((value) => {
    if (!Number.isFinite(value)) return value;
    sum = weight * sum + (1 - weight) * value;
    share = weight * share + (1 - weight);
    return sum / share;
  });
}

/** Where `x` would stand in growing `xs`. */
export function place(xs, x) {
  let low = 0;
  let high = xs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Of `columns` what can be seen between `from` and `to` on `pixels` px: all points where these are few, else of each
 *  pixel the first, the last, the least and the greatest of each curve, so that no peak is lost. One point beyond each
 *  end stays, so that lines reach the edges. */
export function thin(columns, pixels, from = -Infinity, to = Infinity) {
  const [xs, ...curves] = columns;
  const first = Math.max(0, place(xs, from) - 1);
  const end = Math.min(xs.length, place(xs, to) + 2);
  const most = 4 * pixels;
  if (end - first <= most) return first === 0 && end === xs.length ? columns : columns.map((column) => column.slice(first, end));
  const kept = new Uint8Array(end - first);
  const per = (end - first) / pixels;
  for (let bin = 0; bin < pixels; bin += 1) {
    const low = first + Math.floor(bin * per);
    const high = first + Math.floor((bin + 1) * per);
    kept[low - first] = kept[high - 1 - first] = 1;
    for (const curve of curves) markEnds(curve, low, high, first, kept);
  }
  const at = [];
  for (let i = 0; i < kept.length; i += 1) if (kept[i]) at.push(first + i);
  return columns.map((column) => at.map((i) => column[i]));
}

function markEnds(curve, low, high, first, kept) {
  let least = -1;
  let greatest = -1;
  for (let i = low; i < high; i += 1) {
    const value = curve[i];
    if (value === null) kept[i - first] = 1; // a gap is seen too
    if (!Number.isFinite(value)) continue;
    if (least < 0 || value < curve[least]) least = i;
    if (greatest < 0 || value > curve[greatest]) greatest = i;
  }
  if (least >= 0) kept[least - first] = kept[greatest - first] = 1;
}

/** Tables of columns on one axis: `[xs, ys of the first table, ys of the second, …]`; `undefined` where a table has
 *  nothing at an x, which its curve passes. */
export function joinTables(tables) {
  const xs = [...new Set(tables.flatMap(([at]) => at))].sort((a, b) => a - b);
  const columns = [xs];
  for (const [at, ...curves] of tables) {
    const index = new Map(at.map((x, i) => [x, i]));
    for (const curve of curves) columns.push(xs.map((x) => curve[index.get(x)]));
  }
  return columns;
}

/** Only what a logarithmic scale can show. */
export const positive = (column) => column.map((value) => (Number.isFinite(value) && value <= 0 ? null : value));

/** Columns as text for a spreadsheet. */
export function csv(names, columns) {
  // A name is somebody's text: what a spreadsheet would take for a formula is made plain text.
  const plain = (text) => (/^[=+@-]/.test(text) ? `'${text}` : text);
  const quoted = (text) => (/[",\n]/.test(text) ? `"${plain(text).replaceAll('"', '""')}"` : plain(text));
  const rows = columns[0].map((_, i) => columns.map((column) => column[i] ?? "").join(","));
  return `${[names.map(quoted).join(","), ...rows].join("\n")}\n`;
}
