// Where a version comes from, drawn as a chain: version, job, dataset with its frames, video.
import { html } from "../../dom.js";
import { endpoint, request } from "../../api.js";
import { bytes, dateTime, duration } from "../../format.js";
import { jobHref } from "../../router.js";
import { models as text } from "../../strings-models.js";
import { strings } from "../../strings.js";
import { Failed, useLoad } from "../load.js";

const MOST_FRAMES = 12;
const words = text.chain;

export function Lineage({ path, versions, chosen, onChoose }) {
  const numbers = versions.map(({ version }) => version);
  const version = numbers.includes(Number(chosen)) ? Number(chosen) : numbers[0];
  const place = `${path}/versions/${version}/lineage`;
  const found = useLoad(place, (signal) => request("GET", place, { signal }));
  return html`<section class="panel lineage" aria-labelledby="lineage">
    <div class="panel-head"><h2 id="lineage">${text.lineage}</h2>
      <select class="field" aria-label=${text.lineageOf} onChange=${(event) => onChoose(event.target.value)}>
        ${numbers.map((number) => html`<option key=${number} value=${number} selected=${number === version}>${text.version(number)}</option>`)}
      </select></div>
    ${found.error && html`<${Failed} what=${text.failedToLoad} error=${found.error} onAgain=${found.reload} />`}
    ${found.value && html`<${Chain} found=${found.value} />`}
  </section>`;
}

function Chain({ found }) {
  const { version, job, dataset, recorded, video } = found;
  return html`<ol class="chain" role="list">
    <${Link} kind=${words.version} title=${text.version(version.version)} notes=${[bytes(version.size_bytes), dateTime(version.created_at)]} />
    <${Link} kind=${words.job} title=${job.job_name ?? job.id.slice(-8)} href=${job.exists ? jobHref(job.id) : null}
      notes=${[job.exists ? (strings.kinds[job.kind] ?? job.kind) : words.jobGone, ...training(recorded.training, job)]} />
    <${Dataset} dataset=${dataset} recorded=${recorded.dataset} jobId=${version.job_id} />
    <${Video} video=${video} />
  </ol>`;
}

function Link({ kind, title, href, notes = [], children }) {
  return html`<li class="chain-link"><span class="chain-kind">${kind}</span>
    <b>${href ? html`<a href=${href}>${title}</a>` : title}</b>
    ${notes.filter(Boolean).map((note, i) => html`<span class="muted" key=${i}>${note}</span>`)}${children}</li>`;
}

/** Of a pipeline the training is a job of its own. */
function training(recorded, job) {
  if (!recorded?.job_id || recorded.job_id === job.id) return [];
  return [html`<a href=${jobHref(recorded.job_id)}>${words.training} ${recorded.job_id.slice(-8)}</a>`];
}

function Dataset({ dataset, recorded, jobId }) {
  if (!dataset) {
    const images = recorded?.images && words.kept(recorded.images);
    return html`<${Link} kind=${words.dataset} title=${images || recorded?.uri || "–"}
      notes=${[images && recorded.uri, recorded?.key ? words.datasetGone : words.datasetOutside]} />`;
  }
  const dropped = Object.values(dataset.dropped).reduce((sum, count) => sum + count, 0);
  const frames = dataset.frames.slice(0, MOST_FRAMES);
  return html`<${Link} kind=${words.dataset} title=${words.kept(dataset.kept)} notes=${[dropped > 0 && words.dropped(dropped)]}>
    <ul class="chain-frames">${frames.map((frame) => {
      const url = endpoint(`jobs/${encodeURIComponent(jobId)}/dataset/frames/${frame.id}/thumbnail`, { v: frame.sha256.slice(0, 12) });
      return html`<li key=${frame.id}><img src=${url.pathname + url.search} loading="lazy" decoding="async" title=${frame.caption}
        alt=${words.frame(duration(frame.time_s * 1000), frame.caption)} /></li>`;
    })}</ul>
    ${dataset.frames.length > MOST_FRAMES && html`<a href=${jobHref(jobId)}>${words.all(dataset.frames.length)}</a>`}
  </${Link}>`;
}

function Video({ video }) {
  if (!video) return html`<${Link} kind=${words.video} title="–" notes=${[words.noVideo]} />`;
  const { name, duration_s: seconds, width, height, sha256 } = video;
  return html`<${Link} kind=${words.video} title=${name ?? "–"} notes=${[
    Number.isFinite(seconds) && duration(seconds * 1000),
    width && height && `${width} × ${height}`,
    sha256 && html`<span title=${sha256}>${text.checksum} <code>${sha256.slice(0, 12)}…</code></span>`,
  ]} />`;
}
