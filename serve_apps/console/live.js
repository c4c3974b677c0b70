// The one stream of the page: every event of every job, over Server-Sent Events.
// It reconnects by itself and says where it stopped, so that nothing is missed and nothing comes
// twice. It knows no jobs: events are handed on, in order, as the server sent them.
import { Emitter } from "./emitter.js";
import { SseParser } from "./sse.js";

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
// The server is never silent for more than 5 s (heartbeats); twice that and some is a dead line.
const SILENCE_MS = 12_000;
// Why a connection was ended on purpose: to begin another at once, or to rest.
const SWITCH = Symbol("other kinds are wanted");
const REST = Symbol("nobody is signed in");

/** Wait before attempt `attempt` (1 for the first): doubling, half of it random, so that the tabs of
 *  many people do not come back in one instant. `random` is in [0, 1). */
export function backoffMs(attempt, random) {
  const full = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1));
  return full / 2 + (full / 2) * random;
}

export class LiveStream extends Emitter {
  /** @param {{url: URL, onEvents: (events: object[]) => void, onStatus: (status: object) => void,
   *   onFresh: () => void, onOpen: () => void, onSignedOut: () => void}} options
   *  `onFresh`: what the page holds must be read anew, for this connection does not continue an
   *  earlier one. `onOpen`: a connection stands, whether it continues one or not.
   *  `onSignedOut`: the server wants to know who asks. */
  constructor({ url, onEvents, onStatus, onFresh, onOpen, onSignedOut }) {
    super();
    this.url = url;
    this.onEvents = onEvents;
    this.onStatus = onStatus;
    this.onFresh = onFresh;
    this.onOpen = onOpen;
    this.onSignedOut = onSignedOut;
    this.cursor = null; // id of the last event seen
    this.state = "connecting"; // connecting, live, lost, resting
    this.rests = false;
    this.retryAt = null; // ms, while lost
    this.attempt = 0;
    this.kinds = []; // of events asked for; empty: all
    this.abort = null;
    this.wake = null;
    this.started = false;
  }

  /** Begin after event `cursor` (null: from now on). Later calls change nothing. */
  start(cursor) {
    if (this.started) return;
    this.started = true;
    this.cursor = cursor;
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.retryNow());
    void this.#run();
  }

  /** Ask for these kinds only. A running stream goes on from where it is, so nothing is missed. */
  choose(kinds) {
    if (kinds.join() === this.kinds.join()) return;
    this.kinds = kinds;
    this.abort?.abort(SWITCH);
  }

  /** End the connection, and make no other until `resume`. */
  halt() {
    if (this.rests) return;
    this.rests = true;
    this.#become("resting", null);
    this.abort?.abort(REST);
  }

  /** Begin again, as if nothing had been heard: whoever reads now may not be who read before. */
  resume() {
    if (!this.rests) return;
    this.rests = false;
    this.cursor = null;
    this.attempt = 0;
    this.#become("connecting", null);
    this.retryNow();
  }

  /** Do not wait for the next attempt. Nothing happens while the stream is live. */
  retryNow() {
    this.wake?.();
  }

  async #run() {
    for (;;) {
      if (this.rests) await this.#pause(null);
      if (this.rests) continue; // the machine woke up, which is no reason to ask
      const end = await this.#connect();
      if (end === SWITCH || this.rests) continue;
      // Whatever else ended the connection (server gone, proxy, sleep of the machine), the answer is the same.
      this.attempt += 1;
      const delay = backoffMs(this.attempt, Math.random());
      this.#become("lost", Date.now() + delay);
      await this.#pause(delay);
    }
  }

  /** Stay connected as long as it goes; returns what ended it. */
  async #connect() {
    const abort = new AbortController();
    this.abort = abort;
    let alarm;
    const heard = () => {
      clearTimeout(alarm);
      alarm = setTimeout(() => abort.abort(), SILENCE_MS);
    };
    heard();
    try {
      const url = new URL(this.url);
      for (const kind of this.kinds) url.searchParams.append("kinds", kind);
      const headers = { Accept: "text/event-stream" };
      if (this.cursor !== null) headers["Last-Event-ID"] = String(this.cursor);
      const response = await fetch(url, { headers, signal: abort.signal, cache: "no-store" });
      if (response.status === 401) this.onSignedOut();
      if (!response.ok || !response.body) throw new Error(`the stream answered ${response.status}`);
      const continues = this.cursor !== null;
      this.attempt = 0;
      this.#become("live", null);
      if (!continues) this.onFresh();
      this.onOpen();
      await this.#read(response.body, heard);
      return null;
    } catch (error) {
      return abort.signal.reason === SWITCH ? SWITCH : error;
    } finally {
      clearTimeout(alarm);
      this.abort = null;
      abort.abort();
    }
  }

  async #read(body, heard) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new SseParser();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      this.#take(parser.push(value));
    }
  }

  #take(messages) {
    const events = [];
    for (const { id, event, data } of messages) {
      const body = JSON.parse(data);
      if (id !== null) {
        this.cursor = Number(id);
        events.push(body);
      } else if (event === "training_status") {
        // Follows the events that it sums up, so these are told first.
        if (events.length > 0) this.onEvents(events.splice(0));
        this.onStatus(body);
      } else if (event === "reset") {
        this.cursor = body.last_event_id;
        this.onFresh();
      }
    }
    if (events.length > 0) this.onEvents(events);
  }

  #pause(ms) {
    return new Promise((resolve) => {
      const timer = ms === null ? null : setTimeout(resolve, ms); // null: until it is woken
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    }).finally(() => {
      this.wake = null;
    });
  }

  #become(state, retryAt) {
    this.state = state;
    this.retryAt = retryAt;
    this.changed();
  }
}
