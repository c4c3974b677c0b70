// A start that waits until the files of the form are there.

const MOVING = new Set(["packing", "sending", "checking", "waiting"]);

/** True for an upload that comes by itself. */
export const isMoving = (state) => MOVING.has(state);

/** The code of the one problem that time solves. */
export const COMING = "uploadComing";

/** Waits for uploads; one wait at a time. */
export class Arrival {
  constructor() {
    this.end = null; // ends the present wait
  }

  get isOn() {
    return this.end !== null;
  }

  /** True where nothing but files on their way is wrong with the form: `problems` as `NewJob.read` gives them. */
  isAll(problems) {
    return problems.length > 0 && problems.every(({ code }) => code === COMING);
  }

  /** Resolves with true once none of the files moves any more, with false where the wait is called off. */
  wait() {
    this.end?.(false);
    return new Promise((resolve) => {
      this.end = (isOver) => {
        this.end = null;
        resolve(isOver);
      };
    });
  }

  /** Look at the uploads anew. */
  look(uploads) {
    if (this.isOn && ![...uploads.values()].some(({ state }) => isMoving(state))) this.end(true);
  }

  /** Do not start. */
  callOff() {
    this.end?.(false);
  }
}
