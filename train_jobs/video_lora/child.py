"""The training of a pipeline: a job of its own in the platform's queue, made once, followed to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import anyio

from thornback.errors import JobNotFound, ThornbackError, TrainingFailed, Unavailable
from thornback.jobs.events import EventFactory
from thornback.jobs.spec import JobSpec
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason, JobStatus
from thornback.jobs.video_lora import training_id
from thornback.log import get_logger
from thornback.metrics.port import NewJob, Recorder

log = get_logger("pipeline")

LOOK_S = 1.0
AWAY_S = 600.0  # the recorder may be away for so long before the pipeline gives up


class Child:
    """The training of one pipeline."""

    def __init__(self, recorder: Recorder, parent: JobState, *, look_s: float = LOOK_S) -> None:
        self._recorder, self._parent, self._look_s = recorder, parent, look_s
        self.id = training_id(parent.id)

    async def create(self, spec: JobSpec) -> None:
        """Make it where it was never made. The id is always the same, so a second call makes nothing."""
        await self._recorder.create(
            NewJob(
                job_id=self.id,
                spec=spec.model_dump(mode="json"),
                user=self._parent.user,
                team=self._parent.team,
                at=datetime.now(UTC),
                parent_id=self._parent.id,
            )
        )

    async def follow(self, tell: Callable[[JobState], None]) -> JobState:
        """Until it has completed; `tell` hears each look at it.

        Raises:
            TrainingFailed: it failed, was cancelled or deleted; says why.
            Unavailable: the recorder was away for too long.
        """
        while True:
            job = await self._look()
            tell(job)
            if job.status is JobStatus.COMPLETED:
                return job
            if job.status.is_final:
                raise _end(job)
            await anyio.sleep(self._look_s)

    async def cancel(self) -> None:
        """Ask it to end, where it was made. The dispatcher sees to it as well, so a fault here is only noted."""
        try:
            event = EventFactory(self.id).cancel_requested(user=self._parent.user, at=datetime.now(UTC))
            await self._recorder.record([event])
        except ThornbackError as error:
            log.warning("the training cannot be cancelled from here", job_id=self.id, error=error.message)

    async def _look(self) -> JobState:
        async def look() -> JobState:
            return await self._recorder.job(self.id)

        try:
            return await outlast(look, for_s=AWAY_S, pause_s=self._look_s)
        except JobNotFound:
            raise TrainingFailed(
                f"the training {self.id} was deleted; start the pipeline again",
                reason=FailureReason.PART_CANCELLED.value,
                retryable=False,
            ) from None


async def outlast(call: Callable[[], Awaitable[JobState]], *, for_s: float, pause_s: float) -> JobState:
    """Call again while what is asked is away. Raises Unavailable after `for_s` seconds."""
    give_up = anyio.current_time() + for_s
    while True:
        try:
            return await call()
        except Unavailable:
            if anyio.current_time() > give_up:
                raise
        await anyio.sleep(pause_s)


def stage_text(job: JobState) -> str:
    """What the pipeline shows while its training is like this."""
    if job.status.is_waiting:
        return f"training: {job.waits_for}" if job.waits_for else "training: in the queue"
    return f"training: {job.stage}" if job.stage not in (None, "training") else "training"


def seconds_left(job: JobState, now: datetime) -> float | None:
    """What the training says is left of itself, None where it says nothing."""
    return None if job.eta_at is None or job.status.is_final else max(0.0, (job.eta_at - now).total_seconds())


def _end(job: JobState) -> TrainingFailed:
    reason = job.failure or FailureReason.PART_CANCELLED
    how = job.error_message or ("it was cancelled" if job.status is JobStatus.CANCELLED else f"it is {job.status}")
    return TrainingFailed(f"{how} (training {job.id})", reason=reason.value, retryable=False)
