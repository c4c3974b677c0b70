// The words of the parts that only jobs at a provider show; they are fetched with these parts.
import { localize } from "./language.js";

export const provider = {
  heading: (name) => `At ${name}`,
  page: (name) => `Open at ${name}`,
  id: "Id there",
  version: "Version",
  cost: "Cost",
  estimate: "Estimated cost",
  measured: "measured",
  trigger: "Trigger word",
  captioning: "Captions",
  steps: "Steps",
  worked: "Worked for",
  total: "From order to end",
  dataset: "Dataset",
  sync: "Sync now",
  syncing: "Asking…",
  syncHelp: "Ask the provider now instead of waiting for its message",
  synced: (time) => `Asked at ${time}`,
};

export const images = {
  heading: "Images",
  summary: (done, total) => `${done} of ${total}`,
  success: (percent) => `${percent} succeeded`,
  failed: (n) => (n === 1 ? "1 failed" : `${n} failed`),
  zip: "Download as ZIP",
  alt: (item, prompt) => `Image ${item}${prompt ? `: ${prompt}` : ""}`,
  tries: (n) => `try ${n}`,
  failedToLoad: "The images could not be loaded",
  status: {
    intended: "ordering",
    sent: "waiting",
    processing: "being made",
    succeeded: "fetching",
    failed: "failed",
    cancelled: "cancelled",
    stored: "done",
    waiting: "not ordered yet",
  },
};

await localize("strings-remote.js", { provider, images });
