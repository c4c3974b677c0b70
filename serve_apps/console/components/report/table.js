// A table of a report: its head with a way to save it, and rows with a bar where one number is what they are about.
import { html } from "../../dom.js";
import { report as text } from "../../strings-report.js";

/** @param {{title: string, note?: string, file: string, columns: {label: string, show: (row) => any, value?: (row) => any,
 *   isNumber?: boolean, isWide?: boolean}[], rows: object[], bar?: (row) => number, foot?: object, none: string}} props
 *  `value` is what the CSV gets, where that is not what is shown. `bar` is 0 to 1. */
export function ReportTable({ title, note, file, columns, rows, bar, foot, none, children }) {
  const cells = (row) => columns.map(({ show, isNumber, isWide, label }, at) => {
    const kind = [isNumber && "rows-number num", isWide && "rows-wide"].filter(Boolean).join(" ");
    return at === 0 ? html`<th scope="row" class=${kind} key=${label}>${show(row)}</th>` : html`<td class=${kind} key=${label}>${show(row)}</td>`;
  });
  const barCell = (row) => bar && html`<td class="rows-bar"><meter class="bar" min="0" max="1" value=${bar(row)} aria-hidden="true"></meter></td>`;
  return html`<div class="panel report">
    <div class="panel-head"><h2>${title}</h2>${note && html`<small class="muted">${note}</small>`}<span class="spacer"></span>
      ${rows.length > 0 && html`<button type="button" class="button button-small" aria-label=${text.csvOf(title)}
        onClick=${() => save(`${file}.csv`, columns, rows)}>${text.csv}</button>`}</div>
    ${rows.length === 0 ? html`<p class="panel-note">${none}</p>` : children}
    ${rows.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label=${title}><table class="rows">
      <thead><tr>${columns.map(({ label, isNumber }) => html`<th scope="col" class=${isNumber ? "rows-number" : ""} key=${label}>${label}</th>`)}
        ${bar && html`<td class="rows-bar"></td>`}</tr></thead>
      <tbody>${rows.map((row, at) => html`<tr key=${at}>${cells(row)}${barCell(row)}</tr>`)}</tbody>
      ${foot && html`<tfoot><tr>${cells(foot)}${bar && html`<td class="rows-bar"></td>`}</tr></tfoot>`}
    </table></div>`}
  </div>`;
}

function save(name, columns, rows) {
  const lines = [columns.map(({ label }) => label), ...rows.map((row) => columns.map(({ show, value = show }) => value(row)))];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv(lines)], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Rows of cells as CSV; what is absent stays empty, and no text becomes a formula of a spreadsheet. */
export const csv = (rows) => rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";

function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
