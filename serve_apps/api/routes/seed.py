"""The addresses that the source's front ends call; each has a canonical one under /api/v1."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from serve_apps.api import remote, seed_views
from serve_apps.api.context import Context
from serve_apps.api.create import json_only
from serve_apps.api.find import find_job
from serve_apps.api.principal import Caller
from serve_apps.api.seed_schemas import ModelStatus, SyncAnswer, SyncRequest, TrainingLogs
from serve_apps.api.seen import check_sees
from serve_apps.api.urls import base_url

MOST_LINES = 10_000

router = APIRouter(prefix="/api", tags=["compatible"])
Id = Annotated[
    str,
    Path(alias="id", max_length=255, pattern="^[A-Za-z0-9_.:-]+$", description="The job's id, or the provider's."),
]


@router.get("/replicate/training-logs/{id}", summary="Log, progress and time left of a training")
async def training_logs(
    context: Context,
    caller: Caller,
    request: Request,
    id: Id,
    tail: Annotated[int, Query(ge=0, le=MOST_LINES, description="The last so many lines.")] = 2000,
) -> TrainingLogs:
    """Asks the provider first, so that the answer and the database are as new as they can be."""
    row = await context.read(lambda store: find_job(store, id))
    check_sees(caller, row.state, named=id)
    problem = await remote.refresh(context, row.state)
    job_id = row.state.id
    row, items, chunks = await context.read(
        lambda store: (store.job(job_id), store.items(job_id), store.logs(job_id, tail=tail))
    )
    base = base_url(request, context.settings)
    return seed_views.training_logs(row, items, chunks, datetime.now(UTC), base, problem=problem)


@router.post(
    "/replicate/sync-completed", dependencies=[Depends(json_only)], summary="Put a training right that has finished"
)
async def sync_completed(context: Context, caller: Caller, request: Request, body: SyncRequest) -> SyncAnswer:
    """Asks Replicate how a training ended, also for one that was not started here."""
    await remote.check_sees_named(context, caller, body.model_id)
    synced = await remote.sync(context, body.model_id, provider="replicate")
    if body.replicate_model_version is not None:
        await remote.note_version(context, synced.job_id, body.replicate_model_version)
    row = await context.read(lambda store: store.job(synced.job_id))
    base = base_url(request, context.settings)
    return seed_views.sync_answer(row, datetime.now(UTC), base, imported=synced.imported)


@router.get("/modal/model-status/{id}", summary="Status of a model")
async def model_status(context: Context, caller: Caller, request: Request, id: Id) -> ModelStatus:
    """From the database alone."""
    row = await context.read(lambda store: find_job(store, id))
    check_sees(caller, row.state, named=id)
    return seed_views.model_status(row, datetime.now(UTC), base_url(request, context.settings))
