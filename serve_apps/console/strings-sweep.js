// The words of sweeps.
import { localize } from "./language.js";

export const words = {
  label: "Sweep",
  loading: "Loading the trials…",
  failedToLoad: "The trials could not be loaded",
  counts: { waiting: "waiting", running: "running", completed: "completed", stopped: "stopped early", failed: "failed" },
  figures: { trials: "Trials", best: (metric) => `Best ${metric}`, spent: "Spent and set aside", search: "Chosen by" },
  ofTrials: (count, all) => `${count.toLocaleString()} of ${all.toLocaleString()}`,
  ofMoney: (spent, all) => `${spent} of ${all}`,
  inTrial: (number) => `in trial ${number}`,
  board: "Leaderboard",
  caption: (metric, mode) => `Trials with what they tried and came to; ${mode === "min" ? "less" : "more"} of ${metric} is better`,
  none: "No trial has begun yet.",
  columns: { number: "Trial", state: "State", reached: { epoch: "Epochs", step: "Steps" }, seconds: "Time", cost: "Cost", why: "Why it ended, or waits" },
  sortBy: (column) => `Sort by ${column}`,
  best: "best",
  source: (number) => `went on from trial ${number}`,
  all: (count) => `Show all ${count.toLocaleString()}`,
  csv: "As CSV",
  curves: "All trials",
  faint: (count) => `The best ${count} in colour, the others faint.`,
  noCurves: "No trial has measured anything yet.",
  parallel: "What was tried, and what came of it",
  publish: "Keep the best as a version",
  publishHelp: "The best completed trial becomes the next version of a model",
  version: (model, number) => `${model} v${number}`,
};

await localize("strings-sweep.js", { words });
