// One job: where it stands, its curves, its log, its files, and what can be done to it.
import { html, lazy, useEffect, useMemo, useNow, useSource, useState } from "../dom.js";
import { api } from "../api.js";
import { JobDetail } from "../detail.js";
import { countsSteps, isFinal, isWaiting, listens } from "../fold.js";
import { dateTime, dollars, duration, percent } from "../format.js";
import { go, jobHref, listHref } from "../router.js";
import { strings } from "../strings.js";
import { Charts } from "../components/charts.js";
import { Figures } from "../components/figures.js";
import { Eta, Origin, ProgressBar, reached } from "../components/progress.js";
import { whenSeen } from "../components/seen.js";
import { Status, statusOf } from "../components/status.js";

const text = strings.job;
const Confusion = lazy(() => import("../components/confusion.js").then((module) => module.Confusion));
const Images = lazy(() => import("../components/images.js").then((module) => module.Images), "css/remote.css");
const Samples = lazy(() => import("../components/samples.js").then((module) => module.Samples), "css/samples.css");
const Wishes = lazy(() => import("../components/wishes.js").then((module) => module.Wishes), "css/samples.css");
const MADE_OF_JOBS = {
  video_lora: lazy(() => import("../components/video/video.js").then((module) => module.Video), "css/video.css"),
  sweep: lazy(() => import("../components/sweep/sweep.js").then((module) => module.Sweep), "css/sweep.css"),
};
const Examples = lazy(() => import("../components/examples.js").then((module) => module.Examples), "css/examples.css");
const Failure = lazy(() => import("../components/failure.js").then((module) => module.Failure), "css/failure.css");
const History = lazy(() => import("../components/history.js").then((module) => module.History), "css/history.css");
const KeepVersion = lazy(() => import("../components/keepversion.js").then((module) => module.KeepVersion), "css/models.css");
const RayLink = lazy(() => import("../components/ray.js").then((module) => module.RayLink));
const Confirm = lazy(() => import("../components/dialog.js").then((module) => module.Confirm));
const Details = whenSeen(() => import("../components/facts.js").then((module) => module.Details), null, "details");
const Log = whenSeen(() => import("../components/log/panel.js").then((module) => module.LogPanel), "css/log.css", "panel log-place", "-120px");
const Provider = lazy(() => import("../components/provider.js").then((module) => module.Provider), "css/remote.css");

export function JobView({ app, id }) {
  const detail = useMemo(() => new JobDetail(app.store, id), [app, id]);
  useEffect(() => {
    const close = detail.open();
    app.show(detail);
    return () => {
      app.show(null);
      close();
    };
  }, [app, detail]);
  useSource(detail);
  const { job } = detail;
  useEffect(() => {
    if (job) document.title = strings.title.job(job.job_name, statusOf(job).label, percent(job.progress_percent));
  });
  if (detail.isDeleted) return html`<${Absent} heading=${text.gone} note=${text.goneText} />`;
  // A row of the list is known at once; the page needs the whole job.
  if (!job?.config) return html`<${NotLoaded} detail=${detail} />`;
  return html`
    <${Head} job=${job} />
    <${Where} job=${job} store=${app.store} />
    <${Why} job=${job} />
    ${job.provider && html`<${Provider} job=${job} detail=${detail} />`}
    ${job.kind === "image_set"
      ? detail.items && html`<${Images} job=${job} items=${detail.items} error=${detail.itemsError} />`
      : MADE_OF_JOBS[job.kind]
        ? html`<${MADE_OF_JOBS[job.kind]} app=${app} job=${job} />`
      : html`<${Figures} job=${job} />
          <${Charts} detail=${detail} isFinal=${isFinal(job)} countsSteps=${countsSteps(job)}
            beside=${drawsSamples(job) && html`<${Samples} key="samples" job=${job} />`} />`}
    ${job.artifacts.some(({ type }) => type === "examples") && html`<${Examples} job=${job} />`}
    <${Log} detail=${detail} isFinal=${isFinal(job)} />
    ${job.facts.confusion_matrix && html`<${Confusion} matrix=${job.facts.confusion_matrix} names=${job.facts.class_names} />`}
    <${Details} job=${job} />
  `;
}

function NotLoaded({ detail }) {
  const { error } = detail;
  if (error === null) return html`<p class="notice muted" role="status">${text.loading}</p>`;
  if (error.status === 404 || error.status === 422) return html`<${Absent} heading=${text.notFound} note=${text.notFoundText} />`;
  return html`<${Back} />
    <p class="inline-error" role="alert">${text.failedToLoad}: ${error.message}
      <button type="button" class="button button-small" onClick=${() => detail.retry()}>${strings.actions.tryAgain}</button></p>`;
}

function Absent({ heading, note }) {
  return html`<section class="notice" role="status">
    <h1>${heading}</h1>
    <p class="muted">${note}</p>
    <a class="button" href=${listHref({})}>${text.back}</a>
  </section>`;
}

const drawsSamples = (job) => job.config.sample_prompts?.length > 0 || job.artifacts.some(({ type }) => type === "sample");

const Back = () => html`<a class="crumb" href=${listHref({})}>← ${text.back}</a>`;

