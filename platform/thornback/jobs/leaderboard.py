"""The leaderboard of a sweep: what each trial tried, what came of it, and which is the best. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from math import inf, isfinite
from typing import Any

from thornback.errors import Conflict, InvalidInput
from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus
from thornback.jobs.sweep import FACT_RESULT, FACT_TRIAL

_NAMED = re.compile(r"\(trial (\d{1,6})\)$")  # see SweepSpec.trial


class TrialState(StrEnum):
    """How a trial stands. One that the sweep ended early is no failure."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial of a sweep. Steps and epochs are counted in the sweep's unit."""

    number: int  # from 1, in the order in which they were made
    job: JobState  # the newest: a trial that goes on from another's checkpoint does so as a new job
    earlier: Sequence[JobState]  # its jobs before that
    state: TrialState
    why: str | None  # it was stopped or failed
    parameters: Mapping[str, Any]  # by dotted name
    value: float | None  # the best of the metric so far
    best_at: int | None
    last: float | None
    reached: int | None
    source: int | None  # the trial from whose checkpoint it goes on (PBT)
    seconds: float | None  # from its start to its end, or to now
    cost_usd: float | None = None  # of all its jobs: charged, or what is set aside while one has not ended
    is_best: bool = False


def leaderboard(trials: Iterable[JobState], *, mode: str, now: datetime) -> list[Trial]:
    """The trials of a sweep by number, the best one marked.

    Args:
        trials: the jobs that are parts of the sweep, the oldest first.
        mode: `min` or `max` of the metric is better.
        now: the present time.
    """
    by_number: dict[int, list[JobState]] = {}
    for place, job in enumerate(trials, 1):
        by_number.setdefault(_number_of(job) or place, []).append(job)
    rows = [_trial(number, jobs, now) for number, jobs in by_number.items()]
    found = best_of(rows, mode)
    return [replace(row, is_best=row is found) for row in sorted(rows, key=lambda row: row.number)]


def best_of(trials: Iterable[Trial], mode: str) -> Trial | None:
    """The trial with the best value; of equal ones the first. None where none has measured anything."""
    measured = [row for row in trials if row.value is not None]
    return min(measured, key=lambda row: _by_value(row, mode), default=None)


def best_finished(trials: Iterable[Trial], mode: str, *, sweep_id: str) -> Trial:
    """The best of those that ended by themselves, whose files are whole. Raises Conflict where there is none."""
    found = best_of((row for row in trials if row.state is TrialState.COMPLETED), mode)
    if found is None:
        raise Conflict(
            f"no trial of sweep {sweep_id} has completed with a value; wait for one, or look why they ended",
            job_id=sweep_id,
        )
    return found


SORTS: Mapping[str, Callable[[Trial], Any]] = {
    "value": lambda row: -inf if row.value is None else row.value,
    "number": lambda row: row.number,
    "state": lambda row: row.state.value,
    "reached": lambda row: row.reached or 0,
    "seconds": lambda row: row.seconds or 0.0,
    "cost": lambda row: row.cost_usd or 0.0,
}
BEST = "best"


def sort_trials(trials: Sequence[Trial], sort: str, mode: str) -> list[Trial]:
    """By one of SORTS, falling after a minus, or BEST: the best first. Without a value they come last, then by number.

    Raises:
        InvalidInput: there is no such order.
    """
    in_line = sorted(trials, key=lambda row: row.number)
    if sort == BEST:
        return sorted(in_line, key=lambda row: _by_value(row, mode))
    name = sort.removeprefix("-")
    if name not in SORTS:
        raise InvalidInput.field("sort", f"{sort!r} is unknown; use {BEST}, or one of {', '.join(SORTS)} or -name")
    ordered = sorted(in_line, key=SORTS[name], reverse=sort.startswith("-"))
    return sorted(ordered, key=lambda row: row.value is None) if name == "value" else ordered


def _by_value(row: Trial, mode: str) -> tuple[float, int]:
    if row.value is None:
        return inf, row.number
    return (row.value if mode == "min" else -row.value), row.number


def _number_of(job: JobState) -> int | None:
    """As its sweep says; the name tells it as well, from the moment it is made."""
    named = _NAMED.search(job.job_name)
    return _whole(_mapping(job.fact(FACT_TRIAL)).get("number")) or (None if named is None else int(named[1]))


def _trial(number: int, jobs: Sequence[JobState], now: datetime) -> Trial:
    job = jobs[-1]
    about, result = _mapping(job.fact(FACT_TRIAL)), _mapping(job.fact(FACT_RESULT))
    return Trial(
        number=number,
        job=job,
        earlier=tuple(jobs[:-1]),
        state=_state(job),
        why=_why(job),
        parameters=_mapping(about.get("parameters")),
        value=_number(result.get("value")),
        best_at=_whole(result.get("best_at")),
        last=_number(result.get("last")),
        reached=_whole(result.get("reached")),
        source=_whole(_mapping(about.get("source")).get("number")),
        seconds=_seconds(job, now),
    )


def _seconds(job: JobState, now: datetime) -> float | None:
    return None if job.started_at is None else max(0.0, ((job.completed_at or now) - job.started_at).total_seconds())


def _state(job: JobState) -> TrialState:
    return {
        JobStatus.COMPLETED: TrialState.COMPLETED,
        JobStatus.CANCELLED: TrialState.STOPPED,
        JobStatus.FAILED: TrialState.FAILED,
        JobStatus.RUNNING: TrialState.RUNNING,
    }.get(job.status, TrialState.WAITING)


def _why(job: JobState) -> str | None:
    if job.status is JobStatus.FAILED:
        return job.error_message
    if job.status is JobStatus.CANCELLED:
        return job.ended_early or "cancelled"
    return job.ended_early or job.waits_for


def _mapping(value: Any) -> Mapping[str, Any]:
    """What a run says of itself may be anything."""
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return float(value) if is_number else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
