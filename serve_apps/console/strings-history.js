// The words of how far a job was over time.
import { localize } from "./language.js";

export const history = {
  title: "Progress over time (%, minutes)",
  caption: "Who said how far the job was, newest first",
  columns: { origin: "Source", time: "Since the first point", progress: "Progress" },
  span: (from, to) => `${from} to ${to}`,
  loading: "Loading…",
  none: "Nothing has told yet how far it is.",
  failed: "The past progress could not be loaded",
};

await localize("strings-history.js", { history });
