"""The queue: seen, held, let go, and put into another order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query

from serve_apps.api import views
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.create import json_only
from serve_apps.api.principal import Caller
from serve_apps.api.queue_schemas import HoldOut, JobChange, JobChanged, MoveIn, PauseIn, QueueOut, WaitingOut
from thornback.access.sight import Sight
from thornback.errors import Conflict, JobIsFinal, NotFound
from thornback.jobs.events import EventFactory
from thornback.jobs.queue import PauseQueue, QueueHold, Ranked, ResumeQueue, plan_move
from thornback.jobs.state import PHASE_SCHEDULED, JobState
from thornback.store.page import JobRow

router = APIRouter(tags=["queue"], dependencies=[Depends(json_only)])
QUEUE = "/api/v1/queue"
MOST = 1000  # whoever waits behind so many is not listed


@router.get(QUEUE, summary="The queue")
async def get_queue(context: Context, caller: Caller, limit: Annotated[int, Query(ge=0, le=MOST)] = MOST) -> QueueOut:
    """Whether it is paused, and who waits for what, as far as you may know of it."""
    return await _queue(context, limit, caller.sight)


@router.post(f"{QUEUE}/pause", summary="Pause the queue")
async def pause_queue(context: Context, caller: Caller, body: Annotated[PauseIn | None, Body()] = None) -> QueueOut:
    """Start nothing from now on; what runs goes on. It holds, across restarts, until somebody resumes."""
    reason = "" if body is None else body.reason.strip()
    await context.recorder.administer(PauseQueue(by=caller.user, at=datetime.now(UTC), reason=reason))
    return await _queue(context)


@router.post(f"{QUEUE}/resume", summary="Let the queue go on")
async def resume_queue(context: Context, caller: Caller) -> QueueOut:
    """Waiting jobs start again within a moment."""
    await context.recorder.administer(ResumeQueue(by=caller.user, at=datetime.now(UTC)))
    return await _queue(context)


@router.post(f"{QUEUE}/move", summary="Move a waiting job")
async def move_job(context: Context, caller: Caller, body: MoveIn) -> QueueOut:
    """Give it, and others where that is needed, the priority that brings it there."""
    rows = await context.read(lambda store: store.queue(limit=MOST))
    found = next((row.state for row in rows if row.state.id == body.job_id), None)
    if found is None:
        raise NotFound(f"job {body.job_id} does not wait to be started")
    queue = [row.state for row in _next_first(rows) if row.state.runner == found.runner]
    order = [Ranked(job.id, job.priority) for job in queue]
    now = datetime.now(UTC)
    plan = plan_move(order, body.job_id, before=body.before)
    events = [EventFactory(id).prioritized(new, user=caller.user, at=now) for id, new in plan.items()]
    if events:
        await context.recorder.record(events)
    return await _queue(context)


@router.patch(f"{views.API_PREFIX}/jobs/{{job_id}}", tags=["jobs"], summary="Change a waiting job")
async def change_job(context: Context, caller: Caller, job_id: UUID, change: JobChange) -> JobChanged:
    """Another priority: the queue is put into its new order at once."""
    id, now = str(job_id), datetime.now(UTC)
    _check_waits((await context.read(lambda store: store.job(id))).state)
    await context.recorder.record([EventFactory(id).prioritized(change.priority, user=caller.user, at=now)])
    row = await context.read(lambda store: store.job(id))
    return JobChanged(job=views.full(row, now))


def _check_waits(job: JobState) -> None:
    if job.status.is_final:
        raise JobIsFinal(f"job {job.id} is {job.status}; only a waiting job has a priority to change", job_id=job.id)
    if not job.status.is_waiting or job.mark.phase >= PHASE_SCHEDULED:
        raise Conflict(f"job {job.id} has started; only a waiting job has a priority to change", job_id=job.id)


async def _queue(context: ApiContext, limit: int = MOST, sight: Sight | None = None) -> QueueOut:
    last, hold, rows = await context.read(
        lambda store: (store.latest_event_id(), store.queue_hold(), store.queue(limit=limit))
    )
    if sight is not None:
        rows = [row for row in rows if sight.sees(owner=row.state.user, team=row.state.team)]
    return QueueOut(paused=_hold(hold), waiting=[_waiting(row) for row in _next_first(rows)], last_event_id=last)


def _next_first(rows: list[JobRow]) -> list[JobRow]:
    """By queue, and in each as the dispatcher will have them after changes of priority that it has not seen yet."""
    return sorted(rows, key=lambda row: (row.state.runner, -row.state.priority))  # the rest stands as it was read


def _hold(hold: QueueHold | None) -> HoldOut | None:
    return None if hold is None else HoldOut(by=hold.by, at=hold.at, reason=hold.reason)


def _waiting(row: JobRow) -> WaitingOut:
    job, place = row.state, row.queue
    return WaitingOut(
        id=job.id,
        job_name=job.job_name,
        user=job.user,
        kind=job.kind,
        backend=job.backend,
        queue=job.runner,
        position=place.position if place else None,
        priority=job.priority,
        reason=(place.reason if place else None) or job.waits_for,
        created_at=job.created_at,
    )
