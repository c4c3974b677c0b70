// A dataset that waits for somebody: what to do, whether it is saved, undo, and the way on.
import { html, useState } from "../../dom.js";
import { isFinal } from "../../fold.js";
import { video as text } from "../../strings-video.js";
import { Confirm } from "../dialog.js";
import { useWork } from "../load.js";

export function Review({ job, set }) {
  const [asks, setAsks] = useState(false);
  const work = useWork();
  if (set.conflict) return html`<${Conflict} set=${set} />`;
  if (!set.about.in_review) {
    const isFresh = job.asked?.approve && !set.about.zip && !isFinal(job);
    return isFresh && html`<p class="review" role="status">${text.approved}</p>`;
  }
  const approve = async () => {
    if (await work.run(() => set.approve())) setAsks(false);
  };
  const state = set.isSaved ? (set.undos.length > 0 ? text.saved : "") : set.sending ? text.saving : text.unsaved;
  return html`<div class="review">
    <div class="review-text"><h2>${text.review}</h2><p class="muted">${text.reviewText}</p></div>
    <div class="review-actions">
      <span class="muted" role="status">${state}</span>
      <button type="button" class="button" disabled=${set.undos.length === 0} onClick=${() => set.undo()}>
        ${set.undos.length > 0 ? text.undoOf(set.undos.length) : text.undo}</button>
      <button type="button" class="button button-primary" onClick=${() => setAsks(true)}>${text.approve}</button>
    </div>
    ${set.refusal && html`<p class="inline-error" role="alert">${text.refused}: ${set.refusal}
      ${!set.isSaved && html`<button type="button" class="button button-small" onClick=${() => set.save()}>${text.saveAgain}</button>`}</p>`}
    ${asks &&
    html`<${Confirm} title=${text.approveTitle(set.about.kept)} text=${text.approveText} action=${text.approve} keep=${text.approveKeep}
      isDanger=${false} busy=${work.busy} error=${work.error} onConfirm=${approve} onClose=${() => (work.forget(), setAsks(false))} />`}
  </div>`;
}

/** Somebody else was quicker: what of ours was not saved, and the choice what becomes of it. */
function Conflict({ set }) {
  const { edits, isOver } = set.conflict;
  return html`<div class="review review-conflict" role="alert">
    <div class="review-text"><h2>${isOver ? text.movedOver : text.moved}</h2><p>${text.movedText(edits.size)}</p>
      <ul>${[...edits].map(([id, edit]) => html`<li key=${id}>${text.frame(id)}: ${wordsOf(edit)}</li>`)}</ul></div>
    <div class="review-actions">
      <button type="button" class="button" onClick=${() => set.settle(false)}>${text.mineNot}</button>
      ${!isOver && html`<button type="button" class="button button-primary" onClick=${() => set.settle(true)}>${text.mineToo}</button>`}
    </div>
  </div>`;
}

function wordsOf({ kept, caption }) {
  const words = [];
  if (kept !== undefined) words.push(kept ? text.movedMine.restore : text.movedMine.drop);
  if (caption !== undefined) words.push(`${text.movedMine.caption} “${caption}”`);
  return words.join(", ");
}
