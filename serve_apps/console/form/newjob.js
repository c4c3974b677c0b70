// The form of a new job: what can be started, what was filled in, what is wrong with it, what it would cost.
import { request } from "../api.js";
import { Emitter } from "../emitter.js";
import { Arrival, COMING, isMoving } from "./arrival.js";
import { Drafts } from "./draft.js";
import { fieldAt, fieldsOf } from "./schema.js";
import { resume, start } from "./starting.js";
import { Upload } from "./upload.js";
import { complaints, rawOf, readForm, withRaw } from "./values.js";

const ESTIMATE_MS = 500; // after the last change
const KEEP_MS = 300;
const CHOSEN = ["kind", "backend"]; // by the choice above the form
const SHARED = ["job_name", "priority", "max_retries", "tags"]; // what a form of another kind takes over

export class NewJob extends Emitter {
  constructor(storage = localStorage) {
    super();
    this.drafts = new Drafts(storage);
    this.kinds = null; // [{kind, backend, description, spec}]
    this.providers = {}; // by name
    this.catalogues = {}; // by name
    this.error = null; // nothing could be loaded
    this.kind = null;
    this.backend = null;
    this.root = null;
    this.values = {};
    this.configs = {}; // of other kinds and backends, as they were left
    this.touched = new Set(); // paths whose problems are shown
    this.refused = new Map(); // the server's complaints, by path
    this.failure = null; // why the start failed, where no field is to blame
    this.uploads = new Map(); // by path
    this.estimate = { state: "none", value: null };
    this.busy = false;
    this.arrival = new Arrival(); // a start that waits for uploads
    this.notice = null; // brought: the form is like a job, and a draft was put aside; signIn: a start waits for it
    this.closing = new AbortController();
    this.timers = {};
  }

  /** Load what can be started, and what was filled in before. `like`: a job to copy. */
  async open({ kind = null, backend = null, like = null } = {}) {
    const leave = () => this.#keepNow();
    addEventListener("pagehide", leave, { signal: this.closing.signal });
    await this.#load({ kind, backend, like });
  }

  close() {
    this.arrival.callOff();
    this.#keepNow();
    this.closing.abort();
    Object.values(this.timers).forEach(clearTimeout);
    for (const upload of this.uploads.values()) if (!upload.isOver) upload.pause();
  }