function Head({ job }) {
  return html`<${Back} />
    <div class="job-head">
      <div class="job-title">
        <h1>${job.job_name}</h1>
        <p class="job-title-sub">
          <${Status} job=${job} />
          <span>${job.kind === "video_lora" ? strings.kinds.video_lora : (job.model_architecture ?? strings.kinds[job.kind] ?? job.kind)}</span>
          ${job.provider && html`<span>${strings.backends[job.provider] ?? job.provider}</span>`}
          ${job.attempt > 1 && html`<span>${text.attempt(job.attempt)}</span>`}
          <time datetime=${job.created_at}>${strings.jobs.created(dateTime(job.created_at))}</time>
          ${job.backend === "ray" && job.submission_id && html`<${RayLink} job=${job} />`}
          ${job.parent_id && html`<a href=${jobHref(job.parent_id)}>${text.partOf} ${job.parent_id.slice(-8)}</a>`}
          ${job.retry_of && html`<a href=${jobHref(job.retry_of)}>${text.retryOf} ${job.retry_of.slice(-8)}</a>`}
        </p>
      </div>
      <${Actions} job=${job} />
    </div>`;
}

function Actions({ job }) {
  const [asked, setAsked] = useState(null); // "cancel" or "remove", while the dialog is open
  const [busy, setBusy] = useState(null);
  const [error, setError] = useState(null);
  const act = async (name, work) => {
    setBusy(name);
    setError(null);
    try {
      await work();
      setAsked(null);
    } catch (problem) {
      setError(problem.message);
    }
    setBusy(null);
  };
  const retry = () => act("retry", async () => go(jobHref((await api.retry(job.id)).id)));
  const name = job.job_name;
  const questions = {
    order: {
      title: strings.actions.orderTitle,
      text: strings.actions.orderText(name, strings.backends[job.provider], dollars(job.cost_usd ?? job.cost_estimate_usd)),
      action: strings.actions.order,
      keep: strings.actions.back,
      isDanger: false,
      onConfirm: retry,
    },
    cancel: {
      title: strings.actions.cancelTitle,
      text: isWaiting(job) ? strings.actions.cancelWaitingText(name) : strings.actions.cancelText(name),
      action: strings.actions.cancel,
      onConfirm: () => act("cancel", () => api.cancel(job.id)),
    },
    remove: {
      title: strings.actions.removeTitle,
      text: strings.actions.removeText(name),
      action: strings.actions.remove,
      onConfirm: () => act("remove", () => api.remove(job.id)),
    },
  };
  const ask = (which) => {
    setError(null);
    setAsked(which);
  };
  return html`<div class="actions">
    ${job.kind === "lora" && job.status === "completed" && job.artifacts.some(({ type }) => type === "lora") && html`<${KeepVersion} job=${job} />`}
    <a class="button" href=${`#/new?like=${job.id}`}>${strings.actions.like}</a>
    ${isFinal(job)
      ? html`<button type="button" class="button button-primary" title=${strings.actions.retryTitle} disabled=${busy !== null}
            onClick=${job.provider ? () => ask("order") : retry}>${busy === "retry" ? strings.actions.working : strings.actions.retry}</button>
          <button type="button" class="button" disabled=${busy !== null || job.delete_requested} onClick=${() => ask("remove")}>
            ${strings.actions.remove}</button>`
      : html`${listens(job) && html`<${Wishes} job=${job} />`}
          <button type="button" class="button" disabled=${job.cancel_requested} onClick=${() => ask("cancel")}>
          ${job.cancel_requested ? statusOf(job).label : strings.actions.cancel}</button>`}
    ${error && !asked && html`<p class="inline-error" role="alert">${error}</p>`}
    ${asked && html`<${Confirm} ...${questions[asked]} busy=${busy !== null} error=${error} onClose=${() => setAsked(null)} />`}
  </div>`;
}

function Where({ job, store }) {
  // Where the run itself reports there is little to see; what is read or estimated is worth a look.
  const [isOpen, setOpen] = useState(Boolean(job.provider));
  if (isWaiting(job) && job.progress_percent === 0) return null;
  return html`<section class="panel job-progress" aria-label=${strings.jobs.columns.progress}>
    <p class="job-progress-line">
      <b>${percent(job.progress_percent)}</b>
      ${job.stage && !isFinal(job) && html`<span class="job-stage">${job.stage}</span>`}
      ${reached(job) && html`<span>${reached(job)}</span>`}
      <${Origin} job=${job} />
      <span class="spacer"></span>
      <${Time} job=${job} />
    </p>
    <${ProgressBar} job=${job} large />
    <details class="disclosure" open=${isOpen} onToggle=${({ target }) => setOpen(target.open)}>
      <summary>${text.past}</summary>
      ${isOpen && html`<${History} store=${store} id=${job.id} />`}
    </details>
  </section>`;
}

function Time({ job }) {
  const now = useNow(1000);
  if (!job.started_at) return null;
  const end = isFinal(job) ? Date.parse(job.completed_at) : now;
  const spent = duration(end - Date.parse(job.started_at));
  if (isFinal(job)) return html`<span class="muted">${text.took(spent)}</span>`;
  return html`${job.eta_at && html`<${Eta} at=${job.eta_at} />`}<span class="muted">${text.elapsed(spent)}</span>`;
}

/** Why a job waits, was restarted, or failed. */
function Why({ job }) {
  if (job.status === "failed") return html`<${Failure} job=${job} />`;
  if (isWaiting(job)) {
    const place = job.queue_position ? strings.jobs.place(job.queue_position) : null;
    return html`<section class="callout" aria-labelledby="why">
      <h2 id="why">${place ?? strings.statusHelp[job.status]}</h2>
      ${job.reason && html`<p>${job.reason}</p>`}
      <p class="muted"><${Waited} since=${job.created_at} /></p>
    </section>`;
  }
  if (!job.retry_message || isFinal(job)) return null;
  return html`<section class="callout" aria-labelledby="why">
    <h2 id="why">${text.restarted}</h2><p>${job.retry_message}</p>
  </section>`;
}

const Waited = ({ since }) => html`<span class="num">${text.waited(duration(useNow(1000) - Date.parse(since)))}</span>`;
