"""From a video to a version of a LoRA: fetch, frames, dataset, training (a job of its own), version."""
