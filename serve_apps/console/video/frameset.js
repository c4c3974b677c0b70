// The dataset of a video as the page holds it: frames, and changes on their way to the server.
//
// A change shows at once and is sent with the revision that it was made on. Where somebody else was quicker, the
// server refuses; then theirs is read, and whoever made the changes decides about their own.
import { request } from "../api.js";
import { Emitter } from "../emitter.js";

const PAGE = 500;
const GATHER_MS = 250; // changes in quick succession go together
const AGAIN_MS = 3000; // after the server could not be reached
const MOST_EDITS = 1000; // in one request; the server takes no more than twice that

// Changes that were not sent when the page was left, e.g. for the sign-in; by job.
const unsent = new Map();

export class FrameSet extends Emitter {
  constructor(jobId) {
    super();
    this.jobId = jobId;
    this.path = `jobs/${encodeURIComponent(jobId)}/dataset`;
    this.about = null; // the answer without its frames: revision, kept, dropped, reasons, …
    this.frames = [];
    this.places = new Map(); // id -> place in `frames`
    this.isMissing = false; // it is not made yet
    this.error = null;
    this.undos = []; // edits that take back, the last one at the end
    this.pending = unsent.get(jobId) ?? new Map(); // id -> edit, to be sent
    unsent.delete(jobId);
    this.sending = null;
    this.refusal = null; // what the server said to a change that it did not take
    this.conflict = null; // {edits, isOver}: changes that were made on what others have changed since
    this.timer = null;
    this.closing = new AbortController();
    this.loading = null;
  }

  get canEdit() {
    return Boolean(this.about?.in_review) && this.conflict === null;
  }

  get isSaved() {
    return this.pending.size === 0 && this.sending === null;
  }

  frame(id) {
    return this.frames[this.places.get(id)] ?? null;
  }

