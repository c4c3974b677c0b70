"""Questions over all jobs: which trigger words, how long, how often it works, what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Query, Response

from serve_apps.api.context import ApiContext, Context
from serve_apps.api.csv_table import csv_table
from serve_apps.api.period import Since, Until, bounds
from serve_apps.api.principal import Caller, Principal
from serve_apps.api.report_schemas import DurationReport, Report, UsageReport, WholeReport
from thornback.store.analytics import (
    Analytics,
    CaptioningRate,
    DatasetBucket,
    DatasetTime,
    DayCost,
    FailureCount,
    StepTimes,
    TriggerWord,
)
from thornback.store.usage import BY, By, Usage, read_usage

MOST_ROWS = 1000

router = APIRouter(prefix="/api/v1/reports", tags=["reports"])
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS)]
Row = TypeVar("Row")
Answer = TypeVar("Answer")
# `begin` and `end` bound the creation of the jobs; None leaves a side open.
Question = Callable[[Analytics, datetime | None, datetime | None], Answer]


@router.get("", summary="All reports in one")
async def whole_report(context: Context, caller: Caller, since: Since = None, until: Until = None) -> WholeReport:
    """Everything that has an address of its own below this one."""

    def ask(analytics: Analytics, begin: datetime | None, end: datetime | None) -> WholeReport:
        return WholeReport(
            since=begin,
            until=end,
            trigger_words=analytics.popular_trigger_words(since=begin, until=end),
            durations=analytics.average_times(since=begin, until=end),
            steps=analytics.times_by_steps(since=begin, until=end),
            captioning=analytics.captioning_rates(since=begin, until=end),
            dataset_sizes=analytics.dataset_buckets(since=begin, until=end),
            failures=analytics.failures(since=begin, until=end),
            costs=analytics.costs(since=begin, until=end),
        )

    return await _ask(context, caller, since, until, ask)


@router.get("/trigger-words", summary="Trainings by trigger word")
async def trigger_words(
    context: Context,
    caller: Caller,
    since: Since = None,
    until: Until = None,
    sort: Annotated[Literal["name", "jobs"], Query(description="By name, or the most popular first.")] = "name",
    limit: Limit = 100,
) -> Report[TriggerWord]:
    """Each with its number of trainings, by status."""
    if sort == "jobs":
        return await _rows(
            context,
            caller,
            since,
            until,
            lambda ask, begin, end: ask.popular_trigger_words(since=begin, until=end, limit=limit),
        )
    return await _rows(
        context, caller, since, until, lambda ask, begin, end: ask.by_trigger_word(since=begin, until=end, limit=limit)
    )


@router.get("/durations", summary="How long trainings take")
async def durations(context: Context, caller: Caller, since: Since = None, until: Until = None) -> DurationReport:
    """Average time of training and from the order to the end, in seconds."""
    return await _ask(
        context,
        caller,
        since,
        until,
        lambda ask, begin, end: DurationReport(since=begin, until=end, times=ask.average_times(since=begin, until=end)),
    )


@router.get("/steps", summary="How long trainings take, by steps")
async def steps(context: Context, caller: Caller, since: Since = None, until: Until = None) -> Report[StepTimes]:
    """Average times for each number of steps."""
    return await _rows(
        context, caller, since, until, lambda ask, begin, end: ask.times_by_steps(since=begin, until=end)
    )


@router.get("/captioning", summary="Success by captioning mode")
async def captioning(
    context: Context, caller: Caller, since: Since = None, until: Until = None
) -> Report[CaptioningRate]:
    """How many trainings ended well with each mode."""
    return await _rows(
        context, caller, since, until, lambda ask, begin, end: ask.captioning_rates(since=begin, until=end)
    )


@router.get("/dataset-sizes", summary="How long trainings take, by the size of the dataset")
async def dataset_sizes(
    context: Context, caller: Caller, since: Since = None, until: Until = None
) -> Report[DatasetBucket]:
    """In groups by the number of images."""
    return await _rows(
        context, caller, since, until, lambda ask, begin, end: ask.dataset_buckets(since=begin, until=end)
    )


@router.get("/dataset-sizes/trainings", summary="Size and time of each training")
async def dataset_times(
    context: Context, caller: Caller, since: Since = None, until: Until = None, limit: Limit = 100
) -> Report[DatasetTime]:
    """The points behind the groups, the newest first."""
    return await _rows(
        context, caller, since, until, lambda ask, begin, end: ask.dataset_times(since=begin, until=end, limit=limit)
    )


@router.get("/failures", summary="Why jobs fail")
async def failures(context: Context, caller: Caller, since: Since = None, until: Until = None) -> Report[FailureCount]:
    """Reasons, the most frequent first."""
    return await _rows(context, caller, since, until, lambda ask, begin, end: ask.failures(since=begin, until=end))


@router.get("/costs", summary="What jobs cost")
async def costs(context: Context, caller: Caller, since: Since = None, until: Until = None) -> Report[DayCost]:
    """By day and backend: measured, and estimated where nothing was measured."""
    return await _rows(context, caller, since, until, lambda ask, begin, end: ask.costs(since=begin, until=end))


@router.get(
    "/usage",
    summary="Who used what",
    response_model=UsageReport,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def usage(
    context: Context,
    caller: Caller,
    since: Since = None,
    until: Until = None,
    by: Annotated[list[By] | None, Query(description="Groups; left out: all four.")] = None,
    format: Annotated[Literal["json", "csv"], Query()] = "json",
) -> UsageReport | Response:
    """Cost of orders at providers, settled and estimated apart, and hours of the cluster's own devices."""
    begin, end = bounds(since, until)
    groups = tuple(by or BY)
    rows = await context.read(
        lambda store: read_usage(store.engine, since=begin, until=end, by=groups, sight=caller.sight)
    )
    if format == "json":
        return UsageReport(since=begin, until=end, by=list(groups), rows=rows)
    columns = [field.name for field in fields(Usage) if field.name not in BY or field.name in groups]
    headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
    return Response(csv_table(columns, map(asdict, rows)), media_type="text/csv; charset=utf-8", headers=headers)


async def _rows(
    context: ApiContext,
    caller: Principal,
    since: datetime | None,
    until: datetime | None,
    question: Question[list[Row]],
) -> Report[Row]:
    return await _ask(
        context,
        caller,
        since,
        until,
        lambda ask, begin, end: Report(since=begin, until=end, rows=question(ask, begin, end)),
    )


async def _ask(
    context: ApiContext, caller: Principal, since: datetime | None, until: datetime | None, question: Question[Answer]
) -> Answer:
    begin, end = bounds(since, until)
    return await context.read(lambda store: question(Analytics(store.engine, caller.sight), begin, end))
