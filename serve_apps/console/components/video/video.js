// What only a job from a video shows: its steps, its frames with their review, its training, the version it became.
import { html, useEffect, useMemo, useSource } from "../../dom.js";
import { endpoint } from "../../api.js";
import { JobDetail } from "../../detail.js";
import { countsSteps, isFinal, isWaiting } from "../../fold.js";
import { jobHref, modelHref } from "../../router.js";
import { video as text } from "../../strings-video.js";
import { Charts } from "../charts.js";
import { Figures } from "../figures.js";
import { ProgressLine } from "../progress.js";
import { Status } from "../status.js";
import { Frames } from "./frames.js";
import { Steps } from "./steps.js";

export function Video({ app, job }) {
  const { training_id: training, model, model_version: version } = job.facts;
  return html`
    <${Steps} job=${job} />
    ${model && version && html`<${Version} model=${model} version=${version} />`}
    ${training && html`<${Training} key=${training} app=${app} id=${training} />`}
    <${Frames} job=${job} />
  `;
}

function Version({ model, version }) {
  const file = `../models/${encodeURIComponent(model)}/versions/${version}/model.safetensors`;
  return html`<section class="callout callout-version" aria-labelledby="made">
    <h2 id="made">${text.version(model, version)}</h2>
    <p class="version-links"><a class="button button-small" href=${`${modelHref(model)}?v=${version}`}>${text.versionOpen}</a>
      <a class="button button-small" href=${endpoint(file).pathname} download>${text.versionDownload}</a></p>
  </section>`;
}

/** The job that trains, with its live curves. */
function Training({ app, id }) {
  const detail = useMemo(() => new JobDetail(app.store, id), [app, id]);
  useEffect(() => detail.open(), [detail]);
  useSource(detail);
  const { job } = detail;
  if (!job?.config) return null; // on its way, or deleted since
  return html`<section class="video-training" aria-labelledby="training">
    <div class="section-head"><h2 id="training">${text.training}</h2><${Status} job=${job} />
      <span class="spacer"></span><a class="button button-small" href=${jobHref(id)}>${text.trainingOpen}</a></div>
    <div class="panel job-progress">${isWaiting(job) ? html`<p class="muted">${job.reason ?? text.trainingWaits}</p>` : html`<${ProgressLine} job=${job} />`}</div>
    <${Figures} job=${job} />
    <${Charts} detail=${detail} isFinal=${isFinal(job)} countsSteps=${countsSteps(job)} />
  </section>`;
}