  /** Read all of it. */
  async load() {
    this.loading ??= this.#load().finally(() => {
      this.loading = null;
    });
    return this.loading;
  }

  /** What is not sent yet is sent still, or kept for the next time this job is shown. */
  close() {
    clearTimeout(this.timer);
    this.closing.abort();
    void this.save();
  }

  /** Read it anew where somebody else has changed it. */
  async look() {
    if (!this.isSaved || this.conflict || !this.about) return;
    const { revision, in_review: inReview } = await this.#read(0, 1);
    if (revision !== this.about.revision || inReview !== this.about.in_review) await this.load();
  }

  /** Change frames: `{id: {kept?, caption?}}`. */
  change(edits) {
    if (!this.canEdit) return;
    const back = {};
    for (const [id, edit] of Object.entries(edits)) {
      const frame = this.frame(id);
      back[id] = {};
      for (const name of Object.keys(edit)) back[id][name] = frame[name];
      if (back[id].caption === "") delete back[id].caption; // none is nothing that could be written
    }
    this.undos.push(back);
    this.#enter(edits);
  }

  /** Take back the last change. Returns the ids that it was about. */
  undo() {
    const edits = this.canEdit ? this.undos.pop() : null;
    if (!edits) return [];
    this.#enter(edits);
    return Object.keys(edits);
  }

  /** Send now; kept where all is saved. */
  async save() {
    clearTimeout(this.timer);
    while (this.pending.size > 0 && !this.conflict) {
      if (this.sending) await this.sending;
      else if (!(await this.#send())) return false;
    }
    await this.sending;
    return this.isSaved && !this.conflict;
  }

  /** After a conflict: make the changes on what others have made of it, or let them go. */
  settle(keepsMine) {
    const { edits } = this.conflict;
    this.conflict = null;
    this.undos = [];
    if (keepsMine) this.#enter(Object.fromEntries(edits));
    this.changed();
  }

  /** End the review. Throws ApiError. */
  async approve() {
    if (!(await this.save())) return;
    try {
      await request("POST", `jobs/${encodeURIComponent(this.jobId)}/approve`, { body: JSON.stringify({ revision: this.about.revision }) });
    } catch (error) {
      if (error.status === 409) await this.load();
      throw error;
    }
    await this.load();
  }

  #enter(edits) {
    const changed = Object.entries(edits).filter(([, edit]) => Object.keys(edit).length > 0);
    for (const [id, edit] of changed) this.pending.set(id, { ...this.pending.get(id), ...edit });
    this.#put(changed.map(([id, edit]) => edited(this.frame(id), edit)));
    this.#count();
    this.refusal = null;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.save(), GATHER_MS);
    this.changed();
  }

  async #send() {
    const edits = [...this.pending].slice(0, MOST_EDITS);
    for (const [id] of edits) this.pending.delete(id);
    const body = JSON.stringify({ revision: this.about.revision, frames: Object.fromEntries(edits) });
    this.sending = request("PATCH", this.path, { body }).then(
      (answer) => this.#taken(answer),
      (error) => this.#notTaken(error, edits),
    );
    this.changed();
    const isTaken = await this.sending;
    this.sending = null;
    this.changed();
    return isTaken;
  }

  #taken({ frames, total, ...about }) {
    this.about = about;
    this.refusal = null;
    this.#put(frames.map((frame) => edited(frame, this.pending.get(frame.id) ?? {})));
    this.#count();
    return true;
  }

  async #notTaken(error, edits) {
    const mine = new Map([...edits, ...this.pending]);
    this.pending.clear();
    if (error.status === 409) {
      this.undos = [];
      await this.load();
      this.conflict = { edits: mine, isOver: !this.about?.in_review };
    } else if (error.status === 422 || error.status === 403) {
      this.refusal = error.message;
      this.undos = [];
      await this.load();
    } else {
      for (const [id, edit] of mine) this.pending.set(id, edit);
      this.refusal = error.message;
      if (this.closing.signal.aborted) unsent.set(this.jobId, this.pending);
      else if (error.status !== 401) this.timer = setTimeout(() => void this.save(), AGAIN_MS);
    }
    return false;
  }

  async #load() {
    const frames = [];
    try {
      for (;;) {
        const { frames: page, total, ...about } = await this.#read(frames.length, PAGE);
        if (frames.length > 0 && about.revision !== this.about.revision) frames.length = 0; // changed between pages
        else frames.push(...page);
        this.about = about;
        if (this.frames.length <= frames.length || frames.length >= total) this.#take(frames);
        this.isMissing = false;
        this.error = null;
        this.changed();
        if (frames.length >= total) break;
      }
      this.#goOn();
    } catch (error) {
      if (error.name === "AbortError") return;
      this.isMissing = error.status === 404;
      this.error = this.isMissing ? null : error;
      this.changed();
    }
  }

  /** What could not be sent before the page was left is sent now. */
  #goOn() {
    const edits = Object.fromEntries([...this.pending].filter(([id]) => this.places.has(id)));
    this.pending.clear();
    if (this.canEdit && Object.keys(edits).length > 0) this.#enter(edits);
  }

  #read(offset, limit) {
    return request("GET", this.path, { params: { offset, limit }, signal: this.closing.signal });
  }

  #take(frames) {
    this.frames = [...frames];
    this.places = new Map(frames.map((frame, place) => [frame.id, place]));
  }

  #put(frames) {
    this.frames = [...this.frames];
    for (const frame of frames) if (this.places.has(frame?.id)) this.frames[this.places.get(frame.id)] = frame;
  }

  #count() {
    const reasons = {};
    let kept = 0;
    for (const frame of this.frames) {
      if (frame.kept) kept += 1;
      else reasons[frame.reason] = (reasons[frame.reason] ?? 0) + 1;
    }
    this.about = { ...this.about, kept, dropped: this.frames.length - kept, reasons };
  }
}

/** A frame as the server will make it of an edit. */
function edited(frame, edit) {
  if (!frame) return frame;
  const after = { ...frame };
  if (edit.caption !== undefined && edit.caption !== frame.caption) Object.assign(after, { caption: edit.caption, captioned_by: "user" });
  if (edit.kept !== undefined && edit.kept !== frame.kept) {
    Object.assign(after, { kept: edit.kept, reason: edit.kept ? null : "dropped_by_user", explanation: "", duplicate_of: null });
  }
  return after;
}
