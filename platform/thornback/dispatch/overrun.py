"""Looks after runs of our own that take longer than was set aside for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NoReturn, Protocol

from thornback.errors import ThornbackError
from thornback.jobs.state import MANY_STEPS, JobState
from thornback.log import get_logger
from thornback.metrics.port import Recorder
from thornback.settings import Settings
from thornback.spend.prices import Tariff
from thornback.spend.quotas import GoOn
from thornback.store.demand import used_by_then
from thornback.store.ledger import Balance

LOOK_EVERY_S = 15.0
# What is set aside has to last for a look, and for the run to end by itself after it.
_SPARE = timedelta(seconds=4 * LOOK_EVERY_S)
STEP = timedelta(minutes=15)

log = get_logger("spend")


class RunningJobs(Protocol):
    """The part of the store that is read here."""

    def active(self) -> list[JobState]:
        """Jobs that are not final, or final and to be deleted. Blocks."""
        ...

    def held(self, job_ids: Sequence[str]) -> Mapping[str, Balance]:
        """What is set aside for each. Blocks."""
        ...


class OverrunWatch:
    """One per platform. What becomes of a run is decided by the writer, in one transaction with all other money."""

    def __init__(
        self, *, recorder: Recorder, reader: RunningJobs, settings: Settings, now: Callable[[], datetime]
    ) -> None:
        self._recorder, self._reader, self._now = recorder, reader, now
        self._tariff = Tariff.of(settings)
        self._ahead = _SPARE + timedelta(seconds=settings.cancel_grace_s)
        self._may_exceed = settings.quota_overrun == "finish"

    async def run(self) -> NoReturn:
        """Look for ever."""
        while True:
            try:
                await self.look()
            except ThornbackError as error:
                log.warning("cannot look after what runs cost now", reason=error.message)
            except Exception:
                # A fault in one look must not end the watch, nor what runs beside it.
                log.exception("looking after what runs cost went wrong")
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> list[str]:
        """Look once. Returns the jobs that needed more, whether they got it or are asked to end."""
        now = self._now()
        jobs = [job for job in await asyncio.to_thread(self._reader.active) if _runs_here(job)]
        held = await asyncio.to_thread(self._reader.held, [job.id for job in jobs]) if jobs else {}
        needed = []
        for job in jobs:
            used = used_by_then(job, self._tariff, now + self._ahead)
            has = held[job.id]
            if used.micro_usd <= has.micro_usd and used.gpu_ms <= has.gpu_ms:
                continue
            change = GoOn(job_id=job.id, at=now, ahead=self._ahead, step=STEP, may_exceed=self._may_exceed)
            if await self._recorder.administer(change):
                needed.append(job.id)
        return needed


def _runs_here(job: JobState) -> bool:
    goes_on = job.final is None and not job.cancel_requested and job.started_at is not None
    return goes_on and job.backend == "ray" and job.kind not in MANY_STEPS
