// The log of one job by line number: which lines the page holds, how many there are, and those that come.
// Only pages near what is looked at are held, so that a log of a million lines costs no more than a short one.
import { request } from "./api.js";
import { Emitter } from "./emitter.js";
import { cleanLine } from "./logtext.js";

export const PAGE = 500; // lines
const MOST_PAGES = 40;
const RETRY_MS = 3000;
const COPIED_AT_ONCE = 5000; // as many as the API gives

export class LogLines extends Emitter {
  constructor(jobId) {
    super();
    this.path = `jobs/${encodeURIComponent(jobId)}/logs`;
    this.version = 0; // grows with every change
    this.closing = new AbortController();
    this.rank = null; // null: all
    this.ranks = [];
    this.error = null;
    this.#clear();
    this.work = Promise.resolve();
    this.wanted = [0, 0]; // lines that are looked at
  }

  #clear() {
    this.total = 0;
    this.position = 0; // all lines up to this event are counted
    this.pages = new Map(); // number of the page -> rows {at, rank, attempt, text}
    this.asked = new Set(); // pages that are on their way
    this.loaded = false;
    this.held = null; // chunks of the stream that came while the end is being read
    this.version += 1;
  }

  close() {
    this.closing.abort();
    clearTimeout(this.timer);
  }

  /** The row with this number, null while it is not here. */
  row(number) {
    return this.pages.get(Math.floor(number / PAGE))?.[number % PAGE] ?? null;
  }

  /** Read the end anew: how many lines there are, and the last of them. */
  refresh() {
    this.held ??= [];
    this.work = this.work.then(() => this.#readEnd());
    return this.work;
  }

  /** Everything anew: the stream does not continue what is held. */
  restart() {
    this.#clear();
    return this.refresh();
  }

  /** Only the lines of one worker; null for all. */
  choose(rank) {
    if (rank === this.rank) return;
    this.rank = rank;
    this.restart();
    this.#change();
  }

  /** A chunk of the stream. */
  take({ id, at, data: { rank, attempt, lines } }) {
    const chunk = { id, at, rank, attempt, lines };
    if (this.held) this.held.push(chunk);
    else this.#append(chunk);
  }

  /** Have the lines `first` to `end` here soon. */
  want(first, end) {
    this.wanted = [first, end];
    for (let page = Math.floor(first / PAGE); page * PAGE < Math.min(end, this.total); page += 1) {
      if (!this.#isWhole(page) && !this.asked.has(page)) void this.#readPage(page);
    }
  }

  /** The text of the last `most` lines. */
  async text(most) {
    const lines = [];
    const end = this.total;
    for (let first = Math.max(0, end - most); first < end; first += COPIED_AT_ONCE) {
      const { chunks } = await this.#get({ first, count: Math.min(COPIED_AT_ONCE, end - first) });
      for (const chunk of chunks) for (const line of chunk.lines) lines.push(cleanLine(line));
    }
    return lines.join("\n");
  }

  /** Numbers of lines that have `text`, in parts as they are found: `{lines, next, total}`. */
  async *search(text, { isRegex, isExact, signal }) {
    let first = 0;
    while (first !== null) {
      const params = { q: text, regex: isRegex, exact: isExact, first, rank: this.rank };
      const part = await request("GET", `${this.path}/search`, { params, signal });
      yield part;
      first = part.next;
    }
  }

  #get(params) {
    return request("GET", `${this.path}/lines`, { params: { ...params, rank: this.rank }, signal: this.closing.signal });
  }

  #isWhole(page) {
    return (this.pages.get(page)?.length ?? 0) >= Math.min(PAGE, this.total - page * PAGE);
  }

  async #readEnd() {
    const { rank } = this;
    try {
      // The page of the newest line and the one before it.
      const answer = await this.#get({ first: -2 * PAGE, count: 2 * PAGE });
      if (rank !== this.rank) return; // another one was chosen meanwhile; it is read next
      this.#merge(answer);
      for (const chunk of this.held?.splice(0) ?? []) this.#append(chunk);
      this.held = null;
      this.loaded = true;
      this.error = null;
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.status !== 404 && error.status !== 422) {
        this.error = error.message;
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.refresh(), RETRY_MS);
      }
    }
    this.#change();
  }

  async #readPage(page) {
    const { asked } = this;
    asked.add(page);
    try {
      const answer = await this.#get({ first: page * PAGE, count: PAGE });
      if (asked === this.asked) this.#merge(answer);
    } catch (error) {
      if (error.name !== "AbortError") await new Promise((done) => setTimeout(done, RETRY_MS)); // then it may be asked for again
    }
    asked.delete(page);
    this.#change();
  }

  #merge({ chunks, total, last_event_id: position, ranks }) {
    if (position >= this.position) {
      this.position = position;
      this.total = total;
    }
    this.ranks = [...new Set([...this.ranks, ...ranks])].sort((a, b) => a - b);
    for (const { number, timestamp: at, rank, attempt, lines } of chunks) {
      lines.forEach((line, i) => this.#put(number + i, { at, rank, attempt, text: cleanLine(line) }));
    }
    this.#trim();
  }

  #append({ id, at, rank, attempt, lines }) {
    if (id <= this.position) return;
    this.position = id;
    if (!this.ranks.includes(rank)) this.ranks = [...this.ranks, rank].sort((a, b) => a - b);
    if (this.rank !== null && rank !== this.rank) return;
    for (const line of lines) {
      this.#put(this.total, { at, rank, attempt, text: cleanLine(line) });
      this.total += 1;
    }
    this.#trim();
    this.#change();
  }

  // Rows of a page come in order; one that does not follow is left out, and the page is read when it is looked at.
  #put(number, row) {
    const page = Math.floor(number / PAGE);
    const at = number % PAGE;
    let rows = this.pages.get(page);
    if (!rows) {
      if (at !== 0) return;
      this.pages.set(page, (rows = []));
    }
    if (rows.length === at) rows.push(row);
  }

  #trim() {
    if (this.pages.size <= MOST_PAGES) return;
    const middle = (this.wanted[0] + this.wanted[1]) / 2 / PAGE;
    const last = Math.floor(this.total / PAGE);
    const far = [...this.pages.keys()].filter((page) => page < last - 1).sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const page of far.slice(0, this.pages.size - MOST_PAGES)) this.pages.delete(page);
  }

  #change() {
    this.version += 1;
    this.changed();
  }
}
