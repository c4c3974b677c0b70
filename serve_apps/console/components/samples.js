// Pictures that a training drew of its prompts, beside its loss: the newest step first.
import { html, memo, useMemo, useState } from "../dom.js";
import { artifactUrl } from "../api.js";
import { samples as text } from "../strings-lora.js";

const NAME = /^sample-(\d+)-(\d+)\.png$/; // step, number of the prompt from 0
const FIRST_SHOWN = 24;

/** `{name, step, number}` of each picture, the newest step first, its prompts in their order. */
export function samplesOf(artifacts) {
  const found = [];
  for (const { name, type } of artifacts) {
    const match = type === "sample" && NAME.exec(name);
    if (match) found.push({ name, step: Number(match[1]), number: Number(match[2]) });
  }
  return found.sort((a, b) => b.step - a.step || a.number - b.number);
}

export function Samples({ job }) {
  const [shown, setShown] = useState(FIRST_SHOWN);
  const samples = useMemo(() => samplesOf(job.artifacts), [job.artifacts]);
  const prompts = job.facts.sample_prompts ?? job.config.sample_prompts ?? [];
  const waits = samples.length - shown;
  return html`<section class="panel samples" aria-labelledby="samples">
    <div class="panel-head">
      <h3 id="samples">${text.heading}</h3>
      ${samples.length > 0 && html`<span class="muted num">${text.newest(samples[0].step)}</span>`}
    </div>
    ${samples.length === 0
      ? html`<p class="panel-note">${text.none}</p>`
      : html`<ol class="samples-strip" tabindex="0" role="list" aria-labelledby="samples">
          ${samples.slice(0, shown).map(
            ({ name, step, number }) => html`<${Sample} key=${name} url=${artifactUrl(job.id, name)} step=${step}
              prompt=${prompts[number] ?? text.prompt(number + 1)} />`,
          )}
          ${waits > 0 &&
          html`<li><button type="button" class="button button-small" onClick=${() => setShown(shown + FIRST_SHOWN)}>
            ${text.older(waits)}</button></li>`}
        </ol>`}
  </section>`;
}

const Sample = memo(function Sample({ url, step, prompt }) {
  return html`<li class="sample">
    <a href=${url} target="_blank" rel="noopener"><img src=${url} alt=${text.alt(step, prompt)} loading="lazy" decoding="async" /></a>
    <p class="sample-step num">${text.step(step)}</p>
    <p class="sample-prompt" title=${prompt}>${prompt}</p>
  </li>`;
});
