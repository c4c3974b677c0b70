"""What trainers print, in the forms of data that real ones have left behind."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from thornback.simulator.bar import draw

JOB_NAME = "flux_train_replicate"
_WEIGHTS = "https://weights.replicate.delivery/default/black-forest-labs/FLUX.1-dev/files.tar"

Timed = tuple[float, str]
"""How many provider seconds pass, and the line that is printed then."""


def loss_at(share: float, rng: random.Random) -> float:
    """A loss that falls as that of a LoRA does: quickly, then slowly, and never smoothly."""
    return (0.24 + 0.3 * math.exp(-4 * share)) * math.exp(rng.gauss(0, 0.12))


def pget_begin(now: datetime) -> str:
    """The first line of a training at Replicate."""
    return f"{now:%Y-%m-%dT%H:%M:%SZ} | INFO  | [ Initiating ] chunk_size=150M dest=. url={_WEIGHTS}"


def pget_end(now: datetime, seconds: float) -> tuple[str, str]:
    """The base weights are there."""
    done = f'[ Complete ] dest=. size="34 GB" total_elapsed={seconds:.3f}s url={_WEIGHTS}'
    return (
        f"{now:%Y-%m-%dT%H:%M:%SZ} | INFO  | {done}",
        f"Downloaded base weights in {seconds + 0.418:.12f} seconds",
    )


def captions(names: Sequence[str], trigger: str) -> Iterator[str]:
    """One line for each picture that had no caption."""
    for name in names:
        yield f"Caption for {name}: a photo of {trigger}"


def job(inputs: Mapping[str, Any], steps: int, images: int, setup_s: float) -> Iterator[Timed]:
    """From `Starting train job` to the first bar."""
    yield 0.0, "Starting train job"
    for line in _config(inputs, steps).splitlines():
        yield 0.0, line.strip()  # Replicate strips what indents a line
    yield 0.0, "Using EMA"
    for line in ("#" * 45, f"# Running job: {JOB_NAME}", "#" * 45, "", "Running  1 process"):
        yield 0.0, line
    parts = ("Loading Flux model", "Loading transformer", "Quantizing transformer", "Loading vae", "Loading t5")
    for part in parts:
        yield setup_s * 0.65 / len(parts), part
    for shard in range(3):
        yield setup_s * 0.05, draw("Loading checkpoint shards", shard, 2, shard * 1.5)
    yield 0.0, "Loading clip"
    yield setup_s * 0.05, f"Preprocessing dataset: input_images, {images} images"
    for done in range(images + 1):
        yield setup_s * 0.15 / (images + 1), draw("Caching latents", done, images, done * 0.21)


def _config(inputs: Mapping[str, Any], steps: int) -> str:
    rank = inputs.get("lora_rank", 16)
    config = {
        "type": "custom_sd_trainer",
        "training_folder": "output",
        "device": "cuda:0",
        "trigger_word": inputs.get("trigger_word", "TOK"),
        "network": {"type": "lora", "linear": rank, "linear_alpha": rank},
        "save": {"dtype": "float16", "save_every": steps + 1, "max_step_saves_to_keep": 1},
        "datasets": [
            {
                "folder_path": "input_images",
                "caption_ext": "txt",
                "caption_dropout_rate": inputs.get("caption_dropout_rate", 0.05),
                "cache_latents": True,
                "resolution": [int(side) for side in str(inputs.get("resolution", "512,768,1024")).split(",")],
            }
        ],
        "train": {
            "batch_size": inputs.get("batch_size", 1),
            "steps": steps,
            "optimizer": inputs.get("optimizer", "adamw8bit"),
            "lr": inputs.get("learning_rate", 4e-4),
        },
    }
    return json.dumps(config, indent=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a trainer goes through its steps."""

    steps: int
    step_s: float  # at the provider
    shown_s: float  # the same as its bar tells it
    every_s: float  # between two redraws, at the provider

    def stops(self) -> Iterator[tuple[int, float]]:
        """The steps at which the bar is redrawn, from 0 to the last, and the provider seconds before each."""
        stride = max(round(self.every_s / self.step_s), 1)
        last = 0
        for step in sorted({*range(0, self.steps, stride), self.steps // 2, self.steps}):
            yield step, (step - last) * self.step_s
            last = step


def replicate_bars(pace: Pace, rate: float, rng: random.Random) -> Iterator[Timed]:
    """ai-toolkit's bar."""
    for step, wait in pace.stops():
        tail = f"lr: {rate:.1e} loss: {loss_at(step / pace.steps, rng):.3e}"
        yield wait, draw(JOB_NAME, step, pace.steps, step * pace.shown_s, tail=tail)


def fal_bars(pace: Pace, rng: random.Random) -> Iterator[Timed]:
    """The plain bar that fal's trainers print, without a name."""
    for step, wait in pace.stops():
        tail = f"loss={loss_at(step / pace.steps, rng):.4f}"
        yield wait, draw("", step, pace.steps, step * pace.shown_s, tail=tail)


def fal_begin(names: Sequence[str]) -> Iterator[str]:
    """What comes before the bar at fal."""
    yield f"Downloaded {len(names)} images"
    yield "Loading base model"
    for done in range(3):
        yield draw("Loading pipeline components...", done, 2, done * 0.8)
    yield "Starting training"


TRACEBACK = (
    "Traceback (most recent call last):",
    'File "/usr/lib/python3/dist-packages/cog/server/worker.py", line 349, in _predict',
    "result = predict(**payload)",
    'File "/src/train.py", line 207, in train',
)
