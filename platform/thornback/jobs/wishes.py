"""What people can ask of a running job beside its end."""

from __future__ import annotations

from enum import StrEnum

from thornback.errors import Conflict, JobIsFinal
from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus

# The kinds of jobs, and what runs them, that listen.
_LISTENERS = frozenset({("lora", "ray")})


class Wish(StrEnum):
    """What is to be done after the present step."""

    SAVE = "save"  # a checkpoint and its files; the run goes on
    SAMPLE = "sample"  # pictures; the run goes on
    FINISH = "finish"  # end here and publish what there is


def check_wish(wish: Wish, job: JobState) -> None:
    """Refuse what a job would not hear.

    Raises:
        JobIsFinal: it has ended.
        Conflict: jobs of this kind do not listen, or it does not run, or it is about to end.
    """
    if (job.kind, job.backend) not in _LISTENERS:
        raise Conflict(
            f"{wish} is only for LoRA trainings on this cluster; job {job.id} is of kind {job.kind} on {job.backend}",
            job_id=job.id,
        )
    if job.status.is_final:
        raise JobIsFinal(f"job {job.id} is {job.status}; only a running job can be asked to {wish}", job_id=job.id)
    if job.cancel_requested:
        raise Conflict(f"job {job.id} is being cancelled; it takes no other requests", job_id=job.id)
    if job.status is not JobStatus.RUNNING:
        raise Conflict(f"job {job.id} is {job.status}; ask it to {wish} once it runs", job_id=job.id)
