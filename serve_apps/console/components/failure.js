// Why a job failed, what to do about it, the end of its log, and the way to try again.
import { html, useEffect, useState } from "../dom.js";
import { api } from "../api.js";
import { go, jobHref } from "../router.js";
import { failure as text } from "../strings-failure.js";
import { strings } from "../strings.js";
import { cleanLine } from "../logtext.js";
import { useWork } from "./load.js";

const TAIL = 15; // lines
const SETTLE_MS = 500; // the last lines may come after the end

export function Failure({ job }) {
  const work = useWork();
  const retry = () => work.run(async () => go(jobHref((await api.retry(job.id)).id)));
  const { training_id: training } = job.facts;
  return html`<section class="callout callout-failed failure" aria-labelledby="why">
    <h2 id="why">${strings.failure[job.failure] ?? text.why}</h2>
    ${job.error_message && html`<pre tabindex="0">${job.error_message}</pre>`}
    <p class="failure-todo"><b>${text.todo}</b> ${text.does[job.failure] ?? text.does.other}</p>
    <p class="failure-actions">
      ${!job.provider && html`<button type="button" class="button button-primary" title=${text.retryFrom} disabled=${work.busy} onClick=${retry}>
        ${work.busy ? text.retrying : text.retry}</button>`}
      <a class="button" href=${`#/new?like=${encodeURIComponent(job.id)}`}>${text.like}</a>
      ${training && html`<a class="button" href=${jobHref(training)}>${text.training}</a>`}
    </p>
    ${work.error && html`<p class="inline-error" role="alert">${work.error}</p>`}
    <${Tail} id=${job.id} />
  </section>`;
}

function Tail({ id }) {
  const [lines, setLines] = useState(null);
  useEffect(() => {
    const closing = new AbortController();
    const read = async () => {
      const chunks = await api.logs(id, { tail: TAIL }, closing.signal);
      setLines(chunks.flatMap((chunk) => chunk.lines.map(cleanLine)).slice(-TAIL));
    };
    const timer = setTimeout(() => void read().catch(() => {}), SETTLE_MS); // the log below is the whole of it
    return () => {
      clearTimeout(timer);
      closing.abort();
    };
  }, [id]);
  if (lines === null) return null;
  return html`<details open><summary>${text.log}</summary>
    ${lines.length === 0 ? html`<p class="muted">${text.logNone}</p>` : html`<pre tabindex="0">${lines.join("\n")}</pre>`}</details>`;
}
