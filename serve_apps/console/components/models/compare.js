// Two versions beside each other: the fields in which they differ.
import { html } from "../../dom.js";
import { request } from "../../api.js";
import { models as text } from "../../strings-models.js";
import { Failed, useLoad } from "../load.js";

export function Compare({ path, versions, a, b, onChoose }) {
  const numbers = versions.map(({ version }) => version);
  const second = known(numbers, b) ?? numbers[0];
  const first = known(numbers, a) ?? numbers.find((number) => number !== second);
  const key = `${path} ${first} ${second}`;
  const found = useLoad(key, (signal) => request("GET", `${path}/compare`, { params: { a: first, b: second }, signal }));
  const chooser = (name, label, chosen) => html`<select class="field" aria-label=${label}
    onChange=${(event) => onChoose({ a: first, b: second, [name]: event.target.value })}>
    ${numbers.map((number) => html`<option key=${number} value=${number} selected=${number === chosen}>${text.version(number)}</option>`)}
  </select>`;
  return html`<section class="panel compare" aria-labelledby="compare">
    <div class="panel-head"><h2 id="compare">${text.compare}</h2>
      ${chooser("a", text.compareFirst, first)}${chooser("b", text.compareSecond, second)}</div>
    ${found.error && html`<${Failed} what=${text.failedToLoad} error=${found.error} onAgain=${found.reload} />`}
    ${found.value && html`<${Differences} found=${found.value} />`}
  </section>`;
}

const known = (numbers, text) => (numbers.includes(Number(text)) ? Number(text) : null);

function Differences({ found }) {
  const { changed, same, a, b } = found;
  return html`
    ${changed.length === 0
      ? html`<p class="panel-note">${text.compareNone}</p>`
      : html`<div class="scroll" tabindex="0" role="region" aria-labelledby="compare"><table class="differences">
          <caption class="visually-hidden">${text.compareCaption}</caption>
          <thead><tr><th scope="col">${text.compareField}</th><th scope="col">${text.version(a.version)}</th>
            <th scope="col">${text.version(b.version)}</th></tr></thead>
          <tbody>${changed.map(
            ({ field, a: mine, b: theirs }) => html`<tr key=${field}><th scope="row">${field}</th><td>${shown(mine)}</td><td>${shown(theirs)}</td></tr>`,
          )}</tbody>
        </table></div>`}
    <details class="compare-same"><summary>${text.same(Object.keys(same).length)}</summary>
      <dl class="pairs">${Object.entries(same).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${shown(value)}</dd></div>`)}</dl>
    </details>`;
}

function shown(value) {
  if (value === null || value === undefined) return html`<span class="muted">${text.unset}</span>`;
  return typeof value === "object" ? html`<code>${JSON.stringify(value)}</code>` : String(value);
}
