// One metric of many jobs over each other.
import { html, useEffect, useMemo, useSource, useState } from "../../dom.js";
import { Compared } from "../../compared.js";
import { number } from "../../format.js";
import { strings } from "../../strings.js";
import { words } from "../../strings-compare.js";
import { words as curveWords } from "../../strings-curves.js";
import { Chart } from "../chart.js";
import { menu, prepare } from "../curvetools.js";

const EMPTY = { curves: [], columns: [[]] };
const FIRST = ["val_loss", "train_loss", "val_accuracy"]; // what one looks at before all else

export function Overlay({ store, jobs, passes }) {
  const compared = useMemo(() => new Compared(store), [store]);
  useEffect(() => compared.open(), [compared]);
  const [level, setLevel] = useState("epoch");
  useEffect(() => jobs.forEach((job) => compared.add(job, level)), [compared, jobs]);
  useEffect(() => compared.load(level), [level]);
  useSource(compared);
  const names = [...new Set(compared.jobs.flatMap(({ series }) => [...series.names()]))].sort();
  const [chosen, choose] = useState(null);
  const name = chosen ?? FIRST.find((first) => names.includes(first)) ?? names[0];
  const [settings, setSettings] = useState({ smoothing: 0, by: "place" });
  const [isLog, setLog] = useState(false);
  const kept = passes.join();
  const [curves, columns] = useMemo(() => {
    const others = compared.jobs.map((job) => ({ ...job, isKept: passes[jobs.findIndex(({ id }) => id === job.id)] }));
    // Those that do not pass leave their colour to nobody else.
    return name ? prepare(EMPTY, { names: [name], level, isLog, ...settings, others: others.map((job) => (job.isKept ? job : { ...job, series: NOTHING })) }) : [[], [[]]];
  }, [compared.version, name, level, isLog, settings, kept]);
  const tools = useMemo(() => menu(isLog, setLog), [isLog]);
  const set = (key, value) => setSettings({ ...settings, [key]: value });
  if (names.length === 0) return level === "epoch" && compared.jobs.length > 0 ? html`<${Steps} onNone=${() => setLevel("step")} />` : html`<p class="panel panel-note">${words.noCurves}</p>`;
  return html`<div class="curve-tools">
      <label>${words.curve} <select class="field field-small" value=${name} onChange=${(event) => choose(event.target.value)}>${names.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}</select></label>
      <label>${strings.charts.level} <select class="field field-small" value=${level} onChange=${(event) => setLevel(event.target.value)}>
        <option value="epoch">${strings.charts.epoch}</option><option value="step">${strings.charts.step}</option></select></label>
      <label>${curveWords.align} <select class="field field-small" value=${settings.by} onChange=${(event) => set("by", event.target.value)}>
        ${Object.entries(curveWords.aligns).map(([value, label]) => html`<option key=${value} value=${value}>${label}</option>`)}</select></label>
      <label class="curve-smooth">${curveWords.smoothing} <input type="range" min="0" max="0.99" step="0.01" value=${settings.smoothing} onInput=${(event) => set("smoothing", Number(event.target.value))} /></label>
    </div>
    <div class="compare-chart"><${Chart} title=${name} curves=${curves} columns=${columns} sync="compare" isWhole=${false} isLog=${isLog} tools=${tools} format=${number} tick=${(value) => number(value, 3)} /></div>`;
}

const NOTHING = { names: () => new Set() };

/** Runs without epochs have their values by step. */
function Steps({ onNone }) {
  useEffect(() => {
    const timer = setTimeout(onNone, 800);
    return () => clearTimeout(timer);
  }, []);
  return html`<p class="panel panel-note">${words.loading}</p>`;
}
