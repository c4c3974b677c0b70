"""What a look of the dispatcher says of the platform, as metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from thornback.backends.port import Survey
from thornback.jobs.state import JobState
from thornback.telemetry import catalogue, traces

_OWN = "ray"  # the backend whose machines are ours


def measure_queue(backend: str, waiting: Sequence[JobState], running: int, *, now: datetime) -> None:
    """Tell how many jobs of a backend wait and run, and how long the oldest has waited."""
    born = [job.created_at for job in waiting if job.created_at is not None]
    oldest_s = max(0.0, (now - min(born)).total_seconds()) if born else 0.0
    catalogue.QUEUE_JOBS.set(len(waiting), backend=backend)
    catalogue.RUNNING_JOBS.set(running, backend=backend)
    catalogue.QUEUE_OLDEST.set(oldest_s, backend=backend)


def measure_launch(job: JobState, *, attempt: int, at: datetime) -> None:
    """Tell how long a job has waited for its first launch; a later one waited for other things."""
    if attempt == 1 and job.created_at is not None:
        waited_s = (at - job.created_at).total_seconds()
        catalogue.QUEUE_WAIT.observe(waited_s, kind=job.kind, backend=job.runner)
        about = {"thornback.job_id": job.id, "backend": job.runner}
        traces.past("queue", parent=job.traceparent, start=job.created_at, end=at, about=about)


def measure_look(surveys: Mapping[str, Survey], *, took_s: float, paused: bool, now: datetime) -> None:
    """Tell of a look that worked."""
    catalogue.LOOK.observe(took_s)
    catalogue.LAST_LOOK.set(now.timestamp())
    catalogue.QUEUE_PAUSED.set(float(paused))
    survey = surveys.get(_OWN)
    if survey is None:
        return
    for metric, total, free in (
        (catalogue.CPUS, survey.total.cpus, survey.free.cpus),
        (catalogue.GPUS, survey.total.gpus, survey.free.gpus),
    ):
        metric.set(total, state="total")
        metric.set(free, state="free")
