// <thornback-job job-id="…" server="https://train.example" token="…"></thornback-job>
//
// One job, live, on any page: name, status, bar, stage, time left, the loss as a line. One file without dependencies:
//
//   <script type="module" src="https://train.example/embed/thornback-job.js"></script>
//
// `server` may be left out where the page and this file come from the same place. `token` is a ticket that your
// server asks for (POST /api/v1/tickets {"job_id": …, "seconds": …}); it can read this one job and nothing else.
// Without access control there is still a ticket to be had, and pages of other sites need one.
//
// Events (they bubble): `thornback-status` with the job in `detail` at each change, `thornback-end` once, and
// `thornback-token` when the ticket is wrong or has ended: set a new one, and it goes on where it stopped.
// Looks: --thornback-accent, --thornback-text, --thornback-muted, --thornback-surface, --thornback-radius;
// ::part(card), ::part(bar), ::part(link). A page with a Content-Security-Policy needs `script-src` and `connect-src` for the server.

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
const SILENCE_MS = 12_000; // the server says something every 5 s at least
const POINTS = 120; // of the line
const FINAL = new Set(["completed", "failed", "cancelled"]);
const REFUSED = new Set([401, 403]);

const STYLE = `
  :host { display: block; font: 14px/1.4 system-ui, sans-serif; color: var(--thornback-text, #1c2430); }
  .card { background: var(--thornback-surface, #fff); border: 1px solid #8884; border-radius: var(--thornback-radius, 8px);
    padding: 12px 14px; }
  .row { display: flex; gap: 8px; align-items: baseline; flex-wrap: wrap; }
  .name { font-weight: 600; overflow-wrap: anywhere; flex: 1; min-width: 8em; }
  .muted { color: var(--thornback-muted, #566070); }
  progress { width: 100%; height: 8px; margin: 8px 0 4px; accent-color: var(--thornback-accent, #1f6feb); }
  svg { width: 100%; height: 36px; display: block; margin-top: 6px; }
  path { fill: none; stroke: var(--thornback-accent, #1f6feb); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
  a { color: var(--thornback-accent, #1259c3); }
  .error { color: #b42318; white-space: pre-wrap; overflow-wrap: anywhere; margin: 6px 0 0; }
  @media (prefers-color-scheme: dark) {
    :host { color: var(--thornback-text, #e6e9ef); }
    .card { background: var(--thornback-surface, #171b22); }
    .muted { color: var(--thornback-muted, #a7b0be); }
    a { color: var(--thornback-accent, #7fb2ff); }
    .error { color: #ff9a8f; }
  }`;

const HERE = new URL(import.meta.url).origin;

/** Wait before attempt `attempt` (1 for the first): doubling, half of it random. */
export function backoffMs(attempt, random) {
  const full = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1));
  return full / 2 + (full / 2) * random;
}

/** The values as the `d` of a path in a box of 100 by 36; empty for fewer than two. */
export function linePath(values) {
  if (values.length < 2) return "";
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const at = (value, index) => `${((100 * index) / (values.length - 1)).toFixed(2)},${(34 - (32 * (value - low)) / span).toFixed(2)}`;
  return `M${values.map(at).join("L")}`;
}

