// Jobs side by side: in what they differ, which value is best, and where each crosses the axes. Pure.

/** Nested settings as one level of names: `{a: {b: 1}}` -> `a.b: 1`. Lists stay whole. */
export function flatten(value, path = "", into = new Map()) {
  for (const [name, inner] of Object.entries(value ?? {})) {
    const at = path ? `${path}.${name}` : name;
    if (inner !== null && typeof inner === "object" && !Array.isArray(inner)) flatten(inner, at, into);
    else into.set(at, inner);
  }
  return into;
}

/** `[{name, values, differs}]` over some maps, those that differ first, each part by name. */
export function rowsOf(maps) {
  const names = [...new Set(maps.flatMap((map) => [...map.keys()]))].sort();
  const rows = names.map((name) => {
    const values = maps.map((map) => map.get(name));
    return { name, values, differs: new Set(values.map((value) => JSON.stringify(value))).size > 1 };
  });
  return [...rows.filter(({ differs }) => differs), ...rows.filter(({ differs }) => !differs)];
}

const LESS = /loss|error|perplexity|(^|_)(mae|mse|rmse|wer|fid)($|_)|cost|seconds|duration/;
const MORE = /acc|f1|precision|recall|auc|iou|(^|_)(map|psnr|ssim|snr|bleu|score|r2)($|_)|per_second|throughput/;

/** Which end of a metric is the good one: -1 the least, 1 the greatest, 0 nobody knows. */
export const direction = (name) => (MORE.test(name) ? 1 : LESS.test(name) ? -1 : 0);

/** Places of the best of some values; none where fewer than two are numbers, or nobody knows which end is good. */
export function bestOf(name, values) {
  const sign = direction(name);
  const numbers = values.filter(Number.isFinite);
  if (sign === 0 || numbers.length < 2 || new Set(numbers).size < 2) return [];
  const best = sign > 0 ? Math.max(...numbers) : Math.min(...numbers);
  return values.flatMap((value, i) => (value === best ? [i] : []));
}

/** An axis for each row that differs: `{name, isNumber, low, high, ticks, at: [0 to 1 or null per job], isLog}`. */
export function axesOf(rows) {
  return rows.filter(({ differs }) => differs).map(({ name, values }) => {
    const known = values.filter((value) => value !== null && value !== undefined);
    return known.every(Number.isFinite) && known.length > 0 ? numberAxis(name, values, known) : wordAxis(name, values);
  });
}

function numberAxis(name, values, known) {
  const low = Math.min(...known);
  const high = Math.max(...known);
  const isLog = low > 0 && high / low >= 50; // learning rates
  const scale = isLog ? Math.log : (value) => value;
  const span = scale(high) - scale(low) || 1;
  const at = values.map((value) => (Number.isFinite(value) ? (low === high ? 0.5 : (scale(value) - scale(low)) / span) : null));
  const back = (share) => (isLog ? Math.exp(Math.log(low) + share * span) : low + share * span);
  return { name, isNumber: true, isLog, at, ticks: low === high ? [[0.5, low]] : [[0, low], [0.5, back(0.5)], [1, high]], back };
}

function wordAxis(name, values) {
  const shown = (value) => (value === null || value === undefined ? null : typeof value === "string" ? value : JSON.stringify(value));
  const all = [...new Set(values.map(shown).filter((value) => value !== null))].sort();
  const place = (value) => (all.length === 1 ? 0.5 : all.indexOf(value) / (all.length - 1));
  return { name, isNumber: false, isLog: false, at: values.map((value) => (shown(value) === null ? null : place(shown(value)))), ticks: all.map((value) => [place(value), value]), back: null };
}

/** Which jobs pass: `limits` has `[from, to]` (0 to 1) for some axes by name. */
export function passing(axes, limits, count) {
  const passes = new Array(count).fill(true);
  for (const { name, at } of axes) {
    const limit = limits[name];
    if (!limit) continue;
    at.forEach((place, i) => {
      if (place === null || place < limit[0] - 1e-9 || place > limit[1] + 1e-9) passes[i] = false;
    });
  }
  return passes;
}
