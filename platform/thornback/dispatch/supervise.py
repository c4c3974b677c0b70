"""What one job needs next, from what the database and its backend say of it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from thornback.backends.port import BackendState, Phase
from thornback.jobs.state import PHASE_SCHEDULED, JobState
from thornback.jobs.status import JobStatus


class Step(StrEnum):
    """What to do with a job."""

    QUEUE = "queue"  # it waits for its turn
    SUBMIT = "submit"  # it was scheduled, and the backend knows nothing of it
    LEAVE = "leave"  # all is well
    STOP = "stop"  # its processes have to end
    CANCEL = "cancel"  # nothing of it runs, and it was asked to end
    LOST = "lost"  # nothing of it runs, and it has not ended
    PURGE = "purge"  # it has ended, and its rows and files have to go


def attempt_of(job: JobState) -> int:
    """The attempt that is waiting or running, 1 for a new job."""
    return max(job.attempt, 1)


def is_launched(job: JobState) -> bool:
    """True where the present attempt was handed to its backend."""
    return job.mark.phase >= PHASE_SCHEDULED


def next_step(
    job: JobState,
    seen: BackendState,
    *,
    cancel_seen_at: datetime | None,
    now: datetime,
    grace_s: float,
    takes_up: bool = False,
) -> Step:
    """Decide for one job that has not ended, or has ended and is to be deleted.

    Args:
        job: as committed. It has to be read after `seen`: a driver commits its end before it exits, so
            an end that the backend shows is then in the state.
        seen: what the backend says of the job's present attempt.
        cancel_seen_at: when the wish to cancel was first seen, None where there is none.
        now: the present time.
        grace_s: a running job may end by itself for so long before it is stopped.
        takes_up: see `Backend.takes_up`.
    """
    if job.final is not None:
        return Step.STOP if seen.phase.is_alive else Step.PURGE
    if not is_launched(job):
        if job.cancel_requested:
            return Step.CANCEL
        return Step.LEAVE if job.is_parked else Step.QUEUE
    if takes_up and seen.phase is Phase.UNKNOWN:
        return Step.SUBMIT  # a cancel too is for whoever knows what was ordered
    if seen.phase is Phase.STOPPED:
        return Step.CANCEL  # by us, or by an operator with Ray's own tools
    if job.cancel_requested:
        if not seen.phase.is_alive:
            return Step.CANCEL
        patient = job.status is JobStatus.RUNNING and cancel_seen_at is not None
        if patient and cancel_seen_at is not None and abs(now - cancel_seen_at) < timedelta(seconds=grace_s):
            return Step.LEAVE
        return Step.STOP
    if seen.phase.is_alive:
        return Step.LEAVE
    if seen.phase is Phase.UNKNOWN and job.status is not JobStatus.RUNNING:
        return Step.SUBMIT
    return Step.LOST
