// Jobs as lines over the axes in which they differ. Drag along an axis to keep only those that cross it there.
import { html, useRef } from "../../dom.js";
import { number } from "../../format.js";
import { words } from "../../strings-compare.js";
import { colorOf } from "../curvetools.js";

const LEAST_GAP = 150; // px between axes
const MOST_GAP = 280;
const WIDTH = 1080; // of all of them, where that leaves each one room
const HEIGHT = 260;
const TOP = 34;
const SIDE = 70;
const CLICK = 0.015; // of an axis; less is no drag

/** `limits` and `onLimits` are of the axes by name, shares of them from the bottom up. */
export function Parallel({ jobs, axes, passes, limits, onLimits }) {
  const drag = useRef(null);
  if (axes.length < 2) return html`<p class="panel panel-note">${words.fewAxes}</p>`;
  const gap = Math.max(LEAST_GAP, Math.min(MOST_GAP, WIDTH / (axes.length - 1)));
  const width = 2 * SIDE + gap * (axes.length - 1);
  const y = (share) => TOP + (1 - share) * HEIGHT;
  const share = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    return Math.min(1, Math.max(0, 1 - (event.clientY - box.top) / box.height));
  };
  const down = (name) => (event) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    drag.current = { name, from: share(event) };
  };
  const set = (name, limit) => {
    const { [name]: _, ...others } = limits;
    onLimits(limit ? { ...others, [name]: limit } : others);
  };
  const move = (event) => {
    if (!drag.current) return;
    const { name, from } = drag.current;
    const to = share(event);
    set(name, Math.abs(to - from) < CLICK ? null : [Math.min(from, to), Math.max(from, to)]);
  };
  const up = (event) => {
    move(event);
    drag.current = null;
  };
  const line = (i) => {
    let pen = "M";
    return axes.map(({ at }, axis) => {
      if (at[i] === null) return ((pen = "M"), "");
      const step = `${pen}${SIDE + axis * gap} ${y(at[i]).toFixed(1)}`;
      pen = "L";
      return step;
    }).join("");
  };
  return html`<div class="panel scroll parallel" tabindex="0" role="region" aria-label=${words.parallel}>
    <svg viewBox=${`0 0 ${width} ${TOP + HEIGHT + 24}`} width=${width} height=${TOP + HEIGHT + 24} role="img" aria-label=${words.parallelLabel(jobs.length, axes.map(({ name }) => name))}>
      ${jobs.map((job, i) => html`<path key=${job.id} d=${line(i)} class=${`parallel-line${passes[i] ? "" : " parallel-out"}`} style=${{ stroke: `var(${colorOf(i)})` }}><title>${job.job_name}</title></path>`)}
      ${axes.map((axis, i) => html`<${Axis} key=${axis.name} axis=${axis} x=${SIDE + i * gap} y=${y} limit=${limits[axis.name]} onDown=${down(axis.name)} onMove=${move} onUp=${up} />`)}
    </svg></div>`;
}

function Axis({ axis, x, y, limit, onDown, onMove, onUp }) {
  const short = (value) => {
    const told = typeof value === "number" ? number(value, 3) : value;
    return told.length > 16 ? `${told.slice(0, 15)}…` : told;
  };
  return html`<g>
    <text class="parallel-name" x=${x} y="16" text-anchor="middle">${short(axis.name)}<title>${axis.name}</title></text>
    <line class="parallel-axis" x1=${x} x2=${x} y1=${y(0)} y2=${y(1)} />
    ${axis.ticks.map(([at, value]) => html`<text class="parallel-tick" key=${at} x=${x + 6} y=${y(at) + 4}>${short(value)}</text>`)}
    ${limit && html`<rect class="parallel-limit" x=${x - 9} width="18" y=${y(limit[1])} height=${y(limit[0]) - y(limit[1])} />`}
    <rect class="parallel-grip" data-axis=${axis.name} x=${x - 16} width="32" y=${y(1)} height=${y(0) - y(1)} onPointerDown=${onDown} onPointerMove=${onMove} onPointerUp=${onUp} onPointerCancel=${onUp} />
  </g>`;
}

/** The same limits for the keyboard and for screen readers. */
export function Limits({ axes, passes, limits, onLimits }) {
  const set = (axis, end) => (event) => {
    const [from, to] = limits[axis.name] ?? [0, 1];
    const value = Number(event.target.value);
    const next = end === 0 ? [value, Math.max(value, to)] : [Math.min(from, value), value];
    const { [axis.name]: _, ...others } = limits;
    onLimits(next[0] <= 0 && next[1] >= 1 ? others : { ...others, [axis.name]: next });
  };
  const told = (axis, share) => {
    if (axis.isNumber && axis.back) return number(axis.back(share), 3);
    return axis.ticks.reduce((best, tick) => (Math.abs(tick[0] - share) < Math.abs(best[0] - share) ? tick : best))[1];
  };
  const passed = passes.filter(Boolean).length;
  return html`<details class="disclosure"><summary>${words.limits}</summary>
    <div class="panel scroll" tabindex="0" role="region" aria-label=${words.limits}><table class="table">
      <thead><tr><th scope="col">${words.axis}</th><th scope="col">${words.from}</th><th scope="col">${words.to}</th></tr></thead>
      <tbody>${axes.map((axis) => html`<tr key=${axis.name}><th scope="row">${axis.name}</th>${[0, 1].map((end) => {
        const at = (limits[axis.name] ?? [0, 1])[end];
        return html`<td key=${end}><input type="range" min="0" max="1" step=${axis.isNumber ? 0.02 : 1 / Math.max(1, axis.ticks.length - 1)} value=${at}
          aria-label=${end === 0 ? words.fromOf(axis.name) : words.toOf(axis.name)} aria-valuetext=${String(told(axis, at))} onInput=${set(axis, end)} /> <span class="num">${told(axis, at)}</span></td>`;
      })}</tr>`)}</tbody></table></div></details>
    <p class="chart-hint"><span role="status">${words.kept(passed, passes.length)}</span>
      ${passed < passes.length && html` <button type="button" class="button button-small" onClick=${() => onLimits({})}>${words.letAll}</button>`}</p>`;
}
