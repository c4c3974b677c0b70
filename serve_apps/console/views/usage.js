// Who used what and what it cost: orders at providers, and hours of the cluster's own devices. What is not known is said so.
import { html, lazy, stylesheet, useEffect, useMemo } from "../dom.js";
import { endpoint, request } from "../api.js";
import { Failed, useEvents, useLoad } from "../components/load.js";
import { Columns } from "../components/report/drawing.js";
import { Period, periodOf } from "../components/report/period.js";
import { ReportTable } from "../components/report/table.js";
import { ABSENT, dollars, number } from "../format.js";
import { report as shared, usage as text } from "../strings-report.js";
import { strings } from "../strings.js";
import { addUp, groupBy, withoutGaps } from "../usage.js";

await stylesheet("css/report.css");

const Spend = lazy(() => import("../components/spend.js").then((module) => module.Spend), "css/control.css");
const ENDS = ["succeeded", "failed", "cancelled", "deleted"];

export function UsageView({ app, params }) {
  const address = params.toString();
  const period = useMemo(() => periodOf(params, Date.now()), [address]);
  const asked = { since: period.since, until: period.until };
  const { value, error, reload } = useLoad(`usage ${asked.since} ${asked.until}`, (signal) => request("GET", "../reports/usage", { params: asked, signal }));
  useEvents(app.store, ENDS, reload);
  useEffect(() => {
    document.title = text.title;
    app.store.onAnswer(null);
  }, []);
  return html`
    <div class="page-head"><h1>${text.heading}</h1><${Period} view="usage" params=${params} name=${period.name} /></div>
    <div class="stack spend"><${Spend} store=${app.store} since=${asked.since} until=${asked.until} /></div>
    ${error && html`<${Failed} what=${shared.failedToLoad} error=${error} onAgain=${reload} />`}
    ${!value && !error && html`<p class="panel notice muted" role="status">${shared.loading}</p>`}
    ${value?.rows.length === 0 && html`<section class="panel notice"><h2>${text.none}</h2><p class="muted">${text.noneText}</p></section>`}
    ${value?.rows.length > 0 && html`<div class="stack">
      <${Totals} of=${addUp(value.rows)} />
      <div class="cards">${["user", "backend", "kind", "day"].map((by) => html`<${Group} key=${by} by=${by} rows=${value.rows} />`)}</div>
      <p class="hint">${text.note} ${shared.refreshed} <a href=${endpoint("../reports/usage", { ...asked, format: "csv" }).href} download="usage.csv">${text.all}</a></p>
    </div>`}
  `;
}

function Totals({ of }) {
  const tile = (name, value, ...notes) => html`<div class="tile"><dt>${name}</dt><dd>${value}${notes.filter(Boolean).map((note) => html`<small>${note}</small>`)}</dd></div>`;
  return html`<section class="panel" aria-label=${text.heading}><dl class="tiles">
    ${tile(text.settled, money(of.settled_usd, of.unknown_jobs), text.orders(of.settled_jobs))}
    ${tile(text.estimated, money(of.estimated_usd, 0), text.orders(of.estimated_jobs))}
    ${tile(text.unknown, text.orders(of.unknown_jobs))}
    ${tile(text.hours, hours(of.device_hours), text.ended(of.timed_jobs), of.untimed_jobs > 0 && text.running(of.untimed_jobs))}
  </dl></section>`;
}

function Group({ by, rows }) {
  const groups = groupBy(rows, by);
  const column = (name, show, value) => ({ label: text.columns[name], show, value, isNumber: true });
  const isShort = by === "day" && groups.length > 1 && groups.some((row) => row.settled_usd !== null || row.estimated_usd !== null);
  return html`<${ReportTable} title=${text.by[by]} file=${`usage-by-${by}`} none="" rows=${groups} foot=${addUp(rows)} columns=${[
    { label: text.name[by], show: (row) => nameOf(by, row), value: (row) => row[by], isWide: true },
    column("jobs", (row) => number(row.jobs), (row) => row.jobs),
    column("settled", (row) => money(row.settled_usd, row.unknown_jobs), (row) => row.settled_usd),
    column("estimated", (row) => money(row.estimated_usd, 0), (row) => row.estimated_usd),
    column("unknown", (row) => (row.unknown_jobs > 0 ? text.orders(row.unknown_jobs) : ABSENT), (row) => row.unknown_jobs),
    column("hours", (row) => hours(row.device_hours), (row) => row.device_hours),
  ]}>${isShort && html`<${Columns} label=${text.daySummary(groups.length)} keys=${[text.columns.settled, text.columns.estimated]} tick=${(value) => (value === 0 ? "$0" : dollars(value))}
    groups=${withoutGaps(groups).map((row) => ({ name: row.day.slice(5), values: [row.settled_usd, row.estimated_usd] }))} />`}<//>`;
}

function nameOf(by, row) {
  if (row[by] === undefined) return shared.periods.all;
  if (by === "kind") return strings.kinds[row.kind] ?? row.kind;
  return by === "backend" ? (strings.backends[row.backend] ?? row.backend) : row[by];
}

// Where orders have no price at all, an absent sum is not known; where there were none, there is nothing to know.
const money = (value, unknown) => (value === null ? (unknown > 0 ? text.notKnown : ABSENT) : dollars(value));
const hours = (value) => (value === null ? ABSENT : `${number(value, 3)} h`);
