// The words of analytics and of usage; they are fetched with these views.
import { localize } from "./language.js";

export const report = {
  period: "Period",
  periods: { "7d": "7 days", "30d": "30 days", "90d": "90 days", "1y": "1 year", all: "All", own: "From … to" },
  since: "From",
  until: "To",
  csv: "CSV",
  csvOf: (title) => `Save “${title}” as CSV`,
  loading: "Adding up…",
  failedToLoad: "The report could not be made",
  jobs: (n) => (n === 1 ? "1 job" : `${n.toLocaleString()} jobs`),
  refreshed: "Renewed by itself when jobs end.",
};

export const analytics = {
  title: "Analytics · Thornback",
  heading: "Analytics",
  none: "Nothing was trained in this time",
  noneText: "Choose a longer period, or start a training.",
  nothing: "Nothing to tell about this yet.",
  times: "How long trainings take",
  training: "Training, on average",
  total: "From order to end, on average",
  counted: (n) => (n === 1 ? "1 training that succeeded" : `${n.toLocaleString()} trainings that succeeded`),
  words: "Trainings by trigger word",
  wordColumns: { word: "Trigger word", jobs: "Jobs", statuses: "How they stand", last: "Last" },
  popular: "The most popular first",
  steps: "Time by number of steps",
  stepColumns: { steps: "Steps", jobs: "Trainings", training: "Training", total: "From order to end" },
  stepSummary: (n) => `Average times for ${n} numbers of steps; the table below has the values.`,
  captioning: "Success by captioning",
  captionColumns: { captioning: "Captioning", jobs: "Jobs", ended: "Ended", succeeded: "Succeeded", rate: "Success" },
  noRate: "none has ended",
  sizes: "Time by size of the dataset",
  sizeColumns: { size: "Images", jobs: "Trainings", seconds: "Time", perStep: "Per step" },
  size: (least, most) => (most === null ? `${least} or more` : most === least ? String(least) : `${least} to ${most}`),
  sizeSummary: (n) => `${n} trainings by images and time; each leads to its job.`,
  sizeAxis: "images",
  point: (images, time) => `${images} images, ${time}`,
  pointColumns: { job: "Job", images: "Images", steps: "Steps", seconds: "Seconds" },
  failures: "Why jobs fail",
  failureColumns: { reason: "Reason", jobs: "Jobs", share: "Of all failures", last: "Last" },
  alerts: "Alerts",
};

export const usage = {
  title: "Usage · Thornback",
  heading: "Usage and cost",
  none: "Nothing was used in this time",
  noneText: "Choose a longer period, or start a job.",
  settled: "Settled with providers",
  estimated: "Estimated, not settled yet",
  unknown: "Cost not known",
  hours: "Device-hours of this cluster",
  orders: (n) => (n === 1 ? "1 order" : `${n.toLocaleString()} orders`),
  ended: (n) => (n === 1 ? "1 job that ended" : `${n.toLocaleString()} jobs that ended`),
  running: (n) => (n === 1 ? "1 more runs and is not counted yet" : `${n.toLocaleString()} more run and are not counted yet`),
  notKnown: "not known",
  by: { day: "By day", user: "By user", kind: "By kind", backend: "By backend" },
  name: { day: "Day", user: "User", kind: "Kind", backend: "Runs on" },
  columns: { jobs: "Jobs", settled: "Settled", estimated: "Estimated", unknown: "Not known", hours: "Device-hours" },
  daySummary: (n) => `Settled and estimated cost of ${n} days; the table below has the values.`,
  note: "Times are from the first start to the end of a job, times the devices that it asked for. A job of several steps costs what its parts cost, which are listed as jobs of their own. Days are those of the jobs' creation, in UTC.",
  all: "CSV of everything",
};

await localize("strings-report.js", { report, analytics, usage });
