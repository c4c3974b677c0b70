"""Jobs that are parts of another job: they end with it, and go with it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from thornback.jobs.events import EventFactory, JobEvent
from thornback.jobs.state import JobState

# Whose wish it is, where nobody asked for the part itself.
USER = "dispatcher"


def ends(jobs: Iterable[JobState], *, at: datetime) -> list[JobEvent]:
    """Cancels for the parts of jobs that have ended, or that are asked to end.

    Args:
        jobs: all that have not ended, read in one go: a part is never there before its parent.
        at: the present time.
    """
    jobs = list(jobs)
    going_on = {job.id for job in jobs if job.final is None and not job.cancel_requested}
    return [
        EventFactory(job.id).cancel_requested(user=USER, at=at)
        for job in jobs
        if job.parent_id is not None
        and job.parent_id not in going_on
        and job.final is None
        and not job.cancel_requested
    ]


def cancels(parts: Iterable[JobState], *, at: datetime) -> list[JobEvent]:
    """What has to be recorded before the job is cancelled that `parts` belong to."""
    return [
        EventFactory(job.id).cancel_requested(user=USER, at=at)
        for job in parts
        if job.final is None and not job.cancel_requested
    ]


def deletions(parts: Iterable[JobState], *, at: datetime) -> list[JobEvent]:
    """What has to be recorded before the job goes that `parts` belong to."""
    return [
        EventFactory(job.id).cancel_requested(user=USER, at=at, delete=True)
        for job in parts
        if not job.delete_requested
    ]
