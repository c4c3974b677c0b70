// Which class was taken for which: rows are the truth, columns the prediction, each cell a share of its row.
import { html } from "../dom.js";
import { number, share } from "../format.js";
import { strings } from "../strings.js";

// More would not be legible; the report among the artifacts has them all.
const MOST_CLASSES = 30;
// Percent of colour in a cell; more would take the contrast from its number.
const STRONGEST = 42;
const text = strings.confusion;

export function Confusion({ matrix, names }) {
  const isMatrix = Array.isArray(matrix) && matrix.length > 0 && matrix.every((row) => Array.isArray(row));
  if (!isMatrix || matrix.length > MOST_CLASSES) return null;
  const label = (i) => String(names?.[i] ?? i);
  return html`<section class="panel confusion" aria-labelledby="confusion">
    <div class="panel-head"><h2 id="confusion">${text.heading}</h2></div>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="confusion">
      <table class="matrix">
        <caption class="visually-hidden">${text.caption}</caption>
        <thead><tr><th scope="col">${text.corner}</th>
          ${matrix.map((_, i) => html`<th scope="col" key=${i}>${label(i)}</th>`)}</tr></thead>
        <tbody>${matrix.map((row, i) => html`<${Truth} key=${i} row=${row} name=${label(i)} at=${i} />`)}</tbody>
      </table>
    </div>
  </section>`;
}

function Truth({ row, name, at }) {
  const total = row.reduce((sum, count) => sum + count, 0);
  return html`<tr><th scope="row">${name}</th>
    ${row.map((count, i) => {
      const part = total > 0 ? count / total : 0;
      // Square root: small confusions are what one looks for.
      const strength = `${Math.round(Math.sqrt(part) * STRONGEST)}%`;
      return html`<td key=${i} class=${i === at ? "hit" : "miss"} style=${{ "--strength": strength }}
        title=${share(part)}>${count === 0 ? "" : number(count)}</td>`;
    })}
  </tr>`;
}
