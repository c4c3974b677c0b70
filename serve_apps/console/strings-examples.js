// The words of clips to listen to; they are fetched with that part.
import { localize } from "./language.js";

export const examples = {
  heading: "Listen to its answers",
  summary: (right, heard) => `${right.toLocaleString()} of ${heard.toLocaleString()} validation clips right`,
  show: "Show",
  all: (n) => `All ${n}`,
  wrong: (n) => `Mistakes ${n}`,
  right: (n) => `Right ${n}`,
  list: "Clips, the surest mistakes first",
  hint: "Arrow keys go from clip to clip, Space plays and stops.",
  failedToLoad: "The clips could not be loaded",
  took: (label, prediction) => `${label} taken for ${prediction}`,
  isRight: (label) => `${label}, rightly`,
  sure: (percent) => `${percent} sure`,
  truth: (label, percent) => `${label} ${percent}`,
  play: "Play",
  stop: "Stop",
  spectrogram: (label) => `Log-mel spectrogram of a clip of ${label}`,
  cannotPlay: "This browser could not play it.",
};

await localize("strings-examples.js", { examples });