/** `90` -> "2 min", seconds in words that are never more exact than the guess. */
export function timeLeft(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** Close a socket that nobody listens to any more. One that is still opening is closed later, without a warning in the console. */
function leave(socket) {
  socket.onmessage = null;
  socket.onclose = null;
  if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
  else socket.close();
}

class ThornbackJob extends HTMLElement {
  static observedAttributes = ["job-id", "server", "token"];
  #root;
  #job = null;
  #losses = [];
  #socket = null;
  #attempt = 0;
  #timer = null;
  #alarm = null;
  #abort = null;
  #waiting = false;

  constructor() {
    super();
    this.#root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet(); // a <style> would need 'unsafe-inline' in the page's policy
    sheet.replaceSync(STYLE);
    this.#root.adoptedStyleSheets = [sheet];
  }

  connectedCallback() {
    this.#restart();
  }

  disconnectedCallback() {
    this.#stop();
  }

  attributeChangedCallback(name, before, now) {
    if (before === now || !this.isConnected) return;
    if (name !== "token") {
      this.#job = null;
      this.#losses = [];
    }
    this.#restart();
  }

  /** The job as it was told last; null before the first answer. */
  get job() {
    return this.#job;
  }

  #restart() {
    this.#stop();
    this.#attempt = 0;
    // Several attributes are set one after the other: connect once, after the last.
    if (this.#waiting) return;
    this.#waiting = true;
    queueMicrotask(() => {
      this.#waiting = false;
      if (this.isConnected && this.getAttribute("job-id")) void this.#connect();
    });
    this.#draw();
  }

  #stop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#alarm);
    this.#abort?.abort();
    const socket = this.#socket;
    this.#socket = null;
    if (socket) leave(socket);
  }

  #url(path, scheme = "http") {
    const url = new URL(path, this.getAttribute("server") || HERE);
    url.protocol = url.protocol.replace("http", scheme);
    const token = this.getAttribute("token");
    if (token) url.searchParams.set("ticket", token);
    return url;
  }

  get #path() {
    return `/api/v1/training/jobs/${encodeURIComponent(this.getAttribute("job-id"))}`;
  }

  /** Read the job anew, then follow it: what happened while nobody listened is in the answer. */
  async #connect() {
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const detail = await this.#read(this.#path, abort.signal);
      const rows = await this.#read(`${this.#path}/metrics?level=all&limit=${POINTS}`, abort.signal);
      this.#losses = rows.metrics.map((row) => row.train_loss).filter((loss) => loss !== null);
      this.#attempt = 0;
      this.#take(detail.job);
      if (!FINAL.has(detail.job.status)) this.#listen();
    } catch (error) {
      if (abort.signal.aborted) return;
      if (REFUSED.has(error.status)) {
        this.#draw();
        this.#tell("thornback-token", { message: error.message });
      } else if (error.status === 404 || error.status === 422) {
        this.#job = { job_name: this.getAttribute("job-id"), status: "unknown", error_message: error.message };
        this.#draw();
      } else {
        this.#later();
      }
    }
  }

  async #read(path, signal) {
    const response = await fetch(this.#url(path), { signal, cache: "no-store", credentials: "omit" });
    if (response.ok) return response.json();
    const problem = await response.json().catch(() => ({}));
    throw Object.assign(new Error(problem.detail ?? `the server answered ${response.status}`), { status: response.status });
  }

  #listen() {
    const socket = new WebSocket(this.#url(`/ws/training/${encodeURIComponent(this.getAttribute("job-id"))}?include=metrics`, "ws"));
    this.#socket = socket;
    const heard = () => {
      clearTimeout(this.#alarm);
      this.#alarm = setTimeout(() => socket.close(), SILENCE_MS);
    };
    heard();
    socket.onmessage = ({ data }) => {
      heard();
      const message = JSON.parse(data);
      if (message.event === "training_status") this.#take({ ...message, ...message.metrics });
      else if (message.event === "metrics" && typeof message.train_loss === "number") this.#addLoss(message.train_loss);
    };
    socket.onclose = () => {
      clearTimeout(this.#alarm);
      this.#socket = null;
      if (!FINAL.has(this.#job?.status)) this.#later();
    };
  }

  #later() {
    this.#attempt += 1;
    this.#draw();
    this.#timer = setTimeout(() => void this.#connect(), backoffMs(this.#attempt, Math.random()));
  }

  #addLoss(loss) {
    this.#losses = [...this.#losses, loss].slice(-POINTS);
    this.#draw();
  }

  #take(fields) {
    const wasFinal = FINAL.has(this.#job?.status);
    this.#job = { ...this.#job, ...fields };
    this.#draw();
    this.#tell("thornback-status", this.#job);
    if (!wasFinal && FINAL.has(this.#job.status)) this.#tell("thornback-end", this.#job);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  #draw() {
    const job = this.#job;
    const card = element("div", { class: "card", part: "card" });
    this.#root.replaceChildren(card);
    if (!job) {
      card.append(element("span", { class: "muted", role: "status" }, this.#attempt ? "Connecting…" : "Loading…"));
      return;
    }
    const percent = Math.floor(job.progress_percent ?? 0);
    const seconds = (Date.parse(job.eta_at) - Date.now()) / 1000;
    const left = FINAL.has(job.status) || !(seconds > 0) ? "" : `${timeLeft(seconds)} left`;
    const live = this.#attempt ? "connecting…" : "";
    card.append(
      element("div", { class: "row" },
        element("span", { class: "name" }, job.job_name ?? ""),
        element("span", { role: "status" }, job.status),
        element("span", { class: "muted" }, live)),
      element("progress", { part: "bar", max: "100", value: String(percent), "aria-label": job.job_name ?? "job" }),
      element("div", { class: "row muted" },
        element("span", {}, `${percent} %`), element("span", {}, (!FINAL.has(job.status) && job.stage) || ""), element("span", {}, left)),
    );
    const path = linePath(this.#losses);
    if (path) card.append(this.#line(path));
    if (job.error_message) card.append(element("p", { class: "error" }, job.error_message));
    const href = new URL(`/#/jobs/${encodeURIComponent(this.getAttribute("job-id"))}`, this.getAttribute("server") || HERE).href;
    card.append(element("a", { part: "link", href, target: "_blank", rel: "noopener" }, "Open"));
  }

  #line(d) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 100 36");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `loss ${this.#losses.at(-1)}`);
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", d);
    svg.append(path);
    return svg;
  }
}

/** Text goes in as text: names and errors come from users. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

customElements.define("thornback-job", ThornbackJob);
