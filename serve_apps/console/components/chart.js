// One chart on uPlot: curves over epochs, a legend that shows the values under the pointer, zoom by
// dragging. It gets columns and draws; it knows no jobs.
import { html, useEffect, useLayoutEffect, useMedia, useRef, useState } from "../dom.js";
import { strings } from "../strings.js";
import { number } from "../format.js";

const HEIGHT = 220;

let library = null;
/** uPlot, fetched when the first chart is drawn. It is the author's own small build, a classic
 *  script that sets a global. */
export function loadUplot() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("vendor/uplot.js", document.baseURI);
    script.onload = () => resolve(window.uPlot);
    script.onerror = () => {
      library = null; // the next chart tries again
      script.remove();
      reject(new Error("uplot.js could not be loaded"));
    };
    document.head.append(script);
  });
  return library;
}

/** @param {{title: string, curves: {name: string, label: string}[], columns: any[][],
 *   sync: string, isWhole: boolean, format: (value: number) => string, tick: (value: number) => string}} props
 *  `columns` is `[xs, ys, …]` in the order of `curves`; a new array is a new drawing. `isWhole`: the
 *  axis counts whole epochs only. */
export function Chart({ title, curves, columns, sync, format, tick, isWhole }) {
  const box = useRef(null);
  const plot = useRef(null);
  const [uPlot, setUplot] = useState(() => window.uPlot ?? null);
  const [hover, setHover] = useState(null); // index into xs
  const [zoomed, setZoomed] = useState(false);
  const dark = useMedia("(prefers-color-scheme: dark)");
  const names = curves.map((curve) => curve.name).join();

  useEffect(() => {
    let alive = true;
    if (!uPlot) loadUplot().then((loaded) => alive && setUplot(() => loaded), () => {});
    return () => {
      alive = false;
    };
  }, []);

  useLayoutEffect(() => {
    if (!uPlot) return undefined;
    const element = box.current;
    const drawn = draw(uPlot, element, { curves, columns, sync, tick, isWhole, setHover, setZoomed });
    plot.current = drawn;
    const resizing = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height: HEIGHT }));
    resizing.observe(element);
    return () => {
      resizing.disconnect();
      drawn.destroy();
      plot.current = null;
      setZoomed(false);
    };
  }, [uPlot, names, dark, sync, isWhole]);

  useLayoutEffect(() => {
    if (plot.current) update(plot.current, columns, zoomed);
  }, [columns]);

  const newest = curves.map((_, i) => lastNumber(columns[i + 1]));
  const parts = curves.flatMap((curve, i) => (newest[i] === null ? [] : [`${curve.label} ${format(newest[i])}`]));
  return html`<figure class="chart">
    <figcaption class="chart-head">
      <h3>${title}</h3>
      ${zoomed &&
      html`<button type="button" class="button button-small" onClick=${() => resetZoom(plot.current, setZoomed)}>
        ${strings.charts.resetZoom}
      </button>`}
      <${Legend} curves=${curves} columns=${columns} newest=${newest} hover=${hover} format=${format} />
    </figcaption>
    <div class="chart-plot" ref=${box} role="img" aria-label=${strings.charts.summary(title, parts)}></div>
  </figure>`;
}

function Legend({ curves, columns, newest, hover, format }) {
  const values = curves.map((_, i) => (hover === null ? newest[i] : columns[i + 1]?.[hover]));
  return html`<ul class="legend">
    ${curves.map(
      (curve, i) => html`<li key=${curve.name}>
        <span class=${`swatch swatch-${curve.name}`} aria-hidden="true"></span>${curve.label}${" "}
        <b class="num">${format(values[i])}</b>
      </li>`,
    )}
  </ul>`;
}

function draw(uPlot, box, { curves, columns, sync, tick, isWhole, setHover, setZoomed }) {
  const style = getComputedStyle(box);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color("--muted"),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: color("--grid"), width: 1 },
    ticks: { show: false },
  };
  const options = {
    width: box.clientWidth,
    height: HEIGHT,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      points: { size: 7 },
      drag: { x: true, y: false },
      sync: { key: sync, setSeries: false },
    },
    scales: { x: { time: false, range: xRange }, y: { range: (_, low, high) => yRange(uPlot, low, high) } },
    axes: [
      { ...axis, size: 28, gap: 4, incrs: isWhole ? WHOLE_STEPS : STEPS, values: labels(number) },
      { ...axis, size: axisWidth, gap: 6, values: labels(tick) },
    ],
    series: [
      {},
      ...curves.map((curve, i) => ({
        label: curve.label,
        stroke: color(`--curve-${curve.name}`) || color("--accent"),
        width: i === 0 ? 1.75 : 2.25,
        points: { size: 5, fill: color("--surface") },
      })),
    ],
    hooks: {
      setCursor: [(u) => setHover(u.cursor.idx ?? null)],
      setSelect: [(u) => u.select.width > 0 && setZoomed(true)],
    },
  };
  const drawn = new uPlot(options, columns, box);
  drawn.over.addEventListener("dblclick", () => setZoomed(false));
  return drawn;
}

const labels = (format) => (_, ticks) => ticks.map((value) => format(value));

// Between the marks of the axis of epochs.
const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000];
const WHOLE_STEPS = STEPS.filter((step) => step >= 1);

function xRange(u, low, high) {
  if (low === null || high === null) return [0, 1];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

function yRange(uPlot, low, high) {
  if (low === null || high === null) return [0, 1];
  return uPlot.rangeNum(low, high, 0.08, false);
}

// As wide as the longest label needs, so that small numbers do not cost a phone its chart.
function axisWidth(u, labels) {
  const longest = Math.max(0, ...(labels ?? []).map((label) => label.length));
  return Math.max(34, 12 + longest * 6.5);
}

function update(plot, columns, zoomed) {
  if (!zoomed) {
    plot.setData(columns);
    return;
  }
  const { min, max } = plot.scales.x;
  plot.batch(() => {
    plot.setData(columns, false);
    plot.setScale("x", { min, max }); // also fits the other axis to what is in view
  });
}

function resetZoom(plot, setZoomed) {
  const xs = plot.data[0];
  if (xs.length > 0) plot.setScale("x", { min: xs[0], max: xs[xs.length - 1] });
  setZoomed(false);
}

function lastNumber(column = []) {
  for (let i = column.length - 1; i >= 0; i -= 1) if (Number.isFinite(column[i])) return column[i];
  return null;
}
