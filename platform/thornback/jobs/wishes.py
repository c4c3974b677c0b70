"""What people can ask of a running job beside its end."""

from __future__ import annotations

from enum import StrEnum

from thornback.errors import Conflict, JobIsFinal
from thornback.jobs.state import APPROVAL, JobState
from thornback.jobs.status import JobStatus
from thornback.jobs.video_lora import is_in_review


class Wish(StrEnum):
    """What is to be done after the present step."""

    SAVE = "save"  # a checkpoint and its files; the run goes on
    SAMPLE = "sample"  # pictures; the run goes on
    FINISH = "finish"  # end here and publish what there is
    APPROVE = APPROVAL  # train on the dataset as it is now; for a pipeline that waits for review


_OWN_TRAINING = frozenset({("lora", "ray")})
_FROM_VIDEO = frozenset((("video_lora", "fal"), ("video_lora", "replicate"), ("video_lora", "ray")))

# Who listens to what: kinds of jobs, and what runs them.
_LISTENERS = {Wish.APPROVE: _FROM_VIDEO}
_WHO = {Wish.APPROVE: "pipelines from a video"}


def check_wish(wish: Wish, job: JobState) -> None:
    """Refuse what a job would not hear.

    Raises:
        JobIsFinal: it has ended.
        Conflict: jobs of this kind do not listen, or not now, or it is about to end.
    """
    if (job.kind, job.backend) not in _LISTENERS.get(wish, _OWN_TRAINING):
        who = _WHO.get(wish, "LoRA trainings on this cluster")
        raise Conflict(
            f"{wish} is only for {who}; job {job.id} is of kind {job.kind} on {job.backend}",
            job_id=job.id,
        )
    if job.status.is_final:
        raise JobIsFinal(f"job {job.id} is {job.status}; only a running job can be asked to {wish}", job_id=job.id)
    if job.cancel_requested:
        raise Conflict(f"job {job.id} is being cancelled; it takes no other requests", job_id=job.id)
    if wish is Wish.APPROVE:
        if not is_in_review(job.kind, job.stage):
            raise Conflict(f"job {job.id} does not wait for review, but is {job.stage or 'starting'}", job_id=job.id)
    elif job.status is not JobStatus.RUNNING:
        raise Conflict(f"job {job.id} is {job.status}; ask it to {wish} once it runs", job_id=job.id)
