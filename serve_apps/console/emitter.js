// Something that can be listened to. A first change is told with the next frame; while changes keep
// coming they are told together, ten times a second, so that a busy stream leaves the page quick.

const PERIOD_MS = 100;
// A hidden page gets no frames, but its title still counts.
const HIDDEN_MS = 1000;

export class Emitter {
  #listeners = new Set();
  period = PERIOD_MS; // between two tellings
  #isDue = false;
  #told = 0;

  /** Call `listener` after changes; returns the way to stop that. */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Say that something changed. */
  changed() {
    if (this.#isDue) return;
    this.#isDue = true;
    const tell = () => {
      this.#isDue = false;
      this.#told = performance.now();
      this.tell();
    };
    const wait = document.hidden ? HIDDEN_MS : this.#told + this.period - performance.now();
    if (wait > 0) setTimeout(tell, wait);
    else requestAnimationFrame(tell);
  }

  /** Tell at once: for what passes on changes that were told to it. */
  tell() {
    for (const listener of this.#listeners) listener();
  }
}
