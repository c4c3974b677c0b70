// The values of a job's curves as a table.
import { html, useEffect, useMemo, useState } from "../dom.js";
import { number } from "../format.js";
import { strings } from "../strings.js";

const text = strings.charts;
const FIRST_ROWS = 20;

export function Values({ charts, series, version, countsSteps, onOpen }) {
  const [isOpen, setOpen] = useState(false);
  const [shown, setShown] = useState(FIRST_ROWS);
  useEffect(() => void (isOpen && onOpen()?.catch(() => {})), [isOpen, series]); // else those that are here stand there
  const words = text.rows[countsSteps ? "step" : "epoch"];
  const rows = useMemo(
    () => (!isOpen ? [] : countsSteps ? series.steps() : series.epochs()),
    [series, version, isOpen, countsSteps],
  );
  const known = series.names();
  const columns = charts.flatMap(({ metrics, format = number }) => metrics.map((name) => ({ name, format }))).filter(
    ({ name }) => known.has(name),
  );
  return html`<details class="disclosure" onToggle=${(event) => setOpen(event.target.open)}>
    <summary>${text.table}</summary>
    ${isOpen &&
    html`<div class="panel scroll" tabindex="0" role="region" aria-label=${words.caption}>
      <table class="table">
        <caption class="visually-hidden">${words.caption}</caption>
        <thead><tr><th scope="col">${words.column}</th>
          ${columns.map(({ name }) => html`<th scope="col" key=${name}>${strings.figures[name]}</th>`)}</tr></thead>
        <tbody>${rows.slice(0, shown).map(
          ({ at, values }) => html`<tr key=${at}><th scope="row">${at}</th>
            ${columns.map(({ name, format }) => html`<td key=${name}>${format(values[name])}</td>`)}</tr>`,
        )}</tbody>
      </table>
      ${rows.length > shown &&
      html`<p class="list-foot"><button type="button" class="button button-small" onClick=${() => setShown(Infinity)}>
        ${words.more(rows.length - shown)}</button></p>`}
    </div>`}
  </details>`;
}
