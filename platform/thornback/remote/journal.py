"""What one job's page shows while it runs at a provider: log, stage, progress, time left, curves.

Its events are numbered so that a tracker that begins anew goes on where the last one was killed: the lines
of the provider's log by the characters taken, the rest by the time.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from thornback.jobs.events import EventFactory, JobEvent
from thornback.jobs.state import JobState
from thornback.providers.entry import Trainer
from thornback.providers.port import OrderPhase, Sighting
from thornback.remote.desk import Desk
from thornback.remote.interpret import ATTEMPT
from thornback.remote.reading import Reading, Shown

PROVIDER_RANK = 0  # whose lines are the provider's
OUR_RANK = -1

MAX_LINES = 500  # of one event
TAIL = 5000  # lines in which the last of the provider's is looked for, behind many of our own
MAX_LINE = 10_000  # characters

_LINE_END = re.compile(r"(?<=[\r\n])")
STAGES = ("starting", "training", "saving")


@dataclass(slots=True)
class _Cut:
    """How much of the provider's log is taken down."""

    taken: int  # characters
    held: str = ""  # the beginning of a line whose end has not come


class Journal:
    """One job's."""

    def __init__(self, job: JobState, reading: Reading, *, taken: int = 0) -> None:
        """`taken`: characters of the provider's log that are in the database."""
        # A voice of its own for each life of the tracker, where numbers begin anew.
        self._ours = EventFactory(job.id, voice=uuid.uuid4().hex[:8])
        self._make = EventFactory(job.id, voice="provider")
        self._reading = reading
        self._cut = _Cut(taken)
        self._skip = taken
        self._said = 0
        self._last_said: str | None = None
        self._stage = STAGES.index(job.stage) if job.stage in STAGES else -1
        self._steps: set[int] = set()

    @classmethod
    async def open(cls, desk: Desk, job: JobState, trainer: Trainer | None) -> Self:
        """Read what was taken down before. Raises StoreUnavailable."""
        reading = await Reading.open(desk, job, trainer)
        chunks = await asyncio.to_thread(desk.reader.logs, job.id, tail=TAIL)
        taken = max((chunk.seq for chunk in chunks if chunk.rank == PROVIDER_RANK), default=0)
        return cls(job, reading, taken=taken)

    def take(self, sighting: Sighting, *, at: datetime) -> list[JobEvent]:
        """What a sighting adds: lines, steps, stage, progress. Empty where it adds nothing."""
        events: list[JobEvent] = []
        if sighting.logs is not None:
            events += self._lines(self._reading.new_of(sighting.logs, skip=self._skip, at=at), at)
            self._skip = 0
        events += self._curves(at)
        events += self.stage(sighting.phase, at=at)
        shown = self._reading.progress(sighting, at=at)
        if shown is not None:
            events.append(self._progress(shown, at))
        return events

    def stage(self, phase: OrderPhase, *, at: datetime) -> list[JobEvent]:
        """The stage that belongs to a phase, where it has not been told."""
        index = 0 if phase is OrderPhase.STARTING else 1
        return self._tell_stage(index, at)

    def saving(self, *, at: datetime) -> list[JobEvent]:
        """The provider is done, and the files are being fetched."""
        shown = self._reading.saving(at=at)
        return [*self._tell_stage(2, at), *([self._progress(shown, at)] if shown is not None else [])]

    def say(self, words: str | None, *, at: datetime) -> list[JobEvent]:
        """A line of our own; the same words again, and None, say nothing."""
        if words == self._last_said:
            return []
        self._last_said = words
        return [] if words is None else [self._own_line(words, at)]

    def close(self, *, at: datetime) -> list[JobEvent]:
        """The rest of the last line, and what stood in it."""
        self._reading.end(at)
        held, self._cut.held = self._cut.held, ""
        return [*(self._log_events([held], at) if held.strip() else []), *self._curves(at)]

    def _own_line(self, words: str, at: datetime) -> JobEvent:
        self._said += 1
        return self._ours.log(ATTEMPT, rank=OUR_RANK, seq=self._said, lines=[words[:MAX_LINE]], at=at)

    def _lines(self, text: str, at: datetime) -> list[JobEvent]:
        parts = _LINE_END.split(self._cut.held + text)
        self._cut.held = parts.pop()  # empty where the text ends with a line
        return self._log_events(parts, at)

    def _log_events(self, parts: list[str], at: datetime) -> list[JobEvent]:
        events: list[JobEvent] = []
        for start in range(0, len(parts), MAX_LINES):
            some = parts[start : start + MAX_LINES]
            self._cut.taken += sum(map(len, some))
            lines = _shown(some)
            if lines:
                events.append(self._make.log(ATTEMPT, rank=PROVIDER_RANK, seq=self._cut.taken, lines=lines, at=at))
        return events

    def _curves(self, at: datetime) -> list[JobEvent]:
        rows = [(step, values) for step, values in self._reading.take_rows() if step not in self._steps]
        self._steps |= {step for step, _ in rows}
        # the run has no epochs, so that its steps are batches of the first
        return [self._make.metrics(epoch=1, batch=step, phase="train", values=values, at=at) for step, values in rows]

    def _tell_stage(self, index: int, at: datetime) -> list[JobEvent]:
        if index <= self._stage:
            return []
        self._stage = index
        return [self._make.stage(ATTEMPT, index=index, name=STAGES[index], at=at)]

    def _progress(self, shown: Shown, at: datetime) -> JobEvent:
        return self._make.progress(
            ATTEMPT,
            seq=int(at.timestamp() * 1000),
            percent=shown.percent,
            epoch=0,
            total_epochs=0,
            eta_seconds=shown.eta_s,
            origin=shown.origin,
            at=at,
        )


def _shown(parts: list[str]) -> list[str]:
    """Lines as a terminal would leave them: of bars drawn over each other the last."""
    lines: list[str] = []
    drawn_over = False
    for part in parts:
        line = part.rstrip("\r\n")[:MAX_LINE]
        if drawn_over and lines and line:
            lines.pop()
        drawn_over = part.endswith("\r") and bool(line)
        if line:
            lines.append(line)
    return lines
