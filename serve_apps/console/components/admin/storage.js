// How full the storage is. The server looks in the background, since that takes long; until it has, this asks again.
import { html, useEffect, useState } from "../../dom.js";
import { request } from "../../api.js";
import { bytes, shortTime, number } from "../../format.js";
import { admin, storage as text } from "../../strings-admin.js";
import { Failed, useLoad, useWork } from "../load.js";

const PATH = "../storage";
const AGAIN_MS = 1500;

export function Storage() {
  const { value, error, reload } = useLoad("storage", (signal) => request("GET", PATH, { signal }));
  const [swept, setSwept] = useState(null);
  const work = useWork();
  useEffect(() => {
    if (!value?.is_measuring) return undefined;
    const timer = setTimeout(reload, AGAIN_MS);
    return () => clearTimeout(timer);
  }, [value]);
  if (error && !value) return html`<${Failed} what=${admin.failedToLoad} error=${error} onAgain=${reload} />`;
  if (!value) return html`<p class="panel notice muted" role="status">${admin.loading}</p>`;
  const ask = (path, take) => work.run(async () => {
    take(await request("POST", `${PATH}/${path}`));
    reload();
  });
  return html`
    <section class="panel hold">
      <p><b>${text.at}</b> <code>${value.storage}</code>
        <small class="muted num" role="status">${value.is_measuring ? text.measuring : text.measured(shortTime(value.measured_at))}</small></p>
      <button type="button" class="button" disabled=${work.busy || value.is_measuring} onClick=${() => ask("measure", () => {})}>${text.again}</button>
      <button type="button" class="button" disabled=${work.busy} title=${text.sweepText} onClick=${() => ask("sweep", setSwept)}>${text.sweep}</button>
    </section>
    ${swept && html`<p class="panel panel-note" role="status">${text.swept(swept.files, bytes(swept.size_bytes))}</p>`}
    ${(work.error ?? value.problem) && html`<p class="inline-error" role="alert">${work.error ?? value.problem}</p>`}
    ${value.areas.length > 0 && html`<${Areas} areas=${value.areas} />`}
  `;
}

function Areas({ areas }) {
  const sum = (name) => areas.reduce((total, area) => total + area[name], 0);
  const whole = sum("size_bytes");
  return html`<div class="panel report"><div class="scroll" tabindex="0" role="region" aria-label=${admin.part.storage}><table class="rows">
    <thead><tr><th scope="col">${text.columns.area}</th><th scope="col" class="rows-number">${text.columns.files}</th>
      <th scope="col" class="rows-number">${text.columns.size}</th><td class="rows-bar"></td></tr></thead>
    <tbody>${areas.map((area) => html`<tr key=${area.name}><th scope="row">${text.areas[area.name] ?? area.name} <small class="muted">${area.name}/</small></th>
      <td class="rows-number num">${number(area.files)}</td><td class="rows-number num">${bytes(area.size_bytes)}</td>
      <td class="rows-bar"><meter class="bar" min="0" max=${whole || 1} value=${area.size_bytes} aria-label=${text.columns.size}></meter></td></tr>`)}</tbody>
    <tfoot><tr><th scope="row">${text.total}</th><td class="rows-number num">${number(sum("files"))}</td>
      <td class="rows-number num">${bytes(whole)}</td><td class="rows-bar"></td></tr></tfoot>
  </table></div></div>`;
}
