// What the platform stands on: parts that answer or do not, and the versions of everything. And the alerts.
import { html } from "../../dom.js";
import { ApiError, endpoint, request } from "../../api.js";
import { dateTime } from "../../format.js";
import { jobHref } from "../../router.js";
import { admin, alerts as alertText, system as text } from "../../strings-admin.js";
import { Failed, useEvents, useLoad } from "../load.js";

export function System() {
  const { value, error, reload } = useLoad("health", health);
  if (error && !value) return html`<${Failed} what=${admin.failedToLoad} error=${error} onAgain=${reload} />`;
  if (!value) return html`<p class="panel notice muted" role="status">${admin.loading}</p>`;
  return html`<div class="cards">
    <section class="panel" aria-labelledby="health">
      <div class="panel-head"><h2 id="health">${text.health}</h2><span class="muted num">${text.streams(value.streams)}</span>
        <span class="spacer"></span><button type="button" class="button button-small" onClick=${reload}>${text.again}</button></div>
      <div class="scroll" tabindex="0" role="region" aria-label=${text.columns.part}><table class="rows"><thead><tr><th scope="col">${text.columns.part}</th><th scope="col">${text.columns.state}</th>
        <th scope="col" class="rows-number">${text.columns.took}</th></tr></thead>
        <tbody>${Object.entries(value.checks).map(([name, check]) => html`<tr key=${name}><th scope="row">${text.part[name] ?? name}</th>
          <td class="rows-wide"><span class=${`state state-${check.ok ? "good" : "bad"}`}>${check.ok ? text.ok : check.error}</span></td>
          <td class="rows-number num">${Math.ceil(check.took_ms)} ms</td></tr>`)}</tbody></table></div>
    </section>
    <section class="panel" aria-labelledby="versions">
      <div class="panel-head"><h2 id="versions">${text.versions}</h2></div>
      <dl class="pairs">${Object.entries(value.versions).map(([name, version]) => html`<div key=${name}><dt>${text.names[name] ?? name}</dt>
        <dd>${version ?? html`<span class="muted">${text.absent}</span>`}</dd></div>`)}</dl>
    </section>
  </div>`;
}

/** A platform that is not ready answers 503, and says in the same words what it lacks. */
async function health(signal) {
  const response = await fetch(endpoint("../health"), { signal, cache: "no-store" });
  if (response.ok || response.status === 503) return response.json();
  throw new ApiError(response.status, {});
}

export function Alerts({ app }) {
  const { value, error, reload } = useLoad("alerts", (signal) => request("GET", "../alerts", { signal }));
  useEvents(app.store, ["failed"], reload);
  if (error && !value) return html`<${Failed} what=${admin.failedToLoad} error=${error} onAgain=${reload} />`;
  if (!value) return html`<p class="panel notice muted" role="status">${admin.loading}</p>`;
  return html`<${AlertList} found=${value} />`;
}

export function AlertList({ found }) {
  const { alerts, rules } = found;
  if (alerts.length === 0) {
    return html`<section class="panel notice"><h2>${alertText.empty}</h2>
      <p class="muted">${rules.length === 0 ? alertText.noRules : alertText.emptyRules(rules.length)}</p></section>`;
  }
  return html`<section class="panel" aria-label=${admin.part.alerts}><ul>
    ${alerts.map((alert) => html`<li class="letter" key=${`${alert.rule} ${alert.job_id}`}>
      <div class="letter-about"><b>${alert.rule}</b> ${alert.message}
        <small class="muted num">${dateTime(alert.at)} · ${alertText.jobs(alert.job_ids.length)}</small></div>
      <a class="button button-small" href=${jobHref(alert.job_id)}>${alertText.look}</a></li>`)}
  </ul></section>`;
}
