// What was spent by the ledger, and where the reader and their teams stand with their limits.
import { html } from "../dom.js";
import { request } from "../api.js";
import { number } from "../format.js";
import { spend as text } from "../strings-control.js";
import { report as shared } from "../strings-report.js";
import { strings } from "../strings.js";
import { Levels, money } from "./levels.js";
import { Failed, useEvents, useLoad } from "./load.js";
import { ReportTable } from "./report/table.js";

const MOVES = ["created", "succeeded", "failed", "cancelled", "deleted"];

export function Spend({ store, since, until }) {
  const limits = useLoad("quotas", (signal) => request("GET", "../quotas/mine", { signal }));
  const spent = useLoad(`spend ${since} ${until}`, (signal) => request("GET", "../reports/spend", { params: { since, until, by: ["user", "team", "backend"] }, signal }));
  useEvents(store, MOVES, limits.reload);
  useEvents(store, MOVES, spent.reload);
  const error = limits.error ?? spent.error;
  if (error) return html`<${Failed} what=${shared.failedToLoad} error=${error} onAgain=${() => (limits.reload(), spent.reload())} />`;
  const holders = (limits.value?.quotas ?? []).filter(({ levels }) => levels.length > 0);
  return html`
    ${holders.length > 0 && html`<section class="panel report" aria-label=${text.limits}><div class="panel-head"><h2>${text.limits}</h2></div>
      <div class="levels-all">${holders.map((one) => html`<${Levels} key=${`${one.kind} ${one.name}`} of=${one} />`)}</div></section>`}
    ${spent.value?.rows.length > 0 && html`<${Ledger} rows=${spent.value.rows} />`}`;
}

function Ledger({ rows }) {
  const column = (name, show, value, isNumber = true) => ({ label: text.columns[name], show, value, isNumber });
  return html`<${ReportTable} title=${text.ledger} file="spend" none=${text.none} rows=${rows} columns=${[
    { label: text.columns.user, show: (row) => row.user, value: (row) => row.user, isWide: true },
    ...(rows.some(({ team }) => team) ? [column("team", (row) => row.team ?? text.noTeam, (row) => row.team, false)] : []),
    column("backend", (row) => strings.backends[row.backend] ?? row.backend, (row) => row.backend, false),
    column("jobs", (row) => number(row.jobs), (row) => row.jobs),
    column("charged", (row) => money(row.charged_usd), (row) => row.charged_usd),
    column("reserved", (row) => money(row.reserved_usd), (row) => row.reserved_usd),
    column("hours", (row) => number(row.charged_gpu_hours + row.reserved_gpu_hours, 3), (row) => row.charged_gpu_hours + row.reserved_gpu_hours),
  ]} />`;
}
