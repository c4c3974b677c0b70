// The words of the form of a new job; they are fetched with it. `labels`, `main` and `long` only make it nicer:
// a kind or a field that is not named here has a label made of its name, and its help from its specification.
import { localize } from "./language.js";

export const newJob = {
  title: "New job · Thornback",
  heading: "New job",
  loading: "Loading what can be started…",
  failedToLoad: "What can be started could not be loaded",
  kind: "Kind of job",
  backend: "Where it runs",
  notSetUp: (name, setting) => `${name} is not set up here: set ${setting}. The form can be filled in all the same.`,
  kinds: { convnext: "ConvNeXt on audio", lora: "LoRA from pictures", image_set: "Image set", video_lora: "LoRA from a video", sweep: "Sweep of a training" },
  more: "More settings",
  changed: (n) => (n === 1 ? "1 changed" : `${n} changed`),
  general: "Queue and labels",
  required: "required",
  start: "Start",
  starting: "Starting…",
  arrival: "It starts by itself once the upload is there. Any change calls the start off.",
  callOff: "Do not start",
  waits: "Starts after the upload…",
  signIn: "Sign in and start",
  signInText: "The training starts by itself once you have signed in. What you filled in is kept.",
  toSignIn: "Sign in",
  clear: "Clear the form",
  refused: "It was not started",
  lookAt: (n) => (n === 1 ? "One field needs a look." : `${n} fields need a look.`),
  brought: "This is a copy of a job. What you had filled in before was put aside.",
  bringBack: "Bring it back",

  default: (value) => `default: ${value}`,
  unset: "default",
  choose: "Choose…",
  none: "none",
  yes: "yes",
  no: "no",
  off: "off",
  add: "Add",
  addValue: "Add a value",
  removeItem: (n) => `Remove entry ${n}`,
  item: (n) => `Entry ${n}`,
  nameOf: (n) => `Name ${n}`,
  valueOf: (n) => `Value ${n}`,
  name: "Name",
  value: "Value",
  oneALine: "One a line.",
  json: "A number, true, false, text, or JSON.",

  estimate: {
    heading: "Before you start",
    cost: "Cost",
    time: "Time",
    noCost: "nothing is billed",
    unknown: "not known yet",
    about: (what) => `about ${what}`,
    none: "Fill in what is required, and what it would cost and take stands here.",
    asking: "Asking…",
    origin: { history: "from past jobs", catalogue: "from the catalogue" },
  },

  copyAs: "The same as a command",
  snippets: { curl: "curl", python: "Python", cli: "CLI" },

  problems: {
    required: () => "Fill this in.",
    short: ({ least }) => `At least ${least} characters.`,
    long: ({ most }) => `At most ${most} characters.`,
    pattern: ({ pattern }) => `Must look like ${pattern}.`,
    number: () => "Must be a number.",
    numberOr: ({ words }) => `Must be a number or ${words.join(" or ")}.`,
    integer: () => "Must be a whole number.",
    range: ({ field }) => `Must be ${newJob.range(field)}.`,
    choice: ({ options }) => `Must be one of ${options.join(", ")}.`,
    few: ({ least }) => `At least ${least}.`,
    many: ({ most }) => `At most ${most}.`,
    unnamed: () => "Give it a name.",
    twice: ({ name }) => `“${name}” is there twice.`,
    json: () => "This is no JSON.",
    uploading: () => "The file is not there yet.",
    uploadRefused: () => "The file cannot be used.",
  },
  /** The limits of a number in words; "" where there are none. */
  range: ({ min, max, above, below }) => {
    const n = (value) => value.toLocaleString(undefined, { maximumSignificantDigits: 12 });
    const least = min !== undefined ? `at least ${n(min)}` : above !== undefined ? `more than ${n(above)}` : "";
    const most = max !== undefined ? `at most ${n(max)}` : below !== undefined ? `less than ${n(below)}` : "";
    if (min !== undefined && max !== undefined) return `${n(min)} to ${n(max)}`;
    return [least, most].filter(Boolean).join(" and ");
  },
};

// Better than the name with its underscores replaced.
export const labels = {
  job_name: "Name",
  data: "Dataset",
  video_url: "Video",
  n_mels: "Mel bands",
  n_fft: "FFT size",
  hop_length: "Hop length",
  min_snr_db: "Least SNR (dB)",
  amp: "Mixed precision",
  lr_scheduler: "Learning rate schedule",
  early_stop_patience: "Early stop after",
  max_retries: "Restarts at most",
  inputs: "Further inputs",
  ema_decay: "EMA decay",
  min_snr_gamma: "Min-SNR gamma",
  cpus_per_device: "CPUs per device",
};

// Shown first and in this order, whatever the kind; the rest is folded away.
export const main = [
  "job_name", "video_url", "data", "dataset", "base_model", "trainer", "model_architecture", "pretrained", "model", "character",
  "trigger_word", "captioning", "prompts", "prompt_template", "variables", "count", "epochs", "steps", "batch_size", "learning_rate",
  "rank", "review", "accelerator", "devices",
];

// Texts of several lines.
export const long = new Set(["prompt_template", "default_caption", "template", "prompts", "sample_prompts"]);

await localize("strings-new.js", { newJob, labels });
