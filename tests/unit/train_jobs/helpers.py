"""A run in one process: a small dataset, a small network, a reporter that remembers, a folder of checkpoints."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
import soundfile

from thornback.artifacts.files import locate
from thornback.datasets import AudioDataset, open_dataset
from thornback.jobs.convnext import TrainingConfig
from thornback.jobs.events import Attempt
from thornback.metrics.reporter import NullReporter
from train_jobs.common.choice import Choice
from train_jobs.common.group import Group
from train_jobs.common.snapshots import upload
from train_jobs.convnext.checkpoint import Snapshot, read_snapshot, write_snapshot
from train_jobs.convnext.choices import Choices
from train_jobs.convnext.loop import Outcome, Training
from train_jobs.convnext.plan import RunFolder, RunPlan

# 62 k parameters instead of atto's 3.4 million
TINY: dict[str, Any] = {"depths": (1, 1, 1, 1), "dims": (8, 16, 32, 64)}
RATE = 4000
HERTZ = {"low": 300.0, "middle": 700.0, "high": 1400.0}

# What differs between two runs of the same numbers.
MEASURED = ("images_per_second",)


def make_tones(folder: Path, *, clips: int = 8, seconds: float = 0.6) -> Path:
    """`clips` noisy tones of each of three pitches."""
    rng = np.random.default_rng(0)
    for label, hertz in HERTZ.items():
        (folder / label).mkdir(parents=True, exist_ok=True)
        for index in range(clips):
            time = np.arange(int(seconds * RATE)) / RATE
            wave = np.sin(2 * np.pi * hertz * rng.uniform(0.9, 1.1) * time) + rng.normal(0, 0.3, len(time))
            soundfile.write(folder / label / f"{index}.wav", 0.3 * wave, RATE)
    return folder


def small_config(data: Path | str, **changes: Any) -> TrainingConfig:
    """Half a second at 4 kHz: 32 mels by 32 frames."""
    values: dict[str, Any] = {
        "data": str(data),
        "model_architecture": "convnext_atto",
        "pretrained": False,
        "accelerator": "cpu",
        "num_workers": 0,
        "batch_size": 4,
        "epochs": 3,
        "warmup_epochs": 1,
        "learning_rate": 0.003,
        "sample_rate": RATE,
        "clip_seconds": 0.5,
        "n_fft": 256,
        "hop_length": 64,
        "n_mels": 32,
        "log_every_steps": 2,
        "early_stop_patience": 0,
        "validation_split": 0.25,
    }
    return TrainingConfig.model_validate(values | changes)


@dataclass
class Story(NullReporter):
    """Remembers what was reported."""

    rows: dict[tuple[str, int, int | None], dict[str, float]] = field(default_factory=dict)
    percents: list[float] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    end: tuple[Any, ...] | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def metrics(self, *, epoch: int, phase: str, values: Mapping[str, SupportsFloat], batch: int | None = None) -> None:
        row = {name: float(value) for name, value in values.items() if name not in MEASURED}
        self.rows.setdefault((phase, epoch, batch), row)  # the database drops repeats as well

    def progress(self, *, percent: float, epoch: int, total_epochs: int, eta_seconds: float | None) -> None:
        self.percents.append(percent)

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def describe(self, **facts: Any) -> None:
        self.facts |= facts

    def log(self, line: str) -> None:
        self.lines.append(line)


class Killed(BaseException):
    """Stands for kill -9: nothing gets to tidy up after it."""


class FolderCheckpoints:
    """Checkpoints as Ray Train keeps them: whole folders, the newest by the order of saving."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scores: list[tuple[str, float]] = []

    def load(self) -> Snapshot | None:
        newest = self.folder / "newest"
        return read_snapshot(locate(str(self.folder / newest.read_text()))) if newest.exists() else None

    def save(self, name: str, snapshot: Snapshot | None, *, score: float) -> None:
        assert snapshot is not None
        with tempfile.TemporaryDirectory() as temporary:
            write_snapshot(Path(temporary), snapshot)
            upload(Path(temporary), locate(str(self.folder / name)))
        (self.folder / "newest").write_text(name)
        self.scores.append((name, score))


OFF = Choice(False, "a test")
CHOICES = Choices(amp=OFF, channels_last=OFF, compile=OFF, threads=1, loader_processes=0, loader_reason="a test")


def make_training(
    config: TrainingConfig,
    folder: Path,
    *,
    story: Story | None = None,
    stop: Callable[[], bool] = lambda: False,
    dataset: AudioDataset | None = None,
) -> Training:
    """A training in this process; checkpoints in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = RunPlan(
        job_id=None,
        config=config,
        folder=RunFolder(uri=str(folder)),
        attempt=Attempt(),
        namespace="test",
        on_gpu=False,
        model_kwargs=TINY,
    )
    return Training(
        plan,
        dataset or open_dataset(config.data, config),
        CHOICES,
        Group(),
        story or Story(),
        FolderCheckpoints(folder),
        stop,
    )


def run(config: TrainingConfig, folder: Path, story: Story | None = None) -> tuple[Training, Outcome]:
    """Train from wherever the folder stands to the end."""
    training = make_training(config, folder, story=story)
    return training, training.run()
