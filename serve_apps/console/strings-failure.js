// What to do about a job that failed, and the way to Ray; fetched with these parts.
import { localize } from "./language.js";

export const failure = {
  why: "Why it failed",
  todo: "What to do",
  log: "The end of its log",
  logNone: "It printed nothing.",
  retry: "Try it again",
  retrying: "Starting…",
  retryFrom: "As a new job, from its last checkpoint where there is one",
  like: "Change it and start anew",
  training: "The training of this job",
  does: {
    invalid_data: "Mend the dataset that the message names, then start it again. A retry without that ends the same way.",
    weights_unavailable: "Check the name of the model and that this machine reaches where it is kept, or give a folder that has it.",
    impossible_resources: "Ask for fewer devices or cores, or add a machine that has them.",
    out_of_memory: "Use a smaller batch, a smaller model, or a lower resolution; for LoRA also gradient checkpointing.",
    diverged: "Lower the learning rate, or warm up for longer.",
    exception: "The end of the log names the line. Retry where it was a passing fault; else change what it names.",
    exit_code: "The end of the log says how far it came. Retry; if it ends the same way, lower the memory that it needs.",
    worker_lost: "Retry: it goes on from its last checkpoint. If workers vanish again and again, look for a lack of memory.",
    node_lost: "Retry once the machine is back or another one has room: it goes on from its last checkpoint.",
    driver_lost: "Retry: it goes on from its last checkpoint.",
    submit_failed: "Look whether Ray is well, then retry.",
    provider_refused: "Check what the message names: the inputs, the key, the credit at the provider.",
    provider_failed: "The provider's own log says why. Change what it names, then order again.",
    provider_lost: "Look at the provider's page whether it was made; if not, order again.",
    output_lost: "Its files may still be at the provider: press “Sync now”, or fetch them there.",
    provider_cancelled: "Order again if nobody meant to end it.",
    moved: "Nothing: it goes on from its checkpoint as soon as there is room.",
    quota_reached: "Ask an admin to lift the quota, or wait until it begins anew; then retry: it goes on from its last checkpoint.",
    part_cancelled: "Start it again; what was done before the training is not done twice.",
    other: "Read the message and the end of the log, then retry.",
  },
};

export const ray = {
  link: "Ray dashboard",
  help: "This job on the dashboard of Ray, in a new tab",
};

await localize("strings-failure.js", { failure, ray });
