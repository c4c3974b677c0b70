// The metric of all trials over each other: the best in colours, the others faint.
import { html, useMemo, useState } from "../../dom.js";
import { joinTables, positive } from "../../curves.js";
import { number } from "../../format.js";
import { words } from "../../strings-sweep.js";
import { Chart } from "../chart.js";
import { COLORS, colorOf, menu } from "../curvetools.js";
import { Failed } from "../load.js";

export function Curves({ found, error, onAgain }) {
  const [isLog, setLog] = useState(false);
  const tools = useMemo(() => menu(isLog, setLog), [isLog]);
  const stamp = found && found.curves.map(({ number: trial, points }) => `${trial}:${points.length}`).join();
  const [curves, columns] = useMemo(() => (found ? drawn(found.curves, isLog) : [[], [[]]]), [stamp, isLog]);
  if (error && !found) return html`<${Failed} what=${words.failedToLoad} error=${error} onAgain=${onAgain} />`;
  if (curves.length === 0) return html`<p class="panel panel-note">${found ? words.noCurves : words.loading}</p>`;
  return html`<div class="compare-chart"><${Chart} title=${found.metric} curves=${curves} columns=${columns} sync="sweep" isWhole=${found.unit === "epoch"}
      isLog=${isLog} tools=${tools} format=${number} tick=${(value) => number(value, 3)} /></div>
    ${curves.length > COLORS && html`<p class="chart-hint">${words.faint(COLORS)}</p>`}`;
}

/** They come the best first. Faint ones are drawn below the others. */
function drawn(found, isLog) {
  const known = found.filter(({ points }) => points.length > 0);
  const order = [...known.slice(COLORS), ...known.slice(0, COLORS)];
  if (order.length === 0) return [[], [[]]];
  const [xs, ...columns] = joinTables(order.map(({ points }) => [points.map(([x]) => x), points.map(([, y]) => y)]));
  const curves = order.map((curve) => {
    const rank = known.indexOf(curve);
    const isFaint = rank >= COLORS;
    return { name: `trial-${curve.number}`, label: `${words.columns.number} ${curve.number}`, color: isFaint ? "--muted" : colorOf(rank), isFaint };
  });
  return [curves, [xs, ...columns.map((column) => (isLog ? positive(column) : column))]];
}
