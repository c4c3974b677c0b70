"""Values as people read them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from thornback.jobs.status import JobStatus

STYLE: Mapping[JobStatus, str] = {
    JobStatus.QUEUED: "dim",
    JobStatus.PENDING: "yellow",
    JobStatus.RUNNING: "cyan",
    JobStatus.COMPLETED: "green",
    JobStatus.FAILED: "bold red",
    JobStatus.CANCELLED: "magenta",
}


def short_id(job_id: str) -> str:
    """The end of an id: ids begin with their time, so that those of one hour begin alike."""
    return job_id[-12:]


def number(value: float | None, *, digits: int = 4) -> str:
    """Significant digits; empty for None."""
    return "" if value is None else f"{value:.{digits}g}"


def percent(value: float | None) -> str:
    """A share of 1 as percent; empty for None."""
    return "" if value is None else f"{value * 100:.1f} %"


def duration(seconds: float) -> str:
    """`0:42`, `12:05`, `3:07:09`."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def local_time(at: datetime | None) -> str:
    """In the zone of this machine; empty for None."""
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
