// One model: its versions, what aliases mean, two versions beside each other, and where one comes from.
import { html, stylesheet, useEffect, useState } from "../dom.js";
import { request } from "../api.js";
import { Failed, useEvents, useLoad } from "../components/load.js";
import { Compare } from "../components/models/compare.js";
import { Lineage } from "../components/models/lineage.js";
import { Versions } from "../components/models/versions.js";
import { go, modelHref } from "../router.js";
import { models as text } from "../strings-models.js";

await stylesheet("css/models.css");

const PAGE = 50;

export function ModelView({ app, id: name, params }) {
  const [limit, setLimit] = useState(PAGE);
  const path = `../models/${encodeURIComponent(name)}`;
  const model = useLoad(`${path} ${limit}`, (signal) => read(path, limit, signal));
  const [shown, setShown] = useState(null);
  useEvents(app.store, ["succeeded"], model.reload);
  useEffect(() => {
    document.title = text.titleOf(name);
    app.store.onAnswer(null); // new versions show by themselves
  }, [name]);
  useEffect(() => model.value && setShown(model.value), [model.value]);
  const found = model.value ?? shown;
  const { error } = model;
  if (error?.status === 404 || error?.status === 422) return html`<${Absent} />`;
  if (error && !found) return html`<${Back} /><${Failed} what=${text.failedToLoad} error=${error} onAgain=${model.reload} />`;
  if (!found) return html`<p class="notice muted" role="status">${text.loading}</p>`;
  const { versions } = found;
  const choose = (which) => go(chosenHref(name, params, which), { replace: true });
  const onGone = () => (found.model.versions > 1 ? model.reload() : go("#/models", { replace: true }));
  return html`<${Back} />
    <div class="job-head"><div class="job-title"><h1>${name}</h1>
      <p class="job-title-sub">${text.count(found.model.versions)}</p></div></div>
    ${error && html`<${Failed} what=${text.failedToLoad} error=${error} onAgain=${model.reload} />`}
    <${Versions} path=${path} model=${found.model} versions=${versions} onChange=${model.reload} onGone=${onGone}
      onLineage=${(version) => choose({ v: version })} onMore=${versions.length < found.total ? () => setLimit(limit + PAGE) : null} />
    <${Lineage} path=${path} versions=${versions} chosen=${params.get("v")} onChoose=${(version) => choose({ v: version })} />
    ${versions.length > 1 &&
    html`<${Compare} path=${path} versions=${versions} a=${params.get("a")} b=${params.get("b")} onChoose=${choose} />`}
  `;
}

async function read(path, limit, signal) {
  const [model, first] = await Promise.all([
    request("GET", path, { signal }),
    request("GET", `${path}/versions`, { params: { limit: PAGE }, signal }),
  ]);
  const versions = first.versions;
  let cursor = first.next_cursor;
  while (versions.length < limit && cursor) {
    const next = await request("GET", `${path}/versions`, { params: { limit: PAGE, cursor }, signal });
    versions.push(...next.versions);
    cursor = next.next_cursor;
  }
  return { model, versions, total: first.total };
}

function chosenHref(name, params, which) {
  const next = new URLSearchParams(params);
  for (const [key, value] of Object.entries(which)) next.set(key, value);
  return `${modelHref(name)}?${next}`;
}

const Back = () => html`<a class="crumb" href="#/models">← ${text.back}</a>`;

function Absent() {
  return html`<section class="notice" role="status"><h1>${text.notFound}</h1><p class="muted">${text.notFoundText}</p>
    <a class="button" href="#/models">${text.back}</a></section>`;
}
