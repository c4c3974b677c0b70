// Providers: whether they answer, their breaker, what they asked of us, and how much they have of ours.
import { html } from "../../dom.js";
import { request } from "../../api.js";
import { shortTime } from "../../format.js";
import { admin, providers as text } from "../../strings-admin.js";
import { strings } from "../../strings.js";
import { Failed, useEvents, useLoad } from "../load.js";

export function Providers({ app }) {
  const { value, error, reload } = useLoad("providers", (signal) => request("GET", "../providers", { signal }));
  useEvents(app.store, ["scheduled", "succeeded", "failed", "cancelled"], reload);
  if (error && !value) return html`<${Failed} what=${admin.failedToLoad} error=${error} onAgain=${reload} />`;
  if (!value) return html`<p class="panel notice muted" role="status">${admin.loading}</p>`;
  return html`<div class="cards">${value.providers.map((provider) => html`<${Provider} key=${provider.name} of=${provider} />`)}</div>`;
}

function Provider({ of }) {
  const state = !of.configured ? text.off(of.setting) : of.problem ? text.troubled : text.ready;
  const look = !of.configured ? "quiet" : of.problem || of.breaker === "open" ? "bad" : "good";
  const pairs = [
    [text.orders, text.slots(of.open_orders, of.slots)],
    [text.breaker, breaker(of)],
    [text.limits, of.limited_until ? text.limited(shortTime(of.limited_until)) : of.breaker === null ? text.unknown : text.unlimited],
    [text.webhooks, `${of.webhooks.on ? text.on : text.polling}: ${of.webhooks.why}`],
    [text.lastError, of.last_error ?? (of.breaker === null ? text.unknown : admin.none)],
  ];
  return html`<section class="panel" aria-label=${strings.backends[of.name] ?? of.name}>
    <div class="panel-head"><h2>${strings.backends[of.name] ?? of.name}</h2><span class=${`state state-${look}`}>${state}</span></div>
    ${of.problem && of.configured && html`<p class="inline-error">${of.problem}</p>`}
    <dl class="pairs">${pairs.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
  </section>`;
}

function breaker({ breaker: state, failures, retry_at: retryAt }) {
  if (state === null) return text.unknown;
  const parts = [text.breakers[state] ?? state, failures > 0 && text.failures(failures), retryAt && text.retryAt(shortTime(retryAt))];
  return parts.filter(Boolean).join(", ");
}
