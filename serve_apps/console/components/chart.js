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

// Whoever has this module is about to draw.
loadUplot().catch(() => {});

const FEW_POINTS = 2000; // any chart shows these as they are
const WHEEL = 0.0015; // of the width, for each px of the wheel

/** @param {{title: string, curves: {name: string, label: string, color?: string, isFaint?: boolean, isDashed?: boolean}[], columns: any[][],
 *   sync: string, isWhole: boolean, isLog?: boolean, tools?: any, onView?: (zoom: number[] | null) => void, format: (value: number) => string, tick: (value: number) => string}} props
 *  `columns` is `[xs, ys, …]` in the order of `curves`; a new array is a new drawing. `isWhole`: the
 *  axis counts whole epochs only. Faint curves are not in the legend. */
export function Chart({ title, curves, columns, sync, format, tick, isWhole, isLog = false, tools = null, onView = null }) {
  const box = useRef(null);
  const plot = useRef(null);
  const state = useRef({ zoom: null }); // [min, max] on the axis, null for all
  const [lib, setLib] = useState(null); // curves.js, once there are many points
  const isLong = columns[0].length > FEW_POINTS;
  useEffect(() => {
    if (isLong) import("../curves.js").then((loaded) => setLib(() => loaded), () => {});
  }, [isLong]);
  Object.assign(state.current, { columns, lib, onView });
  const [uPlot, setUplot] = useState(() => window.uPlot ?? null);
  const [hover, setHover] = useState(null); // index into the points that are drawn
  const [zoomed, setZoomed] = useState(false);
  const dark = useMedia("(prefers-color-scheme: dark)");
  const look = curves.map((curve) => [curve.name, curve.label, curve.color, curve.isFaint, curve.isDashed].join()).join(";");

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
    const zoomTo = (zoom) => {
      state.current.zoom = zoom;
      setZoomed(zoom !== null);
      state.current.onView?.(zoom);
      fill(plot.current, state.current);
    };
    const drawn = draw(uPlot, element, { curves, sync, tick, isWhole, isLog, setHover });
    drawn.zoomTo = zoomTo;
    plot.current = drawn;
    fill(drawn, state.current);
    const resizing = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height: HEIGHT }));
    resizing.observe(element);
    return () => {
      resizing.disconnect();
      drawn.destroy();
      plot.current = null;
    };
  }, [uPlot, look, dark, sync, isWhole, isLog]);

  useLayoutEffect(() => {
    if (plot.current) fill(plot.current, state.current);
  }, [columns, lib]);

  const newest = curves.map((_, i) => lastNumber(columns[i + 1]));
  const shown = curves.map((curve, i) => ({ ...curve, value: hover === null ? newest[i] : plot.current?.data[i + 1]?.[hover] }));
  const parts = curves.flatMap((curve, i) => (newest[i] === null || curve.isFaint ? [] : [`${curve.label} ${format(newest[i])}`]));
  const onKey = (event) => {
    const zoom = plot.current && KEYS[event.key]?.(...inView(state.current));
    if (zoom === undefined || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    zoomAll(plot.current, sync, zoom);
  };
  return html`<figure class="chart">
    <figcaption class="chart-head">
      <h3>${title}</h3>
      ${zoomed &&
      html`<button type="button" class="button button-small" onClick=${() => zoomAll(plot.current, sync, null)}>${strings.charts.resetZoom}</button>`}
      <${Legend} curves=${shown.filter((curve) => !curve.isFaint)} format=${format} />
      ${tools && html`<${tools} title=${title} curves=${curves} columns=${columns} plot=${plot} />`}
    </figcaption>
    <div class="chart-plot" ref=${box} role="img" tabindex="0" onKeyDown=${onKey} aria-label=${strings.charts.summary(title, parts)}></div>
  </figure>`;
}

