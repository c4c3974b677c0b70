// What can be done with curves: smoothing, a logarithmic scale, other jobs beside them, and taking them away as a file.
import { html, useEffect, useMemo, useRef, useSource, useState } from "../dom.js";
import * as lib from "../curves.js";
import { Compared, findJobs } from "../compared.js";
import { strings } from "../strings.js";
import { words } from "../strings-curves.js";
import { useLoad, useWork } from "./load.js";

export const COLORS = 6; // --compare-1 and so on, in curves.css
export const colorOf = (i) => `--compare-${(i % COLORS) + 1}`;

/** Curves and columns as they are drawn: smoothed ones before the values themselves, other jobs after the own curves. */
export function prepare(own, { names, level, isLog, smoothing, by, others = [] }) {
  const tables = [own.columns];
  const curves = [...own.curves];
  others.forEach(({ id, name, series }, i) => {
    const found = names.filter((metric) => series.names().has(metric));
    if (found.length === 0) return;
    tables.push(series.columns(found, level, by));
    found.forEach((metric, at) => curves.push({ name: `${id}:${metric}`, label: found.length > 1 ? `${name} ${strings.charts.series[metric] ?? metric}` : name, color: colorOf(i), isDashed: at > 0 }));
  });
  const [xs, ...columns] = tables.length > 1 ? lib.joinTables(tables) : own.columns;
  const fit = isLog ? lib.positive : (column) => column;
  if (smoothing <= 0) return [curves, [xs, ...columns.map(fit)]];
  const faint = curves.map((curve) => ({ ...curve, color: curve.color ?? `--curve-${curve.name}`, name: `${curve.name}:raw`, isFaint: true }));
  return [[...faint, ...curves], [xs, ...columns.map(fit), ...columns.map((column) => fit(lib.smooth(column, smoothing)))]];
}

export function Tools({ detail, level, settings, onSettings, onReady }) {
  const others = useMemo(() => new Compared(detail.store), [detail]);
  useEffect(() => others.open(), [others]);
  useEffect(() => onReady({ prepare, menu, others }), [others]);
  useEffect(() => others.load(level), [others, level]);
  // An average over points that were chosen for their peaks would be none.
  useEffect(() => void (settings.smoothing > 0 && detail.whole(level)?.catch(() => {})), [settings.smoothing > 0, level, detail.rest]);
  useSource(others);
  const [isPicking, setPicking] = useState(false);
  const set = (name) => (event) => onSettings({ ...settings, [name]: name === "smoothing" ? Number(event.target.value) : event.target.value });
  return html`<div class="curve-tools" role="group" aria-label=${words.tools}>
    <label class="curve-smooth" title=${words.smoothingHelp}>${words.smoothing}
      <input type="range" min="0" max="0.99" step="0.01" value=${settings.smoothing} onInput=${set("smoothing")} />
      <output class="num">${settings.smoothing.toFixed(2)}</output></label>
    <label class="curve-align">${words.align} <select class="field field-small" value=${settings.by} onChange=${set("by")}>
      ${Object.entries(words.aligns).map(([value, label]) => html`<option key=${value} value=${value}>${label}</option>`)}</select></label>
    <button type="button" class="button button-small" onClick=${() => setPicking(true)}>${words.compare}</button>
    ${others.jobs.map(({ id, name }, i) => html`<span class="curve-other" key=${id}><span class="swatch" style=${{ background: `var(${colorOf(i)})` }}></span>
      <a href=${`#/jobs/${id}`}>${name}</a><button type="button" class="button button-small" aria-label=${words.remove(name)} onClick=${() => others.remove(id)}>×</button></span>`)}
    ${isPicking && html`<${Picker} others=${others} own=${detail.id} level=${level} onClose=${() => setPicking(false)} />`}
    <p class="chart-hint">${words.hint}</p>
  </div>`;
}

