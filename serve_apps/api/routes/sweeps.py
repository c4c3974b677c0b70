"""Sweeps: the leaderboard, the curves of all trials, and the best one as a version of a model."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Body, Depends, Query, Response

from serve_apps.api import model_views, sweep_views
from serve_apps.api.context import Context
from serve_apps.api.create import json_only
from serve_apps.api.csv_table import csv_table
from serve_apps.api.model_schemas import VersionOut
from serve_apps.api.principal import Caller, Principal
from serve_apps.api.routes.models import Sign
from serve_apps.api.sweep_schemas import PublishBest, SweepCurves, SweepOut, TrialCurve
from thornback.jobs.leaderboard import BEST, Trial, TrialState, best_of, sort_trials
from thornback.jobs.versions import ModelVersion
from thornback.models.best import publish_best
from thornback.store.models import ModelReader
from thornback.store.read import StoreReader
from thornback.store.sweeps import SweepBoard, read_sweep

router = APIRouter(prefix="/api/v1/sweeps", tags=["sweeps"])

MOST_CURVES = 100
Sort = Literal[
    "best", "value", "-value", "number", "-number", "state", "-state", "reached", "-reached", "seconds", "-seconds",
    "cost", "-cost",
]  # fmt: skip


@router.get(
    "/{job_id}",
    summary="The leaderboard of a sweep",
    response_model=SweepOut,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def get_sweep(
    context: Context,
    caller: Caller,
    job_id: UUID,
    sort: Annotated[Sort, Query(description="With a minus: the greatest first.")] = "best",
    limit: Annotated[int, Query(ge=0, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=1000)] = 0,
    format: Annotated[Literal["json", "csv"], Query(description="csv: all trials as a table.")] = "json",
) -> SweepOut | Response:
    """What each trial tried, what came of it and what it cost; how the sweep stands with its budget."""

    def ask(store: StoreReader) -> tuple[int, SweepBoard, ModelVersion | None]:
        last = store.latest_event_id()
        board = _board(store, job_id)
        return last, board, _version(store, board)

    last, board, version = await context.read(ask)
    if version is not None and not _sees(caller, version, board):
        version = None
    rows = sort_trials(board.trials, sort, board.config.mode)
    if format == "json":
        return sweep_views.sweep(board, rows[offset : offset + limit], version=version, last_event_id=last)
    headers = {"Content-Disposition": f'attachment; filename="sweep-{job_id}.csv"'}
    return Response(csv_table(*sweep_views.table(board, rows)), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/{job_id}/curves", summary="The metric of all trials")
async def get_curves(
    context: Context,
    job_id: UUID,
    limit: Annotated[int, Query(ge=1, le=MOST_CURVES, description="So many trials, the best first.")] = 50,
    points: Annotated[int, Query(ge=10, le=2000, description="At most so many of each curve.")] = 200,
) -> SweepCurves:
    """For one chart of them all."""

    def ask(store: StoreReader) -> SweepCurves:
        board = _board(store, job_id)
        in_steps = sweep_views.unit(board) == "step"

        def drawn(row: Trial) -> TrialCurve:
            rows, _ = store.drawn_metrics(row.job.id, most=points, level="step" if in_steps else "epoch")
            return sweep_views.curve(row, rows, metric=board.config.metric, in_steps=in_steps)

        rows = sort_trials(board.trials, BEST, board.config.mode)[:limit]
        return SweepCurves(
            job_id=board.sweep.id,
            metric=board.config.metric,
            unit=sweep_views.unit(board),
            curves=[drawn(row) for row in rows],
        )

    return await context.read(ask)


@router.post(
    "/{job_id}/publish", status_code=201, dependencies=[Depends(json_only)], summary="Keep the best trial's model"
)
async def publish(
    context: Context,
    caller: Caller,
    sign: Sign,
    job_id: UUID,
    response: Response,
    body: Annotated[PublishBest | None, Body()] = None,
) -> VersionOut:
    """Make the best completed trial the next version of a model; 200 where it is one already."""

    def ask(store: StoreReader) -> tuple[SweepBoard, ModelVersion | None]:
        board = _board(store, job_id)
        return board, _version(store, board)

    board, known = await context.read(ask)
    wanted = None if body is None else body.model
    if known is not None and known.user == caller.user and wanted in (None, known.model):
        response.status_code = 200
        return await to_thread.run_sync(model_views.version, known, sign)
    found = await publish_best(
        context.recorder,
        context.settings,
        board.sweep,
        [row.job for row in board.trials],
        now=datetime.now(UTC),
        model=wanted,
        user=caller.user,
    )
    response.headers["Location"] = f"/api/v1/models/{found.model}/versions/{found.version}"
    return await to_thread.run_sync(model_views.version, found, sign)


def _board(store: StoreReader, job_id: UUID) -> SweepBoard:
    return read_sweep(store, str(job_id), now=datetime.now(UTC))


def _version(store: StoreReader, board: SweepBoard) -> ModelVersion | None:
    """What the best completed trial was made, None where it was made nothing."""
    best = best_of((row for row in board.trials if row.state is TrialState.COMPLETED), board.config.mode)
    return None if best is None else ModelReader(store.engine).of_job(best.job.id)


def _sees(caller: Principal, version: ModelVersion, board: SweepBoard) -> bool:
    return caller.sight is None or caller.sight.sees(owner=version.user, team=board.sweep.team)
