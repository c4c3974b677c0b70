"""What the recorder's commits say of the platform, as metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from thornback.jobs.events import EventKind
from thornback.jobs.state import JobState
from thornback.metrics.port import StreamEvent
from thornback.telemetry import catalogue, traces

_FIRST_RUN = (1, 0)


def measure(events: Sequence[StreamEvent], jobs: Mapping[str, JobState]) -> None:
    """Count what was committed.

    Args:
        events: new ones; repeats were dropped, so nothing is counted twice.
        jobs: as they are after the commit.
    """
    for kind, count in Counter(event.kind for event in events).items():
        catalogue.EVENTS.add(count, kind=kind.value)
    for event in events:
        if event.kind.is_final:
            _ended(event, jobs.get(event.job_id))
        elif event.kind is EventKind.STARTED:
            _started(event, jobs.get(event.job_id))
        elif event.kind is EventKind.ITEM and event.data.get("via") == "webhook":
            _heard(event, jobs.get(event.job_id))


def _ended(event: StreamEvent, job: JobState | None) -> None:
    if job is None or job.final is None:
        return
    reason = "none" if job.failure is None else job.failure.value
    catalogue.JOBS_ENDED.add(kind=job.kind, backend=job.backend, status=job.final.value, reason=reason)


def _started(event: StreamEvent, job: JobState | None) -> None:
    """The first word of the first run; later ones waited for other things."""
    is_first = (event.data.get("attempt"), event.data.get("restart")) == _FIRST_RUN
    if is_first and job is not None and job.created_at is not None:
        waited_s = (event.at - job.created_at).total_seconds()
        catalogue.START.observe(waited_s, kind=job.kind, backend=job.backend)


def _heard(event: StreamEvent, job: JobState | None) -> None:
    """A webhook of a provider, from its arrival to its commit, in the trace of its job."""
    if job is None or job.traceparent is None or not traces.is_on():
        return
    now = datetime.now(UTC)
    at = event.data.get("heard_at")
    heard = datetime.fromisoformat(at) if isinstance(at, str) else now
    about = {"provider": str(event.data.get("provider")), "status": str(event.data.get("status"))}
    traces.past("webhook", parent=job.traceparent, start=heard, end=now, about=about)