function Legend({ curves, format }) {
  return html`<ul class="legend">
    ${curves.map(
      (curve) => html`<li key=${curve.name}>
        <span class=${`swatch swatch-${curve.name}`} style=${curve.color && { background: `var(${curve.color})` }} aria-hidden="true"></span>${curve.label}${" "}
        <b class="num">${format(curve.value)}</b>
      </li>`,
    )}
  </ul>`;
}

/** Draw what is in view of the columns: as many points as there are pixels for, all of them where they are few. */
function fill(plot, { columns, lib, zoom }) {
  const [min, max] = zoom ?? [undefined, undefined];
  const data = lib && columns[0].length > FEW_POINTS ? lib.thin(columns, plot.width, min, max) : columns;
  plot.batch(() => {
    plot.setData(data, zoom === null);
    if (zoom) plot.setScale("x", { min, max }); // also fits the other axis to what is in view
  });
}

/** The charts of one job, or of one comparison, show the same part. */
function zoomAll(plot, sync, zoom) {
  for (const other of window.uPlot.sync(sync).plots) (other.zoomTo ?? plot.zoomTo)(zoom);
}

function inView({ columns: [xs], zoom }) {
  return zoom ?? [xs[0] ?? 0, xs.at(-1) ?? 1];
}

const about = (min, max, share) => [min + (max - min) * share, max - (max - min) * share];
const moved = (min, max, share) => [min + (max - min) * share, max + (max - min) * share];
const KEYS = {
  __proto__: null,
  "+": (min, max) => about(min, max, 0.2),
  "-": (min, max) => about(min, max, -1 / 3),
  ArrowLeft: (min, max) => moved(min, max, -0.2),
  ArrowRight: (min, max) => moved(min, max, 0.2),
  0: () => null,
};

function draw(uPlot, box, { curves, sync, tick, isWhole, isLog, setHover }) {
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
      drag: { x: true, y: false, setScale: false },
      sync: { key: sync, setSeries: false },
    },
    scales: {
      x: { time: false, range: xRange },
      y: isLog ? { distr: 3 } : { range: (_, low, high) => yRange(uPlot, low, high) },
    },
    axes: [
      { ...axis, size: 28, gap: 4, incrs: isWhole ? WHOLE_STEPS : STEPS, values: labels(number) },
      { ...axis, size: axisWidth, gap: 6, values: labels(tick) },
    ],
    series: [
      {},
      ...curves.map((curve, i) => ({
        label: curve.label,
        stroke: color(curve.color ?? `--curve-${curve.name}`) || color("--accent"),
        alpha: curve.isFaint ? 0.28 : 1,
        width: i === 0 || curve.isFaint ? 1.75 : 2.25,
        dash: curve.isDashed ? [6, 4] : undefined,
        points: curve.isFaint ? { show: false } : { size: 5, fill: color("--surface") },
      })),
    ],
    hooks: {
      setCursor: [(u) => setHover(u.cursor.idx ?? null)],
      setSelect: [
        (u) => {
          const { left, width } = u.select;
          if (width <= 0) return;
          u.zoomTo([u.posToVal(left, "x"), u.posToVal(left + width, "x")]);
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        },
      ],
    },
  };
  const drawn = new uPlot(options, [[], ...curves.map(() => [])], box);
  drawn.over.addEventListener("dblclick", () => zoomAll(drawn, sync, null));
  drawn.over.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // else the page scrolls, as anywhere
    event.preventDefault();
    const at = drawn.posToVal(drawn.cursor.left, "x");
    const { min, max } = drawn.scales.x;
    const factor = Math.exp(event.deltaY * WHEEL);
    zoomAll(drawn, sync, [at - (at - min) * factor, at + (max - at) * factor]);
  }, { passive: false });
  return drawn;
}

const labels = (format) => (_, ticks) => ticks.map((value) => (value === null ? "" : format(value)));

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

function lastNumber(column = []) {
  for (let i = column.length - 1; i >= 0; i -= 1) if (Number.isFinite(column[i])) return column[i];
  return null;
}