function Picker({ others, own, level, onClose }) {
  const dialog = useRef(null);
  const [name, setName] = useState("");
  const { value: jobs, error } = useLoad(name, (signal) => findJobs(name, signal));
  useEffect(() => dialog.current.showModal(), []);
  const found = (jobs ?? []).filter(({ id }) => id !== own);
  const toggle = (job) => (others.has(job.id) ? others.remove(job.id) : others.add(job, level));
  return html`<dialog class="dialog curve-picker" ref=${dialog} aria-labelledby="picker-title" onClose=${onClose}>
    <h2 id="picker-title">${words.compareTitle}</h2>
    <input class="field" type="search" aria-label=${words.compareSearch} placeholder=${words.compareSearch} value=${name} maxlength="255"
      onInput=${(event) => setName(event.target.value)} />
    ${error && html`<p class="dialog-error" role="alert">${error.message}</p>`}
    <ul>${found.map((job) => html`<li key=${job.id}><label class="check"><input type="checkbox" checked=${others.has(job.id)} onChange=${() => toggle(job)} />
      ${job.job_name} <small class="muted">${job.id.slice(-8)}</small></label></li>`)}</ul>
    ${jobs && found.length === 0 && html`<p class="muted">${words.compareNone}</p>`}
    <div class="dialog-actions"><button type="button" class="button button-primary" onClick=${() => dialog.current.close()}>${words.done}</button></div>
  </dialog>`;
}

/** The buttons of one chart, as a component. */
export function menu(isLog, setLog, whole = null) {
  return function Menu({ title, curves, columns, plot }) {
    const name = title.toLowerCase().replace(/[^a-z0-9]+/g, "-");
    const work = useWork();
    const saveCsv = () => work.run(async () => {
      const all = whole ? await whole.current() : columns;
      save(`${name}.csv`, new Blob([lib.csv(["x", ...curves.map(({ label, isFaint }) => (isFaint ? `${label} (raw)` : label))], all)], { type: "text/csv" }));
    });
    return html`<span class="chart-menu">
      <button type="button" class="button button-small" aria-pressed=${isLog ? "true" : "false"} title=${words.logHelp} aria-label=${words.logOf(title)}
        onClick=${() => setLog(!isLog)}>${words.log}</button>
      <button type="button" class="button button-small" aria-label=${words.save("PNG", title)} onClick=${() => savePng(`${name}.png`, title, curves, plot.current)}>${words.png}</button>
      <button type="button" class="button button-small" aria-label=${words.save("CSV", title)} disabled=${work.busy} onClick=${saveCsv}>${words.csv}</button>
      ${work.error && html`<span class="inline-error" role="alert">${work.error}</span>`}
    </span>`;
  };
}

function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** The chart as it is seen, with its title and its legend. */
function savePng(name, title, curves, plot) {
  if (!plot) return;
  const chart = plot.ctx.canvas;
  const scale = devicePixelRatio;
  const head = 34 * scale;
  const canvas = Object.assign(document.createElement("canvas"), { width: chart.width, height: chart.height + head });
  const style = getComputedStyle(plot.root);
  const pen = canvas.getContext("2d");
  pen.fillStyle = style.getPropertyValue("--surface");
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(chart, 0, head);
  pen.font = `600 ${14 * scale}px ${style.fontFamily}`;
  pen.fillStyle = style.getPropertyValue("--text");
  pen.fillText(title, 10 * scale, 22 * scale);
  let left = 24 * scale + pen.measureText(title).width;
  pen.font = `${12 * scale}px ${style.fontFamily}`;
  for (const curve of curves.filter(({ isFaint }) => !isFaint)) {
    pen.fillStyle = style.getPropertyValue(curve.color ?? `--curve-${curve.name}`);
    pen.fillRect(left, 16 * scale, 12 * scale, 3 * scale);
    pen.fillStyle = style.getPropertyValue("--text");
    pen.fillText(curve.label, left + 18 * scale, 22 * scale);
    left += 34 * scale + pen.measureText(curve.label).width;
  }
  canvas.toBlob((blob) => save(name, blob));
}
