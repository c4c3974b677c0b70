// What was filled in, kept in the browser: it outlives a reload, a dead server and the way through a sign-in.
// Pure but for the storage, which is passed in.

const NAME = "thornback.draft";
const VERSION = 1;
// Somebody who comes back later than this is asked again before anything starts.
export const INTENT_MS = 60 * 60 * 1000;

export class Drafts {
  /** @param {Storage} storage */
  constructor(storage) {
    this.storage = storage;
  }

  /** The draft `{kind, backend, values, configs, uploads, order?}`; null where there is none. */
  read() {
    return this.#get(NAME);
  }

  write(draft) {
    this.#set(NAME, { ...draft, version: VERSION });
  }

  clear() {
    this.storage.removeItem(NAME);
  }

  /** Put the draft aside, so that another one can take its place. */
  setAside() {
    const draft = this.read();
    if (draft) this.#set(`${NAME}.aside`, draft);
    this.clear();
    return draft !== null;
  }

  /** Bring back what was put aside. */
  bringBack() {
    const draft = this.#get(`${NAME}.aside`);
    if (draft) {
      this.write(draft);
      this.storage.removeItem(`${NAME}.aside`);
    }
    return draft;
  }

  #get(name) {
    try {
      const draft = JSON.parse(this.storage.getItem(name));
      return draft?.version === VERSION ? draft : null;
    } catch {
      return null; // written by somebody else
    }
  }

  #set(name, value) {
    try {
      this.storage.setItem(name, JSON.stringify(value));
    } catch {
      // full, or forbidden here: the form works without
    }
  }
}

/** The order to start `body`: with the key of an earlier try of the very same body, so that it is one job. */
export function orderOf(earlier, body, { newKey, now }) {
  const text = JSON.stringify(body);
  const key = earlier?.text === text ? earlier.key : newKey();
  return { key, text, intent: "start", at: now };
}

/** True where a start was asked for that has not been answered yet. */
export function isIntended(draft, now) {
  const order = draft?.order;
  return order?.intent === "start" && now - order.at < INTENT_MS && now >= order.at;
}
