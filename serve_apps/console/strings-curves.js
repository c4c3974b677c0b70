// The words of what can be done with curves.
import { localize } from "./language.js";

export const words = {
  tools: "Curves: smoothing, comparison, export",
  smoothing: "Smoothing",
  smoothingHelp: "Moving average with exponential weights; the values themselves stay faint behind it",
  log: "log",
  logHelp: "Logarithmic scale",
  logOf: (title) => `log scale of ${title}`,
  png: "PNG",
  csv: "CSV",
  save: (what, title) => `Save ${title} as ${what}`,
  compare: "Compare with…",
  compareTitle: "Compare with other jobs",
  compareSearch: "Search by name",
  compareNone: "There is no other job to compare with.",
  comparing: "Beside this job",
  remove: (name) => `Take ${name} away`,
  align: "Aligned by",
  aligns: { place: "step", time: "time" },
  done: "Done",
  keys: "With the keyboard: + and − zoom, ← and → move, 0 resets",
  hint: "Drag over a chart to zoom, or turn the wheel with Ctrl; double-click to reset.",
  minutes: "min",
};

await localize("strings-curves.js", { words });
