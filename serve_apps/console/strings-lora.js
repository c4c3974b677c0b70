// The words of the parts that only LoRA trainings on this cluster show; they are fetched with these parts.
import { localize } from "./language.js";

export const samples = {
  heading: "Samples",
  newest: (step) => `newest at step ${step.toLocaleString()}`,
  none: "The first pictures appear here.",
  step: (step) => `Step ${step.toLocaleString()}`,
  prompt: (n) => `Prompt ${n}`,
  alt: (step, prompt) => `Sample at step ${step}: ${prompt}`,
  older: (n) => `${n} older`,
};

export const wishes = {
  save: { label: "Save now", help: "A checkpoint and its LoRA file after the present step" },
  sample: { label: "Sample now", help: "Pictures of the sample prompts after the present step" },
  finish: { label: "Stop and keep", help: "End after the present step and keep the result" },
  asked: (what, time) => `“${what}” was asked for at ${time}; it is done after the present step.`,
  finishTitle: "Stop and keep the result?",
  finishText: (name) => `“${name}” ends after the present step, and what it has learned so far is published.`,
  goOn: "Train on",
};

export const keepVersion = {
  make: "Make a model version",
  help: "Keep the trained file as the next version of a model",
  title: "Make this a version of a model",
  explain: "The trained file is copied and becomes the model's next version. It stays when the job is deleted.",
  model: "Model",
  nameHelp: "A new name, or that of a model that there is: letters, digits, dot, dash and underscore.",
  next: (model) => `It becomes the next version of ${model}.`,
  made: (model, version) => `Version ${version} of ${model}`,
};

await localize("strings-lora.js", { samples, wishes, keepVersion });
