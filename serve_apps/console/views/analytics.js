// What was trained, how long it took, how often it worked and why it did not.
import { html, stylesheet, useEffect, useMemo } from "../dom.js";
import { request } from "../api.js";
import { AlertList } from "../components/admin/system.js";
import { Failed, useEvents, useLoad } from "../components/load.js";
import { Columns, Points } from "../components/report/drawing.js";
import { Period, periodOf } from "../components/report/period.js";
import { ReportTable } from "../components/report/table.js";
import { ABSENT, duration, number, share, shortTime } from "../format.js";
import { jobHref } from "../router.js";
import { analytics as text, report as shared } from "../strings-report.js";
import { strings } from "../strings.js";

await stylesheet("css/report.css");

const ENDS = ["succeeded", "failed", "cancelled", "deleted"];
const POINTS = 500;
const seconds = (value) => (value === null ? ABSENT : duration(value * 1000));

export function AnalyticsView({ app, params }) {
  const address = params.toString();
  const period = useMemo(() => periodOf(params, Date.now()), [address]);
  const { since, until } = period;
  const { value, error, reload } = useLoad(`analytics ${since} ${until}`, (signal) => read({ since, until }, signal));
  useEvents(app.store, ENDS, reload);
  useEffect(() => {
    document.title = text.title;
    app.store.onAnswer(null);
  }, []);
  return html`
    <div class="page-head"><h1>${text.heading}</h1><${Period} view="analytics" params=${params} name=${period.name} /></div>
    ${error && html`<${Failed} what=${shared.failedToLoad} error=${error} onAgain=${reload} />`}
    ${!value && !error && html`<p class="panel notice muted" role="status">${shared.loading}</p>`}
    ${value && (isEmpty(value) ? html`<section class="panel notice"><h2>${text.none}</h2><p class="muted">${text.noneText}</p></section>`
      : html`<${Reports} ...${value} />`)}
  `;
}

async function read(params, signal) {
  const get = (path, more = {}) => request("GET", `../${path}`, { params: { ...params, ...more }, signal });
  const [report, points, alerts] = await Promise.all([
    get("reports"), get("reports/dataset-sizes/trainings", { limit: POINTS }), get("alerts"),
  ]);
  return { report, points: points.rows, alerts };
}

const isEmpty = ({ report, points, alerts }) =>
  [report.trigger_words, report.steps, report.captioning, report.failures, points, alerts.alerts].every(({ length }) => length === 0) && report.durations.jobs === 0;

function Reports({ report, points, alerts }) {
  return html`<div class="stack">
    <${Times} times=${report.durations} />
    <div class="cards">
      <${Words} rows=${report.trigger_words} />
      <${Captioning} rows=${report.captioning} />
      <${Steps} rows=${report.steps} />
      <${Sizes} rows=${report.dataset_sizes} points=${points} />
      <${Failures} rows=${report.failures} />
      <section aria-label=${text.alerts}><h2 class="visually-hidden">${text.alerts}</h2><${AlertList} found=${alerts} /></section>
    </div>
    <p class="hint">${shared.refreshed}</p>
  </div>`;
}

function Times({ times }) {
  return html`<section class="panel" aria-label=${text.times}><dl class="tiles">
    <div class="tile"><dt>${text.training}</dt><dd>${seconds(times.predict_time)}<small>${text.counted(times.jobs)}</small></dd></div>
    <div class="tile"><dt>${text.total}</dt><dd>${seconds(times.total_time)}</dd></div>
  </dl></section>`;
}

