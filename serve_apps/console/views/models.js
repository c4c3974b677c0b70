// The models of whoever looks: each with its newest version and what its aliases mean.
import { html, stylesheet, useEffect, useState } from "../dom.js";
import { request } from "../api.js";
import { Failed, useEvents, useLoad } from "../components/load.js";
import { bytes, dateTime } from "../format.js";
import { modelHref } from "../router.js";
import { models as text } from "../strings-models.js";

await stylesheet("css/models.css");

const PAGE = 50;

export function ModelsView({ app }) {
  const [pages, setPages] = useState(1);
  const { value, error, reload } = useLoad(`models ${pages}`, (signal) => read(pages, signal));
  const [shown, setShown] = useState(null); // stays while more is on its way
  useEvents(app.store, ["succeeded"], reload);
  useEffect(() => {
    document.title = text.title;
    app.store.onAnswer(null); // new versions show by themselves
  }, []);
  useEffect(() => value && setShown(value), [value]);
  const list = value ?? shown;
  return html`
    <div class="page-head"><h1>${text.heading}</h1></div>
    ${error && html`<${Failed} what=${text.failedToLoad} error=${error} onAgain=${reload} />`}
    ${!list && !error && html`<p class="panel notice muted" role="status">${text.loading}</p>`}
    ${list?.total === 0 && html`<${Empty} />`}
    ${list?.total > 0 &&
    html`<section class="panel" aria-label=${text.heading}>
      <ul>${list.models.map((model) => html`<${Row} key=${model.name} model=${model} />`)}</ul>
      ${list.models.length < list.total &&
      html`<div class="list-foot"><button type="button" class="button" onClick=${() => setPages(pages + 1)}>${text.more}</button></div>`}
    </section>`}
  `;
}

async function read(pages, signal) {
  const found = [];
  let cursor = null;
  let total = 0;
  for (let page = 0; page < pages && (page === 0 || cursor); page += 1) {
    const answer = await request("GET", "../models", { params: { limit: PAGE, cursor }, signal });
    found.push(...answer.models);
    cursor = answer.next_cursor;
    total = answer.total;
  }
  return { models: found, total };
}

function Row({ model }) {
  const { name, versions, latest, aliases } = model;
  return html`<li class="model-row">
    <div class="model-name"><a href=${modelHref(name)}>${name}</a>
      <small class="muted">${[text.count(versions), latest.config.trigger && text.trigger(latest.config.trigger)].filter(Boolean).join(" · ")}</small></div>
    <p class="model-aliases">${Object.entries(aliases).map(
      ([alias, version]) => html`<span class=${`alias alias-${alias === "latest" ? "latest" : "set"}`} key=${alias}>${alias}
        <span class="num">${text.version(version)}</span></span>`,
    )}</p>
    <p class="model-facts num muted"><span>${bytes(latest.size_bytes)}</span><time datetime=${latest.created_at}>${dateTime(latest.created_at)}</time></p>
  </li>`;
}

function Empty() {
  return html`<section class="panel notice"><h2>${text.none}</h2><p class="muted">${text.noneText}</p>
    <a class="button" href="#/new?kind=video_lora">${text.make}</a></section>`;
}
