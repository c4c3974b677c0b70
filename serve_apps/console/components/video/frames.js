// The frames of a video, kept and dropped: filtered, looked at one by one, and changed while they wait for review.
import { html, useEffect, useMemo, useRef, useSource, useState } from "../../dom.js";
import { endpoint } from "../../api.js";
import { isFinal } from "../../fold.js";
import { video as text } from "../../strings-video.js";
import { FrameSet } from "../../video/frameset.js";
import { hasDataset } from "../../video/stages.js";
import { Failed } from "../load.js";
import { Grid } from "./grid.js";
import { Inspector } from "./inspector.js";
import { Review } from "./review.js";

const LOOK_MS = 10_000; // whether somebody else has changed it

export function Frames({ job }) {
  const set = useMemo(() => new FrameSet(job.id), [job.id]);
  useEffect(() => () => set.close(), [set]);
  const isStored = hasDataset(job);
  useEffect(() => {
    if (isStored) void set.load();
  }, [set, isStored, job.stage, job.status, job.asked?.approve]);
  useSource(set);
  useLooking(set);
  const [kept, setKept] = useState(null); // true, false, or null for all
  const [reason, setReason] = useState("");
  const [chosen, setChosen] = useState(null);
  const grid = useRef(null);
  const shown = useMemo(
    () => set.frames.filter((frame) => (kept === null || frame.kept === kept) && (!reason || frame.reason === reason)),
    [set.frames, kept, reason],
  );
  if (set.error) return html`<${Failed} what=${text.failedToLoad} error=${set.error} onAgain=${() => set.load()} />`;
  if (!set.about) {
    if (isStored && !set.isMissing) return null; // on its way
    return html`<p class="panel panel-note frames">${isFinal(job) ? text.noneFinal : text.none}</p>`;
  }
  const frame = chosen === null ? null : set.frame(chosen);
  const toggle = (id) => {
    const { kept: isKept, can_be_kept: canBeKept } = set.frame(id);
    if (isKept || canBeKept) set.change({ [id]: { kept: !isKept } });
  };
  const jump = (id) => {
    setKept(null);
    setReason("");
    setChosen(id);
  };
  const keys = (event) => {
    if (event.key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !isField(event.target)) {
      event.preventDefault();
      const [id] = set.undo();
      if (id !== undefined) jump(id);
    }
  };
  return html`<section class="panel frames" aria-labelledby="frames" onKeyDown=${keys}>
    <${Review} job=${job} set=${set} />
    <div class="panel-head"><h2 id="frames">${text.frames}</h2>
      <span class="muted">${text.source(set.about.source.name)}</span><span class="spacer"></span>
      ${set.about.zip_url && html`<a class="button button-small" href=${endpoint(`${set.path}/dataset.zip`).pathname} download>${text.zip}</a>`}</div>
    <${Filter} about=${set.about} kept=${kept} reason=${reason} onKept=${setKept} onReason=${setReason} />
    <div class="frames-body">
      <${Grid} box=${grid} set=${set} frames=${shown} chosen=${chosen} onChoose=${setChosen} onToggle=${toggle} />
      ${frame && html`<${Inspector} key=${frame.id} set=${set} frame=${frame} onToggle=${() => toggle(frame.id)} onJump=${jump}
        onClose=${() => (setChosen(null), grid.current?.querySelector("[tabindex='0']")?.focus())} />`}
    </div>
  </section>`;
}

const isField = (element) => element.matches("input, textarea, select");

function useLooking(set) {
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden && set.canEdit) void set.look().catch(() => {}); // the next change tells
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, [set]);
}

function Filter({ about, kept, reason, onKept, onReason }) {
  const { kept: good, dropped, reasons } = about;
  const choices = [[null, text.all(good + dropped)], [true, text.kept(good)], [false, text.dropped(dropped)]];
  const choose = (value) => {
    onKept(value);
    if (value !== false) onReason("");
  };
  const because = (event) => {
    onReason(event.target.value);
    if (event.target.value) onKept(false);
  };
  return html`<div class="frames-filter">
    <div class="segments" role="group" aria-label=${text.show}>${choices.map(
      ([value, label]) => html`<button type="button" class="segment num" key=${label} aria-pressed=${value === kept ? "true" : "false"}
        onClick=${() => choose(value)}>${label}</button>`,
    )}</div>
    ${dropped > 0 &&
    html`<select class="field" aria-label=${text.reason} value=${reason} onChange=${because}>
      <option value="">${text.anyReason}</option>
      ${Object.entries(reasons).map(([name, count]) => html`<option key=${name} value=${name}>${text.reasonCount(text.reasons[name] ?? name, count)}</option>`)}
    </select>`}
  </div>`;
}
