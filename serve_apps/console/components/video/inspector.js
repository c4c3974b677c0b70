// One frame: large, with what was measured, its caption, and what can be done about it.
import { html, useEffect, useRef, useState } from "../../dom.js";
import { duration, number } from "../../format.js";
import { video as text } from "../../strings-video.js";
import { imageOf, thumbnailOf } from "./picture.js";

export function Inspector({ set, frame, onToggle, onJump, onClose }) {
  const { id, time_s: seconds, scene, kept, reason } = frame;
  const full = imageOf(set.jobId, frame);
  const picture = full ?? thumbnailOf(set.jobId, frame);
  const close = (event) => {
    if (event.key === "Escape") onClose();
  };
  return html`<aside class="inspector" aria-label=${text.frame(id)} onKeyDown=${close}>
    <div class="inspector-head"><h3>${text.frame(id)}</h3>
      <span class="muted num">${[text.at(duration(seconds * 1000)), text.scene(scene + 1)].join(" · ")}</span><span class="spacer"></span>
      <button type="button" class="button button-small" onClick=${onClose}>${text.close}</button></div>
    ${picture && html`<img class=${kept ? "" : "inspector-dropped"} src=${picture} alt=${frame.caption || text.frame(id)} decoding="async" />`}
    <div class="inspector-body">
      ${!kept && html`<p class="inspector-why"><b>${text.isDropped(text.reasons[reason] ?? reason)}</b>
        ${frame.explanation && html`<span>${frame.explanation}</span>`}
        ${frame.duplicate_of && html`<button type="button" class="button button-small" onClick=${() => onJump(frame.duplicate_of)}>
          ${text.like(frame.duplicate_of)}</button>`}</p>`}
      <${Caption} set=${set} frame=${frame} />
      ${set.canEdit && html`<p class="inspector-do">${kept || frame.can_be_kept
        ? html`<button type="button" class=${`button ${kept ? "button-danger" : "button-primary"}`} onClick=${onToggle}>${kept ? text.drop : text.restore}</button>`
        : html`<span class="muted">${text.cannot}</span>`}</p>`}
      <dl class="inspector-facts num"><div><dt>${text.size}</dt><dd>${frame.width} × ${frame.height}</dd></div>
        ${Object.entries(frame.scores).map(([name, value]) => html`<div key=${name}><dt>${text.score[name] ?? name}</dt><dd>${number(value, 3)}</dd></div>`)}</dl>
    </div>
  </aside>`;
}

/** Written when the field is left or Enter is pressed; Escape leaves it as it was. */
function Caption({ set, frame }) {
  const [typed, setTyped] = useState(frame.caption);
  const field = useRef(null);
  useEffect(() => setTyped(frame.caption), [frame.caption]);
  const write = () => {
    const caption = typed.trim().replace(/\s+/g, " ");
    if (caption && caption !== frame.caption) set.change({ [frame.id]: { caption } });
    else setTyped(frame.caption);
  };
  const leave = () => field.current.closest(".frames-body").querySelector("[role=option][tabindex='0']")?.focus();
  const keys = (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      setTyped(frame.caption);
      requestAnimationFrame(leave); // after what was typed is forgotten, which leaving would write
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      leave();
    }
  };
  const by = frame.caption && frame.captioned_by && (text.captionedBy[frame.captioned_by] ?? text.by(frame.captioned_by));
  if (!set.canEdit) {
    return html`<p class="inspector-caption"><span class="muted">${text.caption}${by && ` ${by}`}</span><span>${frame.caption || text.noCaption}</span></p>`;
  }
  return html`<label class="inspector-caption"><span class="muted">${text.caption}${by && ` ${by}`}</span>
    <textarea class="field" id="frame-caption" ref=${field} rows="3" maxlength="5000" value=${typed} placeholder=${text.noCaption}
      onInput=${(event) => setTyped(event.target.value)} onBlur=${write} onKeyDown=${keys}></textarea></label>`;
}
