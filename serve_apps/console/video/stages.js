// The stages from a video to a version, and where a job is among them. Pure.

/** `{name, from, to, begins}`: marks in percent overall, and how the stage's text begins. */
export const STAGES = [
  { name: "fetch", from: 0, to: 10, begins: "fetching the video" },
  { name: "scenes", from: 10, to: 20, begins: "finding scenes" },
  { name: "frames", from: 20, to: 35, begins: "choosing frames" },
  { name: "dataset", from: 35, to: 50, begins: "making the dataset" },
  { name: "store", from: 50, to: 60, begins: "storing the dataset" },
  { name: "review", from: 60, to: 60, begins: "waiting for review" },
  { name: "train", from: 60, to: 85, begins: "training" },
  { name: "collect", from: 85, to: 95, begins: "fetching the LoRA" },
  { name: "publish", from: 95, to: 100, begins: "storing the version" },
];

/** The stages of a job, each with its state (done, now, failed, cancelled, todo) and the part of it that is done, 0 to 1. */
export function stagesOf(job) {
  const stages = STAGES.filter(({ name }) => name !== "review" || job.config.review);
  const present = placeOf(job, stages);
  const atPresent = job.status === "failed" ? "failed" : job.status === "cancelled" ? "cancelled" : "now";
  const isBegun = Boolean(job.started_at);
  return stages.map((stage, place) => {
    const state = place < present ? "done" : place > present || !isBegun ? "todo" : atPresent;
    return { ...stage, state, done: partOf(stage, state, job.progress_percent) };
  });
}

/** True where the dataset is stored. */
export const hasDataset = (job) => placeOf(job, STAGES) > STAGES.findIndex(({ name }) => name === "store");

function placeOf(job, stages) {
  if (job.status === "completed") return stages.length;
  const told = stages.findIndex(({ begins }) => (job.stage ?? "").startsWith(begins));
  if (told >= 0) return told;
  // It says something else, as while it waits for its turn: then the percentage tells.
  const place = stages.findIndex(({ to }) => job.progress_percent < to);
  return place < 0 ? stages.length - 1 : place;
}

function partOf({ from, to }, state, percent) {
  if (state === "done") return 1;
  if (state === "todo" || from === to) return 0;
  return Math.min(1, Math.max(0, (percent - from) / (to - from)));
}
