"""Jobs at a provider: look again now, and take over what was started elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Response

from serve_apps.api import remote, views
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.create import json_only
from serve_apps.api.principal import Caller
from serve_apps.api.schemas import ImportRequest, JobAnswer
from serve_apps.api.seen import check_kind
from thornback.errors import Conflict, Forbidden

router = APIRouter(prefix=views.API_PREFIX, tags=["providers"])


@router.post("/jobs/{job_id}/sync", summary="Ask the provider now")
async def sync_job(context: Context, job_id: UUID) -> JobAnswer:
    """Put right what the provider says otherwise; nothing happens to a job that has ended."""
    id = str(job_id)
    job = (await context.read(lambda store: store.job(id))).state
    if views.provider(job) is None:
        raise Conflict(f"job {id} runs on this cluster; there is no provider to ask", job_id=id)
    await remote.sync(context, id, provider=job.backend)
    return await _answer(context, id)


@router.post(
    "/import",
    status_code=201,
    dependencies=[Depends(json_only)],
    summary="Take over a training that was started elsewhere",
    responses={200: {"model": JobAnswer, "description": "It is known here already, and is now as the provider says."}},
)
async def import_training(
    context: Context, caller: Caller, response: Response, body: Annotated[ImportRequest, Body()]
) -> JobAnswer:
    """From here on it is a job like every other."""
    check_kind(caller, "lora")
    if caller.limits is not None and caller.limits.teams is not None:
        raise Forbidden("a training that is taken over belongs to no team, and your API key is for teams only")
    await remote.check_sees_named(context, caller, body.provider_id)
    synced = await remote.sync(context, body.provider_id, provider=body.provider)
    if not synced.imported:
        response.status_code = 200
    response.headers["Location"] = f"{views.API_PREFIX}/jobs/{synced.job_id}"
    return await _answer(context, synced.job_id)


async def _answer(context: ApiContext, job_id: str) -> JobAnswer:
    row = await context.read(lambda store: store.job(job_id))
    return JobAnswer(job=views.full(row, datetime.now(UTC)))
