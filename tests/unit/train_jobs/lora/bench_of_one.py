"""A run of the loop in this process, on latents that are made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tests.unit.train_jobs.lora.test_families import CPU, base_of
from thornback.jobs.own_lora import LoraConfig
from thornback.metrics.reporter import NullReporter
from train_jobs.common.group import Group
from train_jobs.lora import components
from train_jobs.lora.checkpoint import Snapshot
from train_jobs.lora.draws import generator_for, normal
from train_jobs.lora.examples import Examples, Latents, Shot
from train_jobs.lora.families.base import Conditioning, Frame
from train_jobs.lora.learner import Learner
from train_jobs.lora.loop import Order, Training
from train_jobs.lora.sampling import Sample

SIZE = 64
CAPTIONS = ("a red fox", "a blue boat")


class Encodings:
    """Encoded captions of the tiny model, and latents that are noise around a mean of their own."""

    def __init__(self, base: components.BaseModel, *, captions: Sequence[str] = ("", *CAPTIONS)) -> None:
        family = base.model_family
        pipe = components.load_text_pipeline(base, device=CPU, dtype=torch.float32)
        with torch.no_grad():
            self._texts = dict(zip(captions, family.encode_text(pipe, list(captions)), strict=True))
        vae: Any = components.load_vae(base, device=CPU, dtype=torch.float32)
        self.statistics: Mapping[str, Any] = family.statistics(vae)
        with torch.no_grad():
            self._shape = family.encode_images(vae, torch.zeros(1, 3, SIZE, SIZE)).mean.shape[1:]

    def latents(self, shot: Shot, crop: int) -> Latents:
        mean = normal(self._shape, generator_for(int(shot.image[:8], 16), crop))
        frame = Frame(original=(SIZE, SIZE), crop=(0, 0), target=(SIZE, SIZE))
        return Latents(mean=mean, std=torch.full_like(mean, 0.01), frame=frame)

    def text(self, caption: str) -> Conditioning:
        return self._texts[caption]


@dataclass
class Kept:
    """Checkpoints in memory, as they were at the time."""

    start: Snapshot | None = None
    saved: dict[str, Snapshot] = field(default_factory=dict)

    def load(self) -> Snapshot | None:
        return self.start

    def save(self, name: str, snapshot: Snapshot | None, *, score: float) -> None:
        if snapshot is not None:
            from copy import deepcopy

            self.saved[name] = deepcopy(snapshot)


class Rows(NullReporter):
    """What was reported."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[str, int | None, dict[str, float]]] = []

    def metrics(self, *, epoch: int, phase: str, values: Mapping[str, Any], batch: int | None = None) -> None:
        timeless = {name: float(value) for name, value in values.items() if not name.startswith("seconds_per_step")}
        self.rows.append((phase, batch, timeless))


class NoGallery:
    """Nobody looks."""

    def show(self, step: int, samples: Sequence[Sample]) -> None:
        raise AssertionError("no picture was asked for")


class NoShelf:
    """Files are not looked at."""

    def put(self, step: int, epochs: int, weights: Mapping[str, Any]) -> None:
        pass


def shot(number: int, caption: str = CAPTIONS[0]) -> Shot:
    return Shot(image=f"{number:064x}"[::-1], name=f"{number}.png", caption=caption, size=(SIZE, SIZE))


EXAMPLES = Examples(
    train=[shot(1), shot(2, CAPTIONS[1]), shot(3), shot(4, CAPTIONS[1]), shot(5)], val=[shot(6)], sha256="0" * 64
)


def config_of(**changes: Any) -> LoraConfig:
    values = {"base_model": "tiny", "dataset": "none", "resolution": [64], "rank": 4, "log_every_steps": 1}
    return LoraConfig.model_validate({**values, "save_every": 100, "validate_every": 0, **changes})


def run(
    folder: Path,
    name: str,
    config: LoraConfig,
    *,
    start: Snapshot | None = None,
    stop_at: int | None = None,
    examples: Examples = EXAMPLES,
    group: Group | None = None,
    shard: bool = False,
    text_pipe: Any = None,
) -> tuple[Training, Kept, Rows, Any]:
    """Train; returns the loop, its checkpoints, what it reported and its outcome."""
    base = base_of(folder, name)
    group = group or Group()
    denoiser, scheduler = components.load_denoiser(base, device=CPU, dtype=torch.float32)
    learner = Learner(
        config, base.model_family, denoiser, scheduler, group, autocast=None, shard=shard, text_pipe=text_pipe
    )
    kept, rows = Kept(start=start), Rows()
    training = Training(
        config,
        examples,
        Encodings(base),
        learner,
        group,
        rows,
        kept,
        sampler=None,
        gallery=NoGallery(),
        shelf=NoShelf(),
        wishes=lambda: Order.GO_ON,
        stop=lambda: training.state.step == stop_at,
    )
    return training, kept, rows, training.run()
