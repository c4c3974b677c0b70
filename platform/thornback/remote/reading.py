"""From the sightings of one training to what is shown of it: new text, steps, progress, time left."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from thornback.jobs.state import JobState
from thornback.providers.entry import Trainer
from thornback.providers.port import OrderPhase, Sighting
from thornback.remote.desk import Desk

Row = tuple[int, Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A point of progress."""

    percent: float
    origin: str  # reported, parsed or estimated
    eta_s: float | None


class Reading:
    """Of one training."""

    def __init__(self, job: JobState) -> None:
        self._whole = ""
        self._percent = job.progress

    @classmethod
    async def open(cls, desk: Desk, job: JobState, trainer: Trainer | None) -> Self:
        """Raises StoreUnavailable."""
        await asyncio.sleep(0)
        return cls(job)

    def new_of(self, logs: str, *, skip: int) -> str:
        """What a whole log adds to the one before."""
        new = logs[len(self._whole) :]
        self._whole = logs
        return new[skip:]

    def take_rows(self) -> Sequence[Row]:
        return []

    def progress(self, sighting: Sighting, *, at: datetime) -> Shown | None:
        if sighting.phase is OrderPhase.STARTING:
            return None
        return None

    def saving(self) -> Shown:
        return Shown(95.0, "reported", None)
