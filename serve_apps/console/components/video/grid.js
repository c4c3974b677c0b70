// Thumbnails of frames: one is chosen, by pointer or keyboard. More are drawn as one comes near the end of those there are.
import { html, memo, useEffect, useLayoutEffect, useRef, useState } from "../../dom.js";
import { duration } from "../../format.js";
import { video as text } from "../../strings-video.js";
import { thumbnailOf } from "./picture.js";

const FIRST = 120;
const STEP = 240;
const NEAR = "800px"; // of the end of what is drawn

export function Grid({ box, set, frames, chosen, onChoose, onToggle }) {
  const [limit, setLimit] = useState(FIRST);
  const end = useRef(null);
  const wantsFocus = useRef(false);
  const place = frames.findIndex(({ id }) => id === chosen);
  const drawn = Math.max(limit, place + FIRST);
  useEffect(() => {
    const watcher = new IntersectionObserver(([entry]) => entry.isIntersecting && setLimit((count) => count + STEP), { rootMargin: NEAR });
    watcher.observe(end.current);
    return () => watcher.disconnect();
  }, [drawn]);
  const last = useRef(0);
  if (place >= 0) last.current = place;
  useLayoutEffect(() => {
    // The chosen one is no longer among those that are shown: the next one takes its place.
    if (chosen !== null && place < 0 && frames.length > 0) onChoose(frames[Math.min(last.current, frames.length - 1)].id);
  }, [frames]);
  useLayoutEffect(() => {
    if (!wantsFocus.current) return;
    wantsFocus.current = false;
    box.current.querySelector("[tabindex='0']")?.focus();
  }, [chosen]);
  const go = (to) => {
    const next = frames[Math.min(frames.length - 1, Math.max(0, to))];
    if (!next || next.id === chosen) return;
    wantsFocus.current = true;
    onChoose(next.id);
  };
  const keys = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const columns = columnsOf(box.current);
    const at = Math.max(place, 0);
    const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns, Home: 0, End: frames.length - 1 };
    if (event.key in moves) go(place < 0 ? 0 : moves[event.key]);
    else if (event.key === " " || event.key === "Delete") {
      wantsFocus.current = true; // also where it goes out of sight
      onChoose(frames[at].id);
      onToggle(frames[at].id);
    }
    else if (event.key === "Enter" && place >= 0) document.getElementById("frame-caption")?.focus();
    else return;
    event.preventDefault();
  };
  if (frames.length === 0) return html`<p class="panel-note" ref=${end}>${text.nothing}</p>`;
  const { canEdit, jobId } = set;
  return html`<div class="frames-list">
    <div class="frames-grid" role="listbox" aria-label=${text.list} aria-describedby="frames-hint" ref=${box} onKeyDown=${keys}>
      ${frames.slice(0, drawn).map((frame, i) => html`<${Option} key=${frame.id} jobId=${jobId} frame=${frame}
        isChosen=${frame.id === chosen} hasTab=${frame.id === chosen || (place < 0 && i === 0)} onChoose=${onChoose} />`)}
    </div>
    <div ref=${end}></div>
    <p class="frames-hint muted" id="frames-hint">${canEdit ? text.hint : text.hintRead}</p>
  </div>`;
}

/** How many frames stand in a row. */
function columnsOf(box) {
  const options = [...box.children];
  const next = options.findIndex(({ offsetTop }) => offsetTop > options[0].offsetTop);
  return next < 0 ? options.length : next;
}

const Option = memo(function Option({ jobId, frame, isChosen, hasTab, onChoose }) {
  const { id, time_s: seconds, kept, reason } = frame;
  const url = thumbnailOf(jobId, frame);
  const time = duration(seconds * 1000);
  return html`<div class=${`frame frame-${kept ? "kept" : "dropped"}`} role="option" tabindex=${hasTab ? "0" : "-1"} data-id=${id}
    aria-selected=${isChosen ? "true" : "false"} onClick=${() => onChoose(id)}>
    ${url ? html`<img src=${url} alt="" loading="lazy" decoding="async" draggable=${false} />` : html`<span class="frame-place"></span>`}
    <span class="frame-about num"><span><span class="visually-hidden">${text.frame(id)} </span>${time}</span>
      ${kept ? html`<span class="visually-hidden">${text.isKept}</span>` : html`<span class="frame-reason">${text.reasons[reason] ?? reason}</span>`}</span>
  </div>`;
});
