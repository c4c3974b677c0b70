// The time that a report is about. It stands in the address, so that a reload, the back button and a link show the same.
import { html } from "../../dom.js";
import { go } from "../../router.js";
import { report as text } from "../../strings-report.js";

const DAY_MS = 86_400_000;
const DAYS = { __proto__: null, "7d": 7, "30d": 30, "90d": 90, "1y": 365, all: null };
const FIRST = "30d";
const DATE = /^\d{4}-\d\d-\d\d$/;

/** `{name, since, until}` of an address; the times are ISO or null, to the minute, so that the same one is asked for again. */
export function periodOf(params, now) {
  const since = DATE.test(params.get("since")) ? params.get("since") : null;
  const until = DATE.test(params.get("until")) ? params.get("until") : null;
  if (since || until) return { name: "own", since: since && midnight(since, 0), until: until && midnight(until, 1) };
  const name = params.get("period") in DAYS ? params.get("period") : FIRST;
  const days = DAYS[name];
  if (days === null) return { name, since: null, until: null };
  const minute = Math.floor(now / 60_000) * 60_000;
  return { name, since: new Date(minute - days * DAY_MS).toISOString(), until: null };
}

/** A day of the viewer's zone begins, or the day after it. */
function midnight(day, later) {
  const [year, month, date] = day.split("-").map(Number);
  const at = new Date(year, month - 1, date + later);
  return Number.isNaN(at.getTime()) ? null : at.toISOString();
}

export function Period({ view, params, name }) {
  const choose = (wanted) => go(`#/${view}?period=${wanted}`, { replace: true });
  const day = (which, value) => {
    const next = new URLSearchParams(params);
    next.delete("period");
    if (value) next.set(which, value);
    else next.delete(which);
    go(`#/${view}?${next}`, { replace: true });
  };
  const field = (which, label) => html`<label class="period-day">${label}
    <input class="field" type="date" value=${params.get(which) ?? ""} onChange=${({ target }) => day(which, target.value)} /></label>`;
  return html`<div class="period" role="group" aria-label=${text.period}>
    <div class="segments">${Object.keys(DAYS).map((wanted) => html`<button type="button" class="segment" key=${wanted}
      aria-pressed=${wanted === name ? "true" : "false"} onClick=${() => choose(wanted)}>${text.periods[wanted]}</button>`)}</div>
    ${field("since", text.since)}${field("until", text.until)}
  </div>`;
}
