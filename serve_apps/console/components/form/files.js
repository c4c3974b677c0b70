// A field for files: dropped or chosen, sent in parts, or an address instead.
import { html, useNow, useRef, useSource, useState } from "../../dom.js";
import { bytes, duration, percent } from "../../format.js";
import { upload as text } from "../../strings-upload.js";
import { placeholderOf } from "./fields.js";

export function FileField({ form, field, path, named }) {
  const upload = form.uploadAt(path);
  const raw = form.get(path);
  return html`<div class="files">
    ${upload ? html`<${Progress} form=${form} path=${path} upload=${upload} named=${named} />` : html`<${Drop} form=${form} field=${field} path=${path} />
      <div class="form-row"><span class="files-or muted" aria-hidden="true">${text.or}</span>
        <input class="field" type="text" ...${named} value=${raw ?? ""} placeholder=${placeholderOf(field) || "https://…"} autocomplete="off"
          spellcheck=${false} onInput=${({ target }) => form.set(path, target.value === "" ? undefined : target.value)} /></div>`}
  </div>`;
}

function Drop({ form, field, path }) {
  const [isOver, setOver] = useState(false);
  const input = useRef(null);
  const drop = async (event) => {
    event.preventDefault();
    setOver(false);
    const files = await filesOf(event.dataTransfer);
    if (files.length > 0) form.upload(path, files);
  };
  const over = (event) => {
    event.preventDefault();
    setOver(true);
  };
  return html`<div class=${`files-drop ${isOver ? "files-over" : ""}`} onDragOver=${over} onDragEnter=${over}
      onDragLeave=${() => setOver(false)} onDrop=${drop}>
    <p>${isOver ? text.dropNow : text.drop} <button type="button" class="button button-small" onClick=${() => input.current.click()}>${text.choose}</button></p>
    <p class="form-help">${field.name.includes("video") ? text.hints.video : text.hints.pictures}</p>
    <${Chooser} input=${input} onFiles=${(files) => form.upload(path, files)} />
  </div>`;
}

const Chooser = ({ input, onFiles }) => html`<input type="file" multiple hidden ref=${input} onChange=${({ target }) => {
  const files = [...target.files];
  target.value = ""; // the same file can be chosen again
  if (files.length > 0) onFiles(files);
}} />`;

function Progress({ form, path, upload, named }) {
  useSource(upload);
  const input = useRef(null);
  const { state } = upload;
  const choose = () => input.current.click();
  const share = state === "packing" ? 100 * (upload.packing ?? 0) : upload.size > 0 ? (100 * upload.offset) / upload.size : 0;
  const isMoving = state === "packing" || state === "sending" || state === "checking" || state === "waiting";
  const button = (label, onClick) => html`<button type="button" class="button button-small" onClick=${onClick}>${label}</button>`;
  return html`<div class=${`files-one files-${state}`} id=${named.id} tabindex="-1" role="group" aria-label=${text.file(upload.name)}
      onDragOver=${(event) => event.preventDefault()} onDrop=${async (event) => {
        event.preventDefault();
        const files = await filesOf(event.dataTransfer);
        if (files.length > 0) form.upload(path, files);
      }}>
    <p class="files-name"><b>${upload.name}</b> ${upload.size > 0 && html`<span class="muted num">${bytes(upload.size)}</span>`}</p>
    ${state !== "ready" && state !== "refused" && html`<progress class="progress progress-large" max="100" value=${share} aria-label=${text.file(upload.name)}></progress>`}
    <p class="files-state num" role="status"><${State} upload=${upload} share=${share} /></p>
    <div class="actions">
      ${(state === "sending" || state === "waiting") && button(text.pause, () => upload.pause())}
      ${(state === "paused" || state === "signedOut") && button(text.resume, () => upload.resume())}
      ${state === "lost" && button(text.again, choose)}
      ${state === "refused" && button(text.other, choose)}
      ${!(isMoving && state === "checking") && button(text.remove, () => form.removeUpload(path))}
    </div>
    <${Chooser} input=${input} onFiles=${(files) => form.upload(path, files)} />
  </div>`;
}

function State({ upload, share }) {
  const { state, found, problem } = upload;
  const sent = text.sent(bytes(upload.offset), bytes(upload.size), percent(share));
  switch (state) {
    case "ready":
      return found.video
        ? text.video(found.video, duration(found.video.duration_s * 1000))
        : text.pictures(found.images, found.captions);
    case "refused":
      return html`<span class="form-problem">${text.refused}: ${problem?.code ? text.problems[problem.code](problem) : problem}</span>`;
    case "packing":
      return text.packing(percent(share));
    case "checking":
      return text.checking;
    case "waiting":
      return html`<${Waiting} at=${upload.retryAt} /> · ${sent}`;
    case "lost":
    case "signedOut":
      return `${text[state]} ${sent}`;
    default:
      return `${text[state]} · ${sent}`;
  }
}

const Waiting = ({ at }) => text.waiting(Math.ceil((at - useNow(500)) / 1000));

/** The files that were dropped, also those of folders. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  return (await Promise.all(entries.map(below))).flat();
}

async function below(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return (await Promise.all(found.map(below))).flat();
    found.push(...some);
  }
}
