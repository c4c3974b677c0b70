// The words of the paused queue, which every page may show.
import { localize } from "./language.js";

export const hold = {
  paused: (by, since) => `The queue is paused by ${by} since ${since}: nothing new starts, what runs goes on.`,
  pausedWhy: (by, since, why) => `The queue is paused by ${by} since ${since} (${why}): nothing new starts, what runs goes on.`,
  manage: "Queue",
};

await localize("strings-hold.js", { hold });
