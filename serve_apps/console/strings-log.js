// The words of the log.
import { localize } from "./language.js";

export const words = {
  heading: "Log",
  label: "Log of the job",
  empty: "Nothing printed yet.",
  emptyFinal: "This job printed nothing.",
  toEnd: "Jump to the newest line",
  lines: (n) => (n === 1 ? "1 line" : `${n.toLocaleString()} lines`),
  wrap: "Wrap lines",
  download: "Download",
  copy: "Copy",
  copied: "Copied",
  copyHelp: (most) => `Copies the last ${most.toLocaleString()} lines at most`,
  driver: "driver",
  rank: (n) => `rank ${n}`,
  ranks: "Lines of",
  allRanks: "all workers",
  attempt: (n) => `Attempt ${n}`,
  loading: "…",
  failedToLoad: "The log could not be loaded",
  search: "Search the log",
  regex: "Regular expression",
  regexShort: ".*",
  exact: "Match case",
  exactShort: "Aa",
  next: "Next match",
  previous: "Previous match",
  none: "no match",
  matches: (at, count, isMore) => `${at.toLocaleString()} of ${count.toLocaleString()}${isMore ? "+" : ""}`,
  searching: (share) => `searching, ${share} %`,
};

await localize("strings-log.js", { words });
