"""From the sightings of one training to what is shown of it: new text, curves, progress, time left."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from thornback.jobs.eta import Eta, from_history
from thornback.jobs.lora import RemoteLoraConfig
from thornback.jobs.progress import USUAL_SECONDS, Origin, ProgressTracker, Stage
from thornback.jobs.state import JobState
from thornback.providers.entry import Trainer
from thornback.providers.port import OrderPhase, Sighting
from thornback.remote.desk import Desk
from thornback.trainlog.growing import GrowingLog
from thornback.trainlog.parser import LogParser
from thornback.trainlog.sample import Phase, Sample

Row = tuple[int, Mapping[str, float | None]]
Duration = tuple[int, float]  # steps, seconds

_LEAST_MOVE = 0.1  # percent that are worth an event


@dataclass(frozen=True, slots=True)
class Shown:
    """A point of progress."""

    percent: float  # 0 to 100 overall
    origin: str  # reported, parsed or estimated
    eta_s: float | None


class Reading:
    """Of one training."""

    def __init__(self, job: JobState, *, steps: int | None, usual_s: float, history: Sequence[Duration]) -> None:
        """What is known before the first line.

        Args:
            job: with the progress that was recorded before a restart.
            steps: that it will run, None where nobody knows.
            usual_s: what such a training takes.
            history: what others of the same trainer took.
        """
        self._log = GrowingLog()
        self._parser = LogParser(steps=steps)
        self._eta = Eta(steps)
        self._steps, self._history = steps, history
        self._rows: list[Row] = []
        self._progress = ProgressTracker(usual_seconds=usual_s)
        self._since = job.started_at
        if job.stage in (Stage.TRAINING, Stage.SAVING):
            origin = Origin(job.progress_origin) if job.progress else Origin.ESTIMATED
            self._progress.resume(job.progress, Stage(job.stage), job.started_at, origin)
        self._last: Shown | None = None

    @classmethod
    async def open(cls, desk: Desk, job: JobState, trainer: Trainer | None) -> Self:
        """Read what trainings of this trainer took before. Raises StoreUnavailable."""
        if trainer is None:
            return cls(job, steps=job.spec["config"].get("steps"), usual_s=USUAL_SECONDS, history=())
        config = RemoteLoraConfig.model_validate(job.spec["config"])
        history = await asyncio.to_thread(desk.reader.durations, desk.provider.name, trainer.name)
        return cls(job, steps=trainer.steps(config), usual_s=_usual_s(trainer, config, history), history=history)

    def new_of(self, logs: str, *, skip: int, at: datetime) -> str:
        """What a whole log adds to the one before; of the first, what stands behind the first `skip` characters."""
        if skip:
            self._feed(self._log.take(logs[:skip]), at)
        text = self._log.take(logs)
        self._feed(text, at)
        return text

    def end(self, at: datetime) -> None:
        """No more text will come."""
        self._use(self._parser.close(), at)

    def take_rows(self) -> list[Row]:
        """Steps with what was measured in them, once each."""
        rows, self._rows = self._rows, []
        return rows

    def progress(self, sighting: Sighting, *, at: datetime) -> Shown | None:
        """How far it is, None where that is nothing new."""
        if sighting.phase.is_over:
            return None
        if sighting.phase is OrderPhase.PROCESSING:
            self._since = self._since or sighting.started_at or at
            self._progress.enter(Stage.TRAINING, sighting.started_at or at)
        else:
            self._progress.enter(Stage.STARTING, sighting.created_at or at)
        return self._show(at)

    def saving(self, *, at: datetime) -> Shown | None:
        """The provider is done; the files are being fetched."""
        self._progress.enter(Stage.SAVING, at)
        return self._show(at)

    def _feed(self, text: str, at: datetime) -> None:
        if text:
            self._use(self._parser.feed(text), at)

    def _use(self, samples: Sequence[Sample], at: datetime) -> None:
        for sample in samples:
            if sample.phase is Phase.TRAINING:
                self._train(sample, at)
            elif sample.phase.is_preparation:
                self._progress.preparing()

    def _train(self, sample: Sample, at: datetime) -> None:
        if sample.moves_training and sample.percent is not None:
            self._progress.training(sample.percent, at)
        if sample.done is None:
            return
        self._eta.add(sample.done, at, sample.of)
        values = {"train_loss": sample.loss, "learning_rate": sample.lr}
        told = {name: value for name, value in values.items() if value is not None}
        if told:
            self._rows.append((sample.done, told))

    def _show(self, at: datetime) -> Shown | None:
        point = self._progress.point(at)
        last = self._last
        if last is not None and last.origin == point.origin and abs(point.percent - last.percent) < _LEAST_MOVE:
            return None
        self._last = Shown(point.percent, point.origin.value, self._left(at))
        return self._last

    def _left(self, at: datetime) -> float | None:
        own = self._eta.estimate(at)
        if own is not None:
            return own.seconds
        if self._steps is None:
            return None
        elapsed = (at - self._since).total_seconds() if self._since is not None else 0.0
        before = from_history(self._history, self._steps, max(elapsed, 0.0))
        return None if before is None else before.seconds


def _usual_s(trainer: Trainer, config: RemoteLoraConfig, history: Sequence[Duration]) -> float:
    """What others took, else what the catalogue says; time grows with the steps."""
    steps = trainer.steps(config)
    if steps is None:
        return trainer.typical_s
    before = from_history(history, steps)
    if before is not None:
        return before.seconds
    usual = trainer.steps(config.model_copy(update={"steps": None, "inputs": {}}))
    return trainer.typical_s * steps / usual if usual else trainer.typical_s