function Words({ rows }) {
  const words = text.wordColumns;
  const most = Math.max(1, ...rows.map(({ jobs }) => jobs));
  const statuses = ({ by_status: counts }) => Object.entries(counts).map(([name, n]) => `${n} ${strings.status[name] ?? name}`).join(", ");
  return html`<${ReportTable} title=${text.words} note=${text.popular} file="trigger-words" none=${text.nothing} rows=${rows} bar=${({ jobs }) => jobs / most}
    columns=${[
      { label: words.word, show: (row) => row.trigger_word, isWide: true },
      { label: words.jobs, show: (row) => number(row.jobs), value: (row) => row.jobs, isNumber: true },
      { label: words.statuses, show: statuses, isWide: true },
      { label: words.last, show: (row) => shortTime(row.last_created_at), value: (row) => row.last_created_at },
    ]} />`;
}

function Captioning({ rows }) {
  const words = text.captionColumns;
  const count = (name) => ({ label: words[name], show: (row) => number(row[name]), value: (row) => row[name], isNumber: true });
  return html`<${ReportTable} title=${text.captioning} file="captioning" none=${text.nothing} rows=${rows} bar=${(row) => (row.success_rate_percent ?? 0) / 100}
    columns=${[
      { label: words.captioning, show: (row) => row.captioning },
      count("jobs"), count("ended"), count("succeeded"),
      {
        label: words.rate, isNumber: true, value: (row) => row.success_rate_percent,
        show: (row) => (row.success_rate_percent === null ? html`<span class="muted">${text.noRate}</span>` : share(row.success_rate_percent / 100)),
      },
    ]} />`;
}

function Steps({ rows }) {
  const words = text.stepColumns;
  return html`<${ReportTable} title=${text.steps} file="steps" none=${text.nothing} rows=${rows} columns=${[
    { label: words.steps, show: (row) => number(row.steps), value: (row) => row.steps, isNumber: true },
    { label: words.jobs, show: (row) => number(row.jobs), value: (row) => row.jobs, isNumber: true },
    { label: words.training, show: (row) => seconds(row.predict_time), value: (row) => row.predict_time, isNumber: true },
    { label: words.total, show: (row) => seconds(row.total_time), value: (row) => row.total_time, isNumber: true },
  ]}><${Columns} label=${text.stepSummary(rows.length)} keys=${[words.training, words.total]} tick=${seconds} isTime
    groups=${rows.map((row) => ({ name: number(row.steps), values: [row.predict_time, row.total_time] }))} /><//>`;
}

function Sizes({ rows, points }) {
  const words = text.sizeColumns;
  return html`<${ReportTable} title=${text.sizes} file="dataset-sizes" none=${text.nothing} rows=${rows} columns=${[
    { label: words.size, show: (row) => text.size(row.least, row.most), isNumber: true },
    { label: words.jobs, show: (row) => number(row.jobs), value: (row) => row.jobs, isNumber: true },
    { label: words.seconds, show: (row) => seconds(row.seconds), value: (row) => row.seconds, isNumber: true },
    { label: words.perStep, show: (row) => (row.seconds_per_step === null ? ABSENT : `${number(row.seconds_per_step, 3)} s`), value: (row) => row.seconds_per_step, isNumber: true },
  ]}>${points.length > 0 && html`<${Points} label=${text.sizeSummary(points.length)} xName=${text.sizeAxis} tick=${seconds}
    points=${points.map((point) => ({
      x: point.dataset_size, y: point.seconds, href: jobHref(point.job_id), name: text.point(point.dataset_size, seconds(point.seconds)),
    }))} />`}<//>`;
}

function Failures({ rows }) {
  const words = text.failureColumns;
  return html`<${ReportTable} title=${text.failures} file="failures" none=${text.nothing} rows=${rows} bar=${(row) => row.share_percent / 100} columns=${[
    { label: words.reason, show: (row) => strings.failure[row.reason] ?? row.reason, value: (row) => row.reason, isWide: true },
    { label: words.jobs, show: (row) => number(row.jobs), value: (row) => row.jobs, isNumber: true },
    { label: words.share, show: (row) => share(row.share_percent / 100), value: (row) => row.share_percent, isNumber: true },
    { label: words.last, show: (row) => (row.last_at ? shortTime(row.last_at) : ABSENT), value: (row) => row.last_at },
  ]} />`;
}
