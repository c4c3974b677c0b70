// The images of a set, each in its place from the start and shown as soon as its file is here.
import { html, memo } from "../dom.js";
import { imageUrl, zipUrl } from "../api.js";
import { percent } from "../format.js";
import { isFinal } from "../fold.js";
import { images as text } from "../strings-remote.js";

export function Images({ job, items, error }) {
  const total = job.images_total ?? job.config.count ?? job.config.prompts?.length ?? 0;
  const { done, failed } = items.counts();
  const ended = done + failed;
  return html`<section class="panel images" aria-labelledby="images">
    <div class="panel-head">
      <h2 id="images">${text.heading}</h2>
      <span class="muted num" role="status">${[
        text.summary(done, total),
        ended > 0 && text.success(percent((100 * done) / ended)),
        failed > 0 && text.failed(failed),
      ].filter(Boolean).join(" · ")}</span>
      <span class="spacer"></span>
      ${done > 0 && html`<a class="button button-small" href=${zipUrl(job.id)} download>${text.zip}</a>`}
    </div>
    ${error && html`<p class="inline-error" role="alert">${text.failedToLoad}: ${error}</p>`}
    <ol class="images-grid">
      ${items.list(total).map((item) => html`<${Item} key=${item.item} item=${item} id=${job.id} isOver=${isFinal(job)} />`)}
    </ol>
  </section>`;
}

const Item = memo(function Item({ item, id, isOver }) {
  const { item: number, order, status, prompt, error, isImage } = item;
  const isDone = status === "stored" && isImage;
  const url = imageUrl(id, number);
  return html`<li class=${`image image-${status}`} title=${prompt}>
    ${isDone
      ? html`<a href=${url} target="_blank" rel="noopener"><img src=${url} alt=${text.alt(number, prompt)} loading="lazy"
          decoding="async" /></a>`
      : html`<div class="image-place" aria-hidden="true">${number}</div>`}
    <p class="image-state">
      <span>${number}</span>
      ${!isDone && !(isOver && status === "waiting") && html`<span>${text.status[status] ?? status}</span>`}
      ${order > 1 && html`<span>${text.tries(order)}</span>`}
    </p>
    ${error && !isDone && html`<p class="image-error" title=${error}>${error}</p>`}
  </li>`;
});