  async #load(wanted) {
    const { signal } = this.closing;
    try {
      const job = wanted.like ? (await request("GET", `jobs/${encodeURIComponent(wanted.like)}`, { signal })).job : null;
      const [{ kinds }, { providers }] = await Promise.all([
        request("GET", "../kinds", { signal }),
        request("GET", "../providers", { signal, stays: true }).catch(visitor),
      ]);
      this.kinds = kinds;
      this.providers = Object.fromEntries(providers.map((provider) => [provider.name, provider]));
      this.error = null;
      if (job) this.#fillLike(job);
      else this.#fillFromDraft(wanted);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.error = error;
    }
    this.changed();
  }

  /** Try again what failed. */
  reload(wanted) {
    this.error = null;
    this.changed();
    void this.#load(wanted);
  }

  #fillLike(job) {
    if (this.drafts.setAside()) this.notice = "brought";
    this.#shape(job.kind, job.backend);
    this.values = rawOf(this.root, { ...job, config: job.config }) ?? {};
    this.#keepSoon();
    this.#estimateSoon();
  }

  #fillFromDraft({ kind, backend }) {
    const draft = this.drafts.read();
    if (draft) {
      this.configs = draft.configs ?? {};
      this.values = draft.values ?? {};
      for (const [path, memory] of Object.entries(draft.uploads ?? {})) this.#watch(path, Upload.remembered(memory, this.#options(path)));
    }
    this.#shape(kind ?? draft?.kind, kind ? backend : (backend ?? draft?.backend));
    this.#estimateSoon();
  }

  #shape(kind, backend) {
    const sameKind = this.kinds.filter((item) => item.kind === kind);
    const found = sameKind.find((item) => item.backend === backend) ?? this.#best(sameKind) ?? this.#best(this.kinds);
    this.kind = found.kind;
    this.backend = found.backend;
    this.root = fieldsOf(found.spec, { without: CHOSEN });
    void this.#loadCatalogue();
  }

  /** The first that can run here; a provider must be set up for that. */
  #best(kinds) {
    return kinds.find(({ backend }) => this.canRun(backend)) ?? kinds[0];
  }

  /** False for a provider that is not set up here. */
  canRun(backend) {
    return this.providers[backend]?.configured ?? true;
  }

  /** Another kind or backend. What was filled in for this one waits until it is chosen again. */
  choose(kind, backend = null) {
    this.arrival.callOff();
    this.configs = { ...this.configs, [this.#slot]: this.values.config };
    const before = this.root;
    const left = this.values;
    this.#shape(kind, backend);
    const shared = Object.fromEntries(SHARED.filter((name) => left[name] !== undefined).map((name) => [name, left[name]]));
    const config = this.configs[this.#slot] ?? this.#carriedOver(before, left.config);
    this.values = config === undefined ? shared : { ...shared, config };
    this.touched = new Set();
    this.refused = new Map();
    this.failure = null;
    this.#changedValues();
  }

  get #slot() {
    return `${this.kind}/${this.backend}`;
  }

  /** Members of the same name and shape. */
  #carriedOver(before, config) {
    const shape = (root, name) => JSON.stringify({ ...fieldAt(root, ["config", name]), help: "", required: 0, hasDefault: 0, default: 0 });
    const kept = Object.entries(config ?? {}).filter(([name]) => fieldAt(this.root, ["config", name]) && shape(before, name) === shape(this.root, name));
    return kept.length > 0 ? Object.fromEntries(kept) : undefined;
  }

  async #loadCatalogue() {
    const { backend } = this;
    if (!(backend in this.providers) || this.catalogues[backend]) return;
    try {
      this.catalogues[backend] = await request("GET", `../providers/${backend}/catalogue`, { signal: this.closing.signal, stays: true });
      this.changed();
    } catch {
      // names can be typed all the same
    }
  }

  /** What is suggested for a field whose help speaks of the catalogue; null where it can be anything. */
  suggestions({ name, help }) {
    if (!help.includes("catalogue")) return null;
    const catalogue = this.catalogues[this.backend];
    const list = name === "trainer" ? catalogue?.trainers : catalogue?.image_models;
    return list?.map((entry) => ({ value: entry.name, label: entry.title })) ?? null;
  }

  get(path) {
    return path.reduce((at, name) => at?.[name], this.values);
  }

  /** Somebody filled something in; a start that waits for an upload was of something else. */
  set(path, raw) {
    this.arrival.callOff();
    this.#put(path, raw);
  }

  #put(path, raw) {
    this.values = withRaw(this.values, path, raw);
    const key = path.join(".");
    for (const told of [...this.refused.keys()]) {
      // A complaint about several fields goes with the first of them that changes.
      if (told === key || told === "" || key.startsWith(`${told}.`) || told.startsWith(`${key}.`)) this.refused.delete(told);
    }
    this.failure = null;
    this.#changedValues();
  }

  /** The field was left: its problems are shown from now on. */
  touch(path) {
    this.touched.add(path.join("."));
    this.changed();
  }

  #changedValues() {
    this.#keepSoon();
    this.#estimateSoon();
    this.changed();
  }

  /** What would be sent, and what is wrong with it. An upload that is on its way stands for its file already. */
  read() {
    const open = [...this.uploads].filter(([path, { state }]) => state !== "ready" && fieldAt(this.root, path.split(".")));
    const key = open.map(([path, { id, state }]) => [path, id, state].join()).join();
    if (this.memo?.values !== this.values || this.memo.root !== this.root || this.memo.key !== key) {
      let raw = this.values;
      for (const [path, { id }] of open) raw = withRaw(raw, path.split("."), `upload:${id ?? "0"}`);
      const { body, problems } = readForm(this.root, raw);
      for (const [path, { state }] of open) {
        problems.push({ path: path.split("."), code: state === "refused" ? "uploadRefused" : isMoving(state) ? COMING : "uploading" });
      }
      this.memo = { values: this.values, root: this.root, key, body: this.#ordered(body), problems };
    }
    return this.memo;
  }

  #ordered({ job_name: name, ...rest }) {
    return { ...(name === undefined ? {} : { job_name: name }), kind: this.kind, backend: this.backend, ...rest };
  }

  /** The first problem of a field that is to be shown; a sentence of the server's or one of ours. */
  problemAt(path, { inside = false } = {}) {
    const key = path.join(".");
    if (this.refused.has(key)) return { told: this.refused.get(key) };
    const at = ({ path: other, code }) => {
      if (code === COMING) return false; // the start waits for it
      const name = other.join(".");
      return name === key || (inside && name.startsWith(`${key}.`));
    };
    return this.read().problems.find((problem) => at(problem) && (this.touched.has(key) || this.touched.has("*"))) ?? null;
  }

  // Uploads

  uploadAt(path) {
    return this.uploads.get(path.join(".")) ?? null;
  }

  upload(path, files) {
    const key = path.join(".");
    const upload = this.uploads.get(key) ?? new Upload(this.#options(key));
    this.#watch(key, upload);
    this.set(path, undefined);
    void upload.choose(files);
  }

  removeUpload(path) {
    const key = path.join(".");
    const upload = this.uploads.get(key);
    this.uploads.delete(key);
    void upload?.remove();
    this.set(path, undefined);
  }

  #watch(key, upload) {
    this.uploads.set(key, upload);
    upload.subscribe(() => this.tell());
  }

  #options(key) {
    return {
      onChange: (upload) => {
        if (this.uploads.get(key) !== upload) return;
        if (upload.state === "ready") this.#put(key.split("."), upload.found.uri);
        this.#keepNow();
        this.arrival.look(this.uploads);
        this.changed();
      },
    };
  }

  // Keeping

  #keepSoon() {
    clearTimeout(this.timers.keep);
    this.timers.keep = setTimeout(() => this.#keepNow(), KEEP_MS);
  }

  #keepNow() {
    clearTimeout(this.timers.keep);
    if (this.root === null || this.done) return;
    const uploads = [...this.uploads].map(([path, { memory }]) => [path, memory]).filter(([, memory]) => memory !== null);
    const { kind, backend, values, configs } = this;
    const { order } = this.drafts.read() ?? {};
    this.drafts.write({ kind, backend, values, configs, uploads: Object.fromEntries(uploads), order });
  }

  /** Begin with an empty form. */
  clear() {
    for (const upload of this.uploads.values()) void upload.remove();
    this.uploads.clear();
    this.drafts.clear();
    this.values = {};
    this.configs = {};
    this.touched = new Set();
    this.refused = new Map();
    this.failure = null;
    this.notice = null;
    this.#changedValues();
  }

  /** Back to the draft that the copy of a job took the place of. */
  bringBack() {
    const draft = this.drafts.bringBack();
    this.notice = null;
    if (draft) this.#fillFromDraft({});
    this.changed();
  }

  // The estimate

  #estimateSoon() {
    clearTimeout(this.timers.estimate);
    this.asking?.abort();
    const { problems } = this.read();
    // An upload that is on its way changes nothing about it.
    if (problems.some(({ code }) => !code.startsWith("upload"))) {
      this.estimate = { state: "none", value: null };
      return;
    }
    this.estimate = { state: "asking", value: this.estimate.value };
    this.timers.estimate = setTimeout(() => void this.#estimate(), ESTIMATE_MS);
  }

  async #estimate() {
    const asking = new AbortController();
    this.asking = asking;
    try {
      const value = await request("POST", "estimate", { body: JSON.stringify(this.read().body), signal: asking.signal, stays: true });
      this.estimate = { state: "known", value };
    } catch (error) {
      if (asking.signal.aborted) return;
      this.estimate = { state: "none", value: null };
      if (error.status === 422) this.#take422(error);
    }
    this.changed();
  }

  #take422(error) {
    this.refused = complaints(this.root, error.errors);
    const general = this.refused.get("");
    this.failure = error.errors.length === 0 ? error.message : (general ?? null);
  }

  // The start

  /** Start what is filled in, once its files are there; gives what became of it (`is` as in starting.js, or `invalid`,
   *  or `calledOff`). */
  async start({ newKey = () => crypto.randomUUID?.() ?? randomKey(), now = Date.now() } = {}) {
    if (this.arrival.isAll(this.read().problems)) {
      const arrived = this.arrival.wait();
      this.changed();
      const isThere = await arrived;
      this.changed();
      if (!isThere) return { is: "calledOff" };
    }
    const { body, problems } = this.read();
    this.touched.add("*");
    this.failure = null;
    this.refused = new Map();
    if (problems.length > 0) {
      this.changed();
      return { is: "invalid", problem: problems[0] };
    }
    this.#keepNow();
    return this.#outcome(start({ drafts: this.drafts, body, create, newKey, now }));
  }

  /** Go on with a start that an earlier page was asked for; null where there was none. */
  async resumeStart(now = Date.now()) {
    return this.#outcome(resume({ drafts: this.drafts, create, now }));
  }

  async #outcome(work) {
    this.busy = true;
    this.changed();
    const outcome = await work;
    this.busy = false;
    if (outcome?.is === "started") this.done = true;
    if (outcome?.is === "signIn") this.notice = "signIn";
    if (outcome?.is === "refused") {
      if (outcome.error.status === 422 && this.root) this.#take422(outcome.error);
      else this.failure = outcome.error.message;
      this.touched.add("*");
    }
    this.changed();
    return outcome;
  }
}

/** Whoever has not signed in can fill in the form all the same. */
function visitor(error) {
  if (error.status !== 401) throw error;
  return { providers: [] };
}

export const create = (text, key) => request("POST", "jobs", { body: text, headers: { "Idempotency-Key": key }, stays: true });

// `crypto.randomUUID` is for secure pages only.
const randomKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
