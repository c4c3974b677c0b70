// A file on its way to the server in parts (tus 1.0). It goes on by itself after a lost connection or a dead server.
// After a reload the page knows the upload but no longer the file: it goes on once the same file is chosen again.
import { Emitter } from "../emitter.js";
import { backoffMs } from "../live.js";
import { packed, fingerprint } from "./pack.js";

const BASE = new URL("api/v1/uploads", document.baseURI);
const PART_BYTES = 8 * 1024 * 1024;
const TUS = { "Tus-Resumable": "1.0.0" };
// The answer to the last part comes when the server has looked at all that is in the file.
const ANSWER_MS = 15 * 60 * 1000;

/** States: packing, sending, checking, waiting (the next try comes by itself), paused, lost (of a page that was
 *  left: choose the file again), signedOut, refused, ready. */
export class Upload extends Emitter {
  /** @param {(upload: Upload) => void} onChange told when something is to be remembered */
  constructor({ onChange = () => {}, random = Math.random } = {}) {
    super();
    this.onChange = onChange;
    this.random = random;
    this.state = "packing";
    this.file = null;
    this.id = null;
    this.name = "";
    this.size = 0;
    this.offset = 0;
    this.print = "";
    this.found = null; // what the server says of the whole file
    this.problem = null; // {code, name} of ours, or a sentence of the server's
    this.retryAt = null;
    this.attempt = 0;
    this.request = null;
    this.wake = null;
    this.run = 0; // which run is the present one; older ones end by themselves
    addEventListener("online", () => this.wake?.());
  }

  get isOver() {
    return this.state === "ready" || this.state === "refused";
  }

  /** What a later page needs to go on. */
  get memory() {
    const { id, name, size, print } = this;
    return id === null ? null : { id, name, size, print };
  }

  /** An upload that an earlier page began. */
  static remembered(memory, options) {
    const upload = new Upload(options);
    Object.assign(upload, memory, { state: "lost" });
    void upload.#look();
    return upload;
  }

  /** Send these files. An upload of the very same files is gone on with; of others it begins anew. */
  async choose(files) {
    const print = fingerprint(files);
    if (this.isOver || this.print !== print) await this.#giveUp();
    this.print = print;
    this.problem = null;
    this.#become("packing");
    try {
      this.file = await packed(files, (done, of) => {
        this.packing = done / of;
        this.changed();
      });
    } catch (error) {
      this.problem = { code: error.code ?? "unreadable", name: error.name };
      this.#become("refused");
      return;
    }
    this.name = this.file.name;
    this.size = this.file.size;
    await this.#go();
  }

  pause() {
    this.run += 1;
    this.request?.abort();
    this.wake?.();
    this.#become("paused");
  }

  resume() {
    void this.#go();
  }

  /** Stop, and have what is at the server removed. */
  async remove() {
    this.run += 1;
    this.request?.abort();
    this.wake?.();
    if (!this.isOver) await this.#giveUp();
  }

  async #look() {
    try {
      const found = await answer("GET", this.id);
      this.#take(found);
      if (found.state === "checking") this.#become("paused"); // every byte is there; the file is not needed
    } catch (error) {
      if (error.status === 404 || error.status === 410) this.id = null;
      this.changed();
    }
  }

  #take(found) {
    this.offset = found.offset;
    if (found.state === "ready") {
      this.found = found;
      this.#become("ready");
    } else if (found.state === "refused") {
      this.problem = found.problem;
      this.#become("refused");
    }
    this.changed();
  }

  async #go() {
    const run = (this.run += 1);
    this.attempt = 0;
    while (run === this.run) {
      try {
        this.#become("sending");
        if (this.id === null) await this.#begin();
        this.#take(await answer("GET", this.id));
        if (this.isOver || run !== this.run) return;
        await this.#part(run);
        this.attempt = 0;
      } catch (error) {
        if (run !== this.run) return;
        if (!(await this.#afterFault(error, run))) return;
      }
    }
  }

  async #begin() {
    const name = btoa(String.fromCharCode(...new TextEncoder().encode(this.name)));
    const headers = { "Upload-Length": String(this.size), "Upload-Metadata": `filename ${name}` };
    this.id = (await answer("POST", "", { headers })).id;
    this.offset = 0;
    this.onChange(this);
  }

  async #part(run) {
    const { offset } = this;
    const part = this.file ? this.file.slice(offset, offset + PART_BYTES) : new Blob();
    if (offset + part.size >= this.size) this.#become(part.size > 0 ? "sending" : "checking");
    const headers = { "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream", ...(await checksum(part)) };
    const isLast = offset + part.size >= this.size;
    await this.#put(headers, part, (sent) => {
      if (run !== this.run) return;
      this.offset = offset + sent;
      if (isLast && sent >= part.size) this.#become("checking");
      this.changed();
    });
  }

  /** XMLHttpRequest, since fetch tells nothing of what was sent. */
  #put(headers, part, onSent) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.request = request;
      request.open("PATCH", `${BASE}/${this.id}`);
      for (const [name, value] of Object.entries({ ...TUS, ...headers })) request.setRequestHeader(name, value);
      request.timeout = ANSWER_MS;
      request.upload.onprogress = ({ loaded }) => onSent(loaded);
      request.onload = () => (request.status < 300 ? resolve() : reject(fault(request.status, request.responseText)));
      request.onerror = request.onabort = request.ontimeout = () => reject(fault(0, ""));
      request.send(part);
    });
  }

  /** True where it is to be tried again. */
  async #afterFault(error, run) {
    const { status } = error;
    if (status === 401 || status === 403) {
      this.#become("signedOut");
      return false;
    }
    if (status === 404 || status === 410) {
      this.id = null; // it was removed: begin anew, where the file is known
      this.offset = 0;
      this.onChange(this);
      if (this.file) return true;
      this.#become("lost");
      return false;
    }
    if (status === 409) return true; // it is further on than was thought
    if (status >= 400 && status < 500 && ![408, 423, 429, 460].includes(status)) {
      this.problem = error.message;
      this.#become("refused");
      return false;
    }
    this.attempt += 1;
    const delay = backoffMs(this.attempt, this.random());
    this.retryAt = Date.now() + delay;
    this.#become("waiting");
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, delay);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wake = null;
    return run === this.run;
  }

  async #giveUp() {
    const { id, state } = this;
    this.id = null;
    this.offset = 0;
    this.found = null;
    this.onChange(this);
    if (id !== null && state !== "ready") await answer("DELETE", id).catch(() => {}); // it expires by itself
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    if (state !== "sending" && state !== "checking") this.onChange(this);
    this.changed();
  }
}

async function answer(method, id, { headers = {} } = {}) {
  let response;
  try {
    response = await fetch(id ? `${BASE}/${id}` : BASE, { method, headers: { ...TUS, ...headers }, cache: "no-store" });
  } catch {
    throw fault(0, "");
  }
  const text = await response.text();
  if (!response.ok) throw fault(response.status, text);
  return text ? JSON.parse(text) : null;
}

function fault(status, text) {
  let message = "";
  try {
    message = JSON.parse(text).detail ?? "";
  } catch {
    // not ours: a proxy's page
  }
  return Object.assign(new Error(message), { status });
}

/** Browsers take checksums on secure pages only; elsewhere TCP's own has to do. */
async function checksum(part) {
  if (!globalThis.crypto?.subtle || part.size === 0) return {};
  const digest = await crypto.subtle.digest("SHA-256", await part.arrayBuffer());
  return { "Upload-Checksum": `sha256 ${btoa(String.fromCharCode(...new Uint8Array(digest)))}` };
}
