"""The queue as people change it: held and let go again, and jobs moved within it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from thornback.by_name import ByName
from thornback.errors import Conflict, NotFound

LEAST_PRIORITY = -100
MOST_PRIORITY = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueHold(ByName):
    """The queue is paused: nothing new is started, what runs goes on."""

    by: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseQueue(ByName):
    """Start nothing from now on. Where it is paused already, that pause stays."""

    by: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeQueue(ByName):
    """Let the queue go on."""

    by: str
    at: datetime


QueueChange = PauseQueue | ResumeQueue


@dataclass(frozen=True, slots=True)
class Ranked:
    """A waiting job and its priority."""

    job_id: str
    priority: int


def plan_move(order: Sequence[Ranked], job_id: str, *, before: str | None) -> dict[str, int]:
    """The priorities that bring a job to another place; as few jobs as can be get another one.

    Among jobs of one priority fairness decides, so the moved job gets a priority of its own: above that of all
    behind it and below that of all before it.

    Args:
        order: the waiting jobs of one queue, next one first.
        job_id: the job to be moved.
        before: the job that it is to come before; None: the end.

    Raises:
        NotFound: one of the two does not wait in this queue.
        Conflict: priorities of -100 to 100 do not go so far.
    """
    ids = [job.job_id for job in order]
    for wanted in (job_id, before):
        if wanted is not None and wanted not in ids:
            raise NotFound(f"job {wanted} does not wait in this queue")
    if before == job_id:
        return {}
    moved = order[ids.index(job_id)]
    others = [job for job in order if job.job_id != job_id]
    place = len(others) if before is None else [job.job_id for job in others].index(before)
    ahead, behind = others[:place], others[place:]
    if [*ahead, moved, *behind] == list(order):
        return {}
    plans = [plan for plan in (_raise(moved, ahead, behind), _lower(moved, ahead, behind)) if plan is not None]
    if not plans:
        raise Conflict(
            f"priorities go from {LEAST_PRIORITY} to {MOST_PRIORITY}, and those of the waiting jobs leave no room; "
            "give some of them another priority first"
        )
    return min(plans, key=len)


def _raise(moved: Ranked, ahead: Sequence[Ranked], behind: Sequence[Ranked]) -> dict[str, int] | None:
    """Just above those behind; whoever is ahead makes room upwards. None beyond the bound."""
    mine = behind[0].priority + 1 if behind else max(ahead[-1].priority - 1, LEAST_PRIORITY)
    return _within_bounds({moved.job_id: mine} | _making_room(reversed(ahead), mine, 1))


def _lower(moved: Ranked, ahead: Sequence[Ranked], behind: Sequence[Ranked]) -> dict[str, int] | None:
    """Just below those ahead; whoever is behind makes room downwards. None beyond the bound."""
    mine = ahead[-1].priority - 1 if ahead else min(behind[0].priority + 1, MOST_PRIORITY)
    return _within_bounds({moved.job_id: mine} | _making_room(behind, mine, -1))


def _making_room(jobs: Iterable[Ranked], edge: int, step: int) -> dict[str, int]:
    """The changes that put jobs beyond `edge`, the nearest first; those of one priority keep one in common."""
    plan: dict[str, int] = {}
    before: int | None = None
    for job in jobs:
        if job.priority != before:
            before, edge = job.priority, max(job.priority * step, edge * step + 1) * step
        if edge != job.priority:
            plan[job.job_id] = edge
    return plan


def _within_bounds(plan: dict[str, int]) -> dict[str, int] | None:
    return plan if all(LEAST_PRIORITY <= priority <= MOST_PRIORITY for priority in plan.values()) else None
