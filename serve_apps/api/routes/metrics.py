"""Rows for the charts."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from serve_apps.api import views
from serve_apps.api.context import Context
from serve_apps.api.schemas import MetricList

MAX_EVENT_ID = 2**63 - 1

router = APIRouter(prefix=f"{views.API_PREFIX}/jobs/{{job_id}}/metrics", tags=["metrics"])


@router.get("", summary="Metrics of a job")
async def list_metrics(
    context: Context,
    job_id: UUID,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 1000,
    level: Annotated[Literal["epoch", "step", "all"], Query(description="One row an epoch, or the steps.")] = "epoch",
    phase: Annotated[str | None, Query(max_length=20, description="train, val or test")] = None,
    after_id: Annotated[
        int | None, Query(ge=0, le=MAX_EVENT_ID, description="Only rows with a greater `event_id`.")
    ] = None,
) -> MetricList:
    """The newest `limit` rows, or with `after_id` the next `limit`; oldest first."""
    id = str(job_id)
    rows = await context.read(lambda store: store.metrics(id, limit=limit, level=level, phase=phase, after_id=after_id))
    return MetricList(job_id=id, metrics=views.metrics(rows))
