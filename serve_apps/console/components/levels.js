// Where somebody stands with their limits, as bars.
import { html } from "../dom.js";
import { bytes, number, shortTime } from "../format.js";
import { quotas, spend as text } from "../strings-control.js";

export const money = (value) => `$${value.toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;

/** A figure of one quota in its unit. */
export function amount(quota, value) {
  if (quota === "storage_bytes") return bytes(value);
  return quota.startsWith("usd") ? money(value) : number(value);
}

/** Bars of the limits of one user or team, as the API gives them. */
export function Levels({ of }) {
  return html`<section class="levels" aria-label=${text.of(of.kind, of.name)}><h3>${text.of(of.kind, of.name)}</h3>
    ${of.levels.length === 0 && html`<p class="muted">${text.noLimits}</p>`}
    <ul>${of.levels.map(({ quota, used, limit, share, resets_at: resets }) => html`<li key=${quota}>
      <span>${quotas.levels[quota]}</span>
      <meter min="0" max="1" high="0.8" optimum="0" value=${share === null ? 1 : Math.min(1, share)} aria-label=${quotas.levels[quota]}></meter>
      <span class="num">${limit === 0 ? text.nothing : text.used(amount(quota, used), amount(quota, limit))}</span>
      ${resets && html`<small class="muted">${text.resets(shortTime(resets))}</small>`}
    </li>`)}</ul></section>`;
}
