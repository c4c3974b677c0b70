"""Jobs: create, list, look at, delete, cancel, retry."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from serve_apps.api import views
from serve_apps.api.context import Context
from serve_apps.api.create import IdempotencyKey, create, json_only
from serve_apps.api.examples import CREATE_EXAMPLES, REMOTE_EXAMPLES
from serve_apps.api.principal import Caller
from serve_apps.api.remote_specs import check_spec
from serve_apps.api.schemas import CancelAnswer, Deleting, JobCreated, JobDetail, JobList, RetryRequest
from serve_apps.api.spec_body import SpecBody
from serve_apps.api.urls import base_url
from thornback.errors import InvalidInput, JobIsActive, JobIsFinal
from thornback.jobs.events import EventFactory, EventKind
from thornback.jobs.spec import parse_spec
from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus
from thornback.store.page import JobQuery

RECENT_METRICS = 20
DELETE_WAIT_S = 10.0  # a cooperative stop takes up to cancel_grace_s (5) and a few seconds more
MAX_OFFSET = 10_000_000

router = APIRouter(prefix=f"{views.API_PREFIX}/jobs", tags=["jobs"])

Sort = Literal[
    "created_at",
    "-created_at",
    "name",
    "-name",
    "status",
    "-status",
    "progress",
    "-progress",
    "priority",
    "-priority",
    "cost",
    "-cost",
]


@router.post("", status_code=201, dependencies=[Depends(json_only)], summary="Create a job")
async def create_job(
    context: Context,
    caller: Caller,
    response: Response,
    spec: Annotated[SpecBody, Body(openapi_examples={**CREATE_EXAMPLES, **REMOTE_EXAMPLES})],
    idempotency_key: IdempotencyKey = None,
) -> JobCreated:
    """Put a job in the queue. Everything left out of `config` gets its default."""
    check_spec(spec, context.settings, context.catalogue)
    body = spec.model_dump(mode="json", exclude_unset=True)
    return await create(context, caller, spec, response, key=idempotency_key, request={"path": "jobs", "body": body})


@router.get("", summary="List jobs")
async def list_jobs(
    context: Context,
    caller: Caller,
    status: Annotated[list[JobStatus] | None, Query(description="One or several.")] = None,
    kind: Annotated[str | None, Query(max_length=50)] = None,
    name: Annotated[str | None, Query(max_length=255, description="Part of the name, in any case.")] = None,
    user: Annotated[str | None, Query(max_length=255)] = None,
    team: Annotated[str | None, Query(max_length=100)] = None,
    backend: Annotated[str | None, Query(max_length=50, description="ray, replicate or fal")] = None,
    tag: Annotated[
        list[Annotated[str, Query(max_length=255)]] | None,
        Query(description="`key=value`, or a key alone; of several all must hold."),
    ] = None,
    parent: Annotated[
        str | None,
        Query(max_length=36, description="Id of a job: the jobs that are parts of it; `none`: parts of no other."),
    ] = None,
    sort: Annotated[Sort, Query(description="With a minus: the greatest first.")] = "-created_at",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    cursor: Annotated[str | None, Query(max_length=1024, description="`next_cursor` of the page before.")] = None,
) -> JobList:
    """A page of jobs, the newest first."""
    if cursor is not None and offset:
        raise InvalidInput.field("offset", "page either by cursor or by offset, not by both")
    query = JobQuery(
        status=tuple(status or ()),
        kind=kind,
        name=name,
        user=user,
        team=team,
        sight=caller.sight,
        backend=backend,
        tags=tuple(tag or ()),
        parent=parent,
        sort=sort,
        limit=limit,
        offset=offset,
        cursor=cursor,
    )
    # The stream's place is read first: an event in between is then streamed as well as listed, never missed.
    last, page = await context.read(lambda store: (store.latest_event_id(), store.jobs(query)))
    now = datetime.now(UTC)
    return JobList(
        jobs=[views.summary(row, now) for row in page.jobs],
        total=page.total,
        parts=dict(page.parts),
        next_cursor=page.next_cursor,
        last_event_id=last,
    )


@router.get("/{job_id}", summary="Look at a job")
async def get_job(context: Context, request: Request, job_id: UUID) -> JobDetail:
    """The job, its last epochs, and the address of its live stream."""
    id = str(job_id)
    last, row, recent = await context.read(
        lambda store: (store.latest_event_id(), store.job(id), store.metrics(id, limit=RECENT_METRICS))
    )
    return JobDetail(
        job=views.full(row, datetime.now(UTC)),
        recent_metrics=views.metrics(recent),
        websocket_url=base_url(request, context.settings).websocket(f"/ws/training/{id}"),
        last_event_id=last,
    )


@router.delete(
    "/{job_id}",
    status_code=204,
    summary="Delete a job",
    responses={202: {"model": Deleting, "description": "Its workers are still ending."}},
    response_model=None,
)
async def delete_job(context: Context, caller: Caller, job_id: UUID, response: Response) -> Deleting | None:
    """Cancel a running job, then delete its rows and files. 204 when they are gone."""
    id = str(job_id)
    await context.read(lambda store: store.job(id))
    with await context.hub.join(job_id=id, after=None, counted=False) as stream:
        event = EventFactory(id).cancel_requested(user=caller.user, at=datetime.now(UTC), delete=True)
        await context.recorder.record([event])
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DELETE_WAIT_S
        while (left := deadline - loop.time()) > 0:
            if any(event.kind is EventKind.DELETED for event in await stream.next(left)):
                return None
    response.status_code = 202
    return Deleting(id=id)


@router.post("/{job_id}/cancel", status_code=202, summary="Cancel a job")
async def cancel_job(context: Context, caller: Caller, job_id: UUID) -> CancelAnswer:
    """Ask a job to end; it keeps its rows, its last checkpoint and its files."""
    id = str(job_id)
    row = await context.read(lambda store: store.job(id))
    if row.state.status.is_final:
        raise JobIsFinal(f"job {id} is {row.state.status} and cannot be cancelled", job_id=id)
    await context.recorder.record([EventFactory(id).cancel_requested(user=caller.user, at=datetime.now(UTC))])
    row = await context.read(lambda store: store.job(id))
    return CancelAnswer(job=views.full(row, datetime.now(UTC)))


@router.post("/{job_id}/retry", status_code=201, dependencies=[Depends(json_only)], summary="Run a job again")
async def retry_job(
    context: Context,
    caller: Caller,
    job_id: UUID,
    response: Response,
    how: Annotated[RetryRequest | None, Body()] = None,
    idempotency_key: IdempotencyKey = None,
) -> JobCreated:
    """Make a new job like one that has ended, going on from its newest checkpoint unless told otherwise."""
    id = str(job_id)
    how = how or RetryRequest()
    old = (await context.read(lambda store: store.job(id))).state
    if not old.status.is_final:
        raise JobIsActive(f"job {id} is {old.status}; cancel it first or wait for its end", job_id=id)
    spec = parse_spec({**old.spec, "team": old.team})
    check_spec(spec, context.settings, context.catalogue)
    request = {"path": f"jobs/{id}/retry", "body": how.model_dump()}
    return await create(
        context,
        caller,
        spec,
        response,
        key=idempotency_key,
        request=request,
        retry_of=id,
        resume_from=_checkpoint(old) if how.from_checkpoint else None,
    )


def _checkpoint(job: JobState) -> str | None:
    """Where to go on. A completed run has nothing left to do, so its repeat starts anew."""
    return None if job.status is JobStatus.COMPLETED else job.artifact_uri("checkpoint")
