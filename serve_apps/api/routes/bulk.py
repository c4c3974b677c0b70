"""Cancelling and deleting several jobs with one request."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Depends

from serve_apps.api import views
from serve_apps.api.bulk_schemas import BulkAnswer, BulkResult, JobIds
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.create import json_only
from serve_apps.api.principal import Caller, Principal, check_owner
from thornback.errors import Forbidden, JobIsFinal, JobNotFound, ThornbackError
from thornback.jobs.events import EventFactory
from thornback.store.read import StoreReader

router = APIRouter(prefix=f"{views.API_PREFIX}/jobs", tags=["jobs"], dependencies=[Depends(json_only)])

Found = list[tuple[str, ThornbackError | None]]


@router.post("/cancel", status_code=202, summary="Cancel several jobs")
async def cancel_jobs(context: Context, caller: Caller, jobs: JobIds) -> BulkAnswer:
    """Ask each job to end. Those that have ended, are unknown or belong to others are refused one by one."""
    return await _ask(context, caller, jobs, delete=False)


@router.post("/delete", status_code=202, summary="Delete several jobs")
async def delete_jobs(context: Context, caller: Caller, jobs: JobIds) -> BulkAnswer:
    """Ask for the end of each job and the removal of its rows and files, which follow when its workers have ended."""
    return await _ask(context, caller, jobs, delete=True)


async def _ask(context: ApiContext, caller: Principal, jobs: JobIds, *, delete: bool) -> BulkAnswer:
    ids = list(dict.fromkeys(str(id) for id in jobs.ids))
    found = await context.read(lambda store: _look(store, ids, caller, delete=delete))
    at = datetime.now(UTC)
    asked = [id for id, refusal in found if refusal is None]
    events = [EventFactory(id).cancel_requested(user=caller.user, at=at, delete=delete) for id in asked]
    if events:
        await context.recorder.record(events)
    results = [_result(id, refusal, delete=delete) for id, refusal in found]
    return BulkAnswer(results=results, done=len(asked))


def _look(store: StoreReader, ids: list[str], caller: Principal, *, delete: bool) -> Found:
    return [(id, _refusal(store, id, caller, delete=delete)) for id in ids]


def _refusal(store: StoreReader, id: str, caller: Principal, *, delete: bool) -> ThornbackError | None:
    try:
        job = store.job(id).state
        check_owner(caller, id, owner=job.user, team=job.team)
    except (JobNotFound, Forbidden) as error:
        return error
    if job.status.is_final and not delete:
        return JobIsFinal(f"job {id} is {job.status} and cannot be cancelled", job_id=id)
    return None


def _result(id: str, refusal: ThornbackError | None, *, delete: bool) -> BulkResult:
    if refusal is not None:
        return BulkResult(id=id, outcome="refused", code=refusal.code, detail=refusal.message)
    return BulkResult(id=id, outcome="deleting" if delete else "cancelling")
