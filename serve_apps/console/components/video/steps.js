// The way from the video to a version as steps, each with its mark and how far it is.
import { html } from "../../dom.js";
import { video as text } from "../../strings-video.js";
import { stagesOf } from "../../video/stages.js";

const SIGNS = {
  done: html`<path d="M4.500 8.200l2.300 2.300 4.700-5" />`,
  failed: html`<path d="M5.200 5.200l5.600 5.600M10.800 5.200l-5.600 5.600" />`,
  cancelled: html`<path d="M4.800 8h6.400" />`,
};

export function Steps({ job }) {
  return html`<section class="panel steps" aria-labelledby="steps">
    <h2 id="steps" class="visually-hidden">${text.steps}</h2>
    <ol role="list">${stagesOf(job).map((stage) => html`<${Step} key=${stage.name} stage=${stage} />`)}</ol>
  </section>`;
}

function Step({ stage: { name, from, to, state, done } }) {
  return html`<li class=${`step step-${state}`} aria-current=${state === "now" ? "step" : undefined}>
    <span class="step-line" aria-hidden="true"><span class="step-dot"><svg class="icon" viewBox="0 0 16 16">${SIGNS[state]}</svg></span>
      <span class="step-bar" style=${{ "--done": `${Math.round(done * 100)}%` }}></span></span>
    <span class="step-text"><b>${text.stages[name]}</b>
      <small class="num">${text.mark(from, to)}</small><span class="visually-hidden">${text.states[state]}</span></span>
  </li>`;
}
