// Two small drawings: columns beside each other, and points. Plain SVG: they are drawn once and do not move.
import { html, useEffect, useRef, useState } from "../../dom.js";

const HEIGHT = 220;
const EDGE = { left: 70, right: 12, top: 10, bottom: 26 };
const MOST_LABELS = 12;
const LABEL_PX = 62;

/** The width that the drawing has, so that text keeps its size on every screen. */
function useWidth() {
  const box = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const watching = new ResizeObserver(([entry]) => setWidth(Math.round(entry.contentRect.width)));
    watching.observe(box.current);
    return () => watching.disconnect();
  }, []);
  return [box, width];
}

// Seconds, minutes, hours and days as clocks count them.
const TIMES = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800];

/** Round numbers from 0 to at least `most`: 1, 2 or 5 times a power of ten apart, or for seconds as clocks count. */
export function ticks(most, count = 4, isTime = false) {
  if (!(most > 0)) return [0, 1];
  const time = isTime && TIMES.find((step) => step * count >= most);
  if (time) return Array.from({ length: Math.ceil(most / time - 1e-9) + 1 }, (_, at) => at * time);
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((times) => times * power >= rough) * power;
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, at) => at * step);
}

/** @param {{label: string, groups: {name: string, values: (number | null)[]}[], keys: string[], tick: (value: number) => string, isTime?: boolean}} props
 *  Each group has up to two values. */
export function Columns({ label, groups, keys, tick, isTime = false }) {
  const [box, width] = useWidth();
  const marks = ticks(Math.max(0, ...groups.flatMap(({ values }) => values.map((value) => value ?? 0))), 4, isTime);
  const plot = frame(width, marks);
  const room = plot.width / groups.length;
  const thick = Math.max(1, Math.min(34, (room * 0.7) / keys.length));
  const every = Math.ceil(groups.length / Math.max(1, Math.min(MOST_LABELS, Math.floor(plot.width / LABEL_PX))));
  return html`<div class="drawing">
    <p class="drawing-key" aria-hidden="true">${keys.map((key, at) => html`<span class=${at ? "second" : ""} key=${key}>${key}</span>`)}</p>
    <div ref=${box}>${width > 0 && html`<svg viewBox=${`0 0 ${width} ${HEIGHT}`} role="img" aria-label=${label}>
      ${scale(plot, marks, tick)}
      ${groups.map(({ name, values }, at) => {
        const middle = EDGE.left + room * (at + 0.5);
        return html`<g key=${name}>
          ${values.map((value, which) => value !== null && html`<rect key=${which} class=${which ? "column-second" : "column-first"}
            x=${middle + (which - values.length / 2) * thick} width=${Math.max(1, thick - 1)} y=${plot.y(value)} height=${plot.y(0) - plot.y(value)}><title>${`${name}: ${tick(value)}`}</title></rect>`)}
          ${at % every === 0 && html`<text x=${middle} y=${HEIGHT - 8} text-anchor="middle">${name}</text>`}
        </g>`;
      })}
    </svg>`}</div>
  </div>`;
}

/** @param {{label: string, points: {x: number, y: number, href: string, name: string}[], xName: string, tick: (value: number) => string}} props `y` is in seconds. */
export function Points({ label, points, xName, tick }) {
  const [box, width] = useWidth();
  const across = ticks(Math.max(...points.map(({ x }) => x)), 6);
  const marks = ticks(Math.max(...points.map(({ y }) => y)), 4, true);
  const plot = frame(width, marks);
  const x = (value) => EDGE.left + (plot.width * value) / across.at(-1);
  return html`<div class="drawing"><div ref=${box}>${width > 0 && html`<svg viewBox=${`0 0 ${width} ${HEIGHT}`} role="group" aria-label=${label}>
    ${scale(plot, marks, tick)}
    ${across.map((value, at) => html`<text key=${value} x=${x(value)} y=${HEIGHT - 8} text-anchor=${at === across.length - 1 ? "end" : "middle"}>
      ${at === across.length - 1 ? `${value} ${xName}` : value}</text>`)}
    ${points.map((point) => html`<a key=${point.href} href=${point.href} aria-label=${point.name}>
      <circle class="dot" cx=${x(point.x)} cy=${plot.y(point.y)} r="5"><title>${point.name}</title></circle></a>`)}
  </svg>`}</div></div>`;
}

function frame(width, marks) {
  const height = HEIGHT - EDGE.top - EDGE.bottom;
  return { width: Math.max(1, width - EDGE.left - EDGE.right), right: width - EDGE.right, y: (value) => EDGE.top + height * (1 - value / marks.at(-1)) };
}

const scale = (plot, marks, tick) => marks.map((value) => html`<g key=${value}>
  <line class=${value === 0 ? "axis" : "grid"} x1=${EDGE.left} x2=${plot.right} y1=${plot.y(value)} y2=${plot.y(value)} />
  <text x=${EDGE.left - 8} y=${plot.y(value) + 4} text-anchor="end">${tick(value)}</text>
</g>`);
