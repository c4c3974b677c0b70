// Sums over rows of the report of usage. Pure: what is null in every row stays null, and is no zero.

const SUMS = ["settled_usd", "estimated_usd", "device_hours"];
const COUNTS = ["jobs", "settled_jobs", "estimated_jobs", "unknown_jobs", "timed_jobs", "untimed_jobs"];

/** One row of many. */
export function addUp(rows) {
  const total = {};
  for (const name of COUNTS) total[name] = rows.reduce((sum, row) => sum + row[name], 0);
  for (const name of SUMS) {
    const known = rows.map((row) => row[name]).filter((value) => value !== null);
    total[name] = known.length > 0 ? known.reduce((sum, value) => sum + value, 0) : null;
  }
  return total;
}

/** A row for each value of `by`; days in their order, the others with the most jobs first. */
export function groupBy(rows, by) {
  const groups = new Map();
  for (const row of rows) groups.set(row[by], [...(groups.get(row[by]) ?? []), row]);
  const summed = [...groups].map(([name, members]) => ({ [by]: name, ...addUp(members) }));
  return summed.sort((a, b) => (by === "day" ? (a.day < b.day ? -1 : 1) : b.jobs - a.jobs || String(a[by]).localeCompare(String(b[by]))));
}

/** Rows of days, with those in between on which there was nothing. */
export function withoutGaps(rows) {
  const known = new Map(rows.map((row) => [row.day, row]));
  const filled = [];
  for (let at = Date.parse(rows[0].day); at <= Date.parse(rows.at(-1).day); at += 86_400_000) {
    const day = new Date(at).toISOString().slice(0, 10);
    filled.push(known.get(day) ?? { day, settled_usd: null, estimated_usd: null });
  }
  return filled;
}
