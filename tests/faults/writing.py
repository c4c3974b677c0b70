"""Runs that report without pause, repeat what was not acknowledged, and remember what was."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from datetime import UTC, datetime

from tests.faults.plan import RETRIES
from thornback.errors import StoreUnavailable, Unavailable
from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.spec import parse_spec
from thornback.metrics.local import LocalRecorder
from thornback.metrics.port import NewJob
from thornback.store.read import StoreReader

_AGAIN_S = 0.02
FIRST = Attempt()


class Run:
    """One job's reports."""

    def __init__(self, recorder: LocalRecorder) -> None:
        self.job_id = str(uuid.uuid4())
        self.acknowledged = 0
        self.refused = 0
        self._recorder = recorder
        self._events = EventFactory(self.job_id)

    async def begin(self) -> None:
        """Make the job."""
        spec = parse_spec({"job_name": "storm", "max_retries": RETRIES, "config": {"epochs": 1000}})
        await self._recorder.create(
            NewJob(job_id=self.job_id, spec=spec.model_dump(mode="json"), user="ada", at=datetime.now(UTC))
        )

    async def report(self, over: asyncio.Event) -> None:
        """An epoch after the other, each until it is acknowledged."""
        while not over.is_set():
            at = datetime.now(UTC)
            epoch = self.acknowledged + 1
            row = self._events.metrics(epoch=epoch, batch=None, phase="val", values={"val_loss": 1 / epoch}, at=at)
            lines = self._events.log(FIRST, rank=0, seq=epoch, lines=["x" * 2000], at=at)
            while not await self._taken([row, lines]):
                await asyncio.sleep(_AGAIN_S)
                if over.is_set():
                    return
            self.acknowledged = epoch

    async def _taken(self, events: list[JobEvent]) -> bool:
        try:
            await self._recorder.record(events)
        except (StoreUnavailable, Unavailable):
            self.refused += 1
            return False
        return True


def lost_or_doubled(run: Run, reader: StoreReader) -> list[str]:
    """What a run was told is there, and is not, or twice. One more may be there: its answer was lost."""
    epochs = Counter(row.epoch for row in reader.metrics(run.job_id, limit=100_000))
    wanted = set(range(1, run.acknowledged + 1))
    found = [f"epoch {epoch} of {run.job_id} is lost" for epoch in sorted(wanted - epochs.keys())]
    found += [f"epoch {epoch} of {run.job_id} is there {n} times" for epoch, n in epochs.items() if n > 1]
    return found + [f"epoch {epoch} was never said" for epoch in epochs.keys() - wanted - {run.acknowledged + 1}]
