"""Rows for the charts."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from serve_apps.api import views
from serve_apps.api.context import Context
from serve_apps.api.schemas import MetricList, ProgressList, ProgressPointOut
from thornback.errors import InvalidInput
from thornback.store.progress import ProgressPoint, read_progress
from thornback.store.read import StoreReader

MAX_EVENT_ID = 2**63 - 1

router = APIRouter(prefix=f"{views.API_PREFIX}/jobs/{{job_id}}", tags=["metrics"])


@router.get("/metrics", summary="Metrics of a job")
async def list_metrics(
    context: Context,
    job_id: UUID,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 1000,
    level: Annotated[Literal["epoch", "step", "all"], Query(description="One row an epoch, or the steps.")] = "epoch",
    phase: Annotated[str | None, Query(max_length=20, description="train, val or test")] = None,
    after_id: Annotated[
        int | None, Query(ge=0, le=MAX_EVENT_ID, description="Only rows with a greater `event_id`.")
    ] = None,
    before_id: Annotated[
        int | None, Query(ge=0, le=MAX_EVENT_ID, description="With `most`: only rows with a smaller `event_id`.")
    ] = None,
    most: Annotated[
        int | None, Query(ge=100, le=100_000, description="Instead of `limit`: as many rows as draw the same curves.")
    ] = None,
) -> MetricList:
    """The newest `limit` rows, or with `after_id` the next `limit`; oldest first.

    With `most` all rows, or all between `after_id` and `before_id`, thinned to so many: peaks and gaps stay.
    """
    id = str(job_id)
    if most is not None:
        rows, thinned = await context.read(
            lambda store: store.drawn_metrics(
                id, most=most, level=level, phase=phase, after_id=after_id, before_id=before_id
            )
        )
        return MetricList(job_id=id, metrics=views.metrics(rows), thinned=thinned)
    if before_id is not None:
        raise InvalidInput.field("before_id", "goes with `most` only; without it page with `after_id`")
    rows = await context.read(lambda store: store.metrics(id, limit=limit, level=level, phase=phase, after_id=after_id))
    return MetricList(job_id=id, metrics=views.metrics(rows))


@router.get("/progress", summary="How far a job was, over time")
async def list_progress(
    context: Context,
    job_id: UUID,
    most: Annotated[int, Query(ge=2, le=10_000, description="More points than these are thinned.")] = 1000,
) -> ProgressList:
    """Each point says whether it was reported, parsed from a log or estimated; oldest first."""
    id = str(job_id)

    def read(store: StoreReader) -> list[ProgressPoint]:
        return read_progress(store.engine, id, most=most) or _none_of(store, id)

    points = await context.read(read)
    return ProgressList(job_id=id, points=[_point(point) for point in points])


def _none_of(store: StoreReader, job_id: str) -> list[ProgressPoint]:
    store.job(job_id)  # raises where there is none
    return []


def _point(point: ProgressPoint) -> ProgressPointOut:
    return ProgressPointOut(
        event_id=point.event_id,
        timestamp=point.at,
        percent=point.percent,
        origin=point.origin.value,
        attempt=point.attempt,
    )
