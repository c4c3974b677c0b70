// Beside the form: what the job would cost and take, and the same as a command.
import { html, useState } from "../../dom.js";
import { SNIPPETS } from "../../form/snippets.js";
import { dollars, duration } from "../../format.js";
import { newJob as text } from "../../strings-new.js";
import { CopyButton } from "../copy.js";

export function Estimate({ estimate: { state, value } }) {
  const words = text.estimate;
  return html`<section class="panel" aria-labelledby="estimate">
    <div class="panel-head"><h2 id="estimate">${words.heading}</h2>${state === "asking" && html`<span class="muted">${words.asking}</span>`}</div>
    <div class="estimate" role="status">
      ${value === null
        ? html`<p class="muted">${state === "none" && words.none}</p>`
        : html`<dl class="figures">
            <div class="figure"><dt>${words.cost}</dt><dd>${cost(value)}</dd></div>
            <div class="figure"><dt>${words.time}</dt><dd>${value.seconds === null ? words.unknown : words.about(duration(value.seconds * 1000))}
              ${value.seconds_origin && html`<small>${words.origin[value.seconds_origin]}</small>`}</dd></div>
          </dl>
          <p class="form-help">${basisOf(value)}</p>`}
    </div>
  </section>`;
}

function cost({ cost_usd: usd, cost_basis: basis, backend }) {
  if (usd !== null) return text.estimate.about(dollars(usd));
  return backend === "ray" && basis ? text.estimate.noCost : text.estimate.unknown;
}

/** On what both stand; the second may say what the first does. */
function basisOf({ cost_basis: cost, seconds_basis: seconds }) {
  return [seconds.startsWith(cost) ? "" : cost, seconds].filter(Boolean).map(sentence).join(" ");
}

const sentence = (words) => `${words.charAt(0).toUpperCase()}${words.slice(1).replace(/\.$/, "")}.`;

export function Snippets({ body }) {
  const [which, setWhich] = useState("curl");
  const snippet = SNIPPETS[which](document.baseURI, body);
  return html`<details class="panel form-more snippets">
    <summary><span>${text.copyAs}</span></summary>
    <div class="form-more-body">
      <div class="form-row">
        <div class="segments" role="group" aria-label=${text.copyAs}>
          ${Object.keys(SNIPPETS).map((name) => html`<button type="button" class="segment" key=${name} aria-pressed=${name === which ? "true" : "false"}
            onClick=${() => setWhich(name)}>${text.snippets[name]}</button>`)}
        </div>
        <${CopyButton} text=${snippet} />
      </div>
      <pre class="snippet" tabindex="0"><code>${snippet}</code></pre>
    </div>
  </details>`;
}
