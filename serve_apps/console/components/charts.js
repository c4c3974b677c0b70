// The curves of a job: which charts there are, epochs or steps, and the same values as a table.
import { html, lazy, useEffect, useMemo, useRef, useSource, useState } from "../dom.js";
import { EPOCHS_FOR_CURVE } from "../detail.js";
import { exponent, number, share } from "../format.js";
import { strings } from "../strings.js";
import { Chart } from "./chart.js";
import { whenSeen } from "./seen.js";

const text = strings.charts;
const Values = whenSeen(() => import("./values.js").then((module) => module.Values), null, "disclosure");
const Tools = lazy(() => import("./curvetools.js").then((module) => module.Tools), "css/curves.css");
const SETTINGS = { smoothing: 0, by: "place" }; // of the curves of one job
const CHARTS = [
  { name: "loss", metrics: ["train_loss", "val_loss"] },
  {
    name: "accuracy",
    metrics: ["train_accuracy", "val_accuracy", "macro_f1"],
    format: (value) => share(value, 1),
    tick: (value) => share(value, 0),
  },
  { name: "learning_rate", metrics: ["learning_rate"], format: exponent, tick: exponent },
  { name: "gradient_norm", metrics: ["gradient_norm"] },
  { name: "images_per_second", metrics: ["images_per_second"] },
  { name: "seconds_per_step", metrics: ["seconds_per_step"] },
];
// Drawing may take this share of the time, so that a busy stream leaves the page quick.
const DRAW_SHARE = 0.1;

/** `beside`, with a key of its own, stands next to the first chart, the loss. */
export function Charts({ detail, isFinal, countsSteps = false, beside = null }) {
  const { series } = detail;
  const version = useUnhurried(series.version);
  const [chosen, choose] = useState(null);
  const [auto, setAuto] = useState(null);
  useEffect(() => {
    // Decided once, when the first rows are there, so that the view does not change by itself.
    if (auto === null && series.version > 0) setAuto(series.epochs().length < EPOCHS_FOR_CURVE ? "step" : "epoch");
  }, [version]);
  const level = countsSteps ? "step" : (chosen ?? auto ?? "epoch");
  useEffect(() => {
    if (level === "step") detail.loadSteps();
  }, [level, detail]);
  const known = series.names();
  const charts = CHARTS.filter((chart) => chart.metrics.some((name) => known.has(name)));
  const [settings, setSettings] = useState(SETTINGS);
  const [withTools, setTools] = useState(false);
  const [kit, setKit] = useState(null); // what the tools bring: curves.js, a menu for each chart, the other jobs
  const drawn = charts.map(
    (chart) => html`<${JobChart} key=${chart.name} chart=${chart} detail=${detail} version=${version}
      level=${level} isWhole=${(countsSteps || level === "epoch") && settings.by === "place"} settings=${settings} kit=${kit} />`,
  );
  if (beside) drawn.splice(1, 0, beside);
  return html`<section aria-labelledby="charts">
    <div class="section-head">
      <h2 id="charts">${strings.job.charts}</h2>
      ${charts.length > 0 && !countsSteps && html`<${Levels} level=${level} choose=${choose} />`}
      ${charts.length > 0 && !withTools && html`<button type="button" class="button button-small" onClick=${() => setTools(true)}>${text.tools}</button>`}
      ${withTools && html`<${Tools} detail=${detail} level=${level} settings=${settings} onSettings=${setSettings} onReady=${setKit} />`}
    </div>
    ${charts.length === 0 && !detail.hasRead && html`<div class="chart-place"></div>`}
    ${charts.length === 0 && detail.hasRead && html`<p class="panel panel-note">${isFinal ? text.none : text.waiting}</p>`}
    <div class="charts">
      ${drawn}
    </div>
    ${charts.length > 0 && html`<${Values} charts=${CHARTS} series=${series} version=${version} countsSteps=${countsSteps} onOpen=${() => detail.whole(countsSteps ? "step" : "epoch")} />`}
  </section>`;
}

function Levels({ level, choose }) {
  return html`<div class="segments" role="group" aria-label=${text.level}>
    ${["epoch", "step"].map(
      (name) => html`<button type="button" class="segment" key=${name} aria-pressed=${name === level ? "true" : "false"}
        onClick=${() => choose(name)}>${text[name]}</button>`,
    )}
  </div>`;
}

const NOBODY = { subscribe: () => () => {}, jobs: [], version: 0 };

function JobChart({ chart, detail, version, level, isWhole, settings, kit }) {
  const { series } = detail;
  const [isLog, setLog] = useState(false);
  const others = useSource(kit?.others ?? NOBODY);
  const names = chart.metrics.filter((name) => series.names().has(name));
  const prepare = () => {
    const own = { curves: names.map((name) => ({ name, label: text.series[name] })), columns: series.columns(names, level, settings.by) };
    return kit ? kit.prepare(own, { names, level, isLog, ...settings, others: others.jobs }) : [own.curves, own.columns];
  };
  const whole = useRef(null); // all that the curves are made of
  whole.current = async () => (await detail.whole(level), prepare()[1]);
  const [curves, columns] = useMemo(prepare, [series, version, level, names.join(), settings, isLog, kit, others.version]);
  const tools = useMemo(() => kit && kit.menu(isLog, setLog, whole), [kit, isLog]);
  return html`<${Chart} title=${text[chart.name]} curves=${curves} columns=${columns} sync=${detail.id} isWhole=${isWhole} isLog=${isLog} tools=${tools}
    onView=${(zoom) => detail.rest?.look(level, settings.by, zoom)}
    format=${chart.format ?? number} tick=${chart.tick ?? ((value) => number(value, 3))} />`;
}

/** `version`, but changing only so often that what is drawn because of it stays a small share of the time. */
function useUnhurried(version) {
  const [shown, setShown] = useState(version);
  const state = useRef({ timer: null, newest: version, cost: 0 });
  const now = state.current;
  now.newest = version;
  useEffect(() => {
    if (version === shown || now.timer !== null) return;
    now.timer = setTimeout(() => {
      now.timer = null;
      const begun = performance.now();
      setShown(now.newest);
      // After the frame that draws it.
      requestAnimationFrame(() => setTimeout(() => (now.cost = performance.now() - begun), 0));
    }, Math.min(1000, now.cost / DRAW_SHARE));
  }, [version, shown]);
  useEffect(() => () => clearTimeout(now.timer), []);
  return shown;
}
