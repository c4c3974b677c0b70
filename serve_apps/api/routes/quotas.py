"""Quotas: what users and teams may have; and the ledger of what was spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response

from serve_apps.api.context import ApiContext, Context
from serve_apps.api.create import json_only
from serve_apps.api.csv_table import csv_table
from serve_apps.api.period import Since, Until, bounds
from serve_apps.api.principal import Caller
from serve_apps.api.quota_schemas import (
    LedgerPage,
    MovementOut,
    MyQuotas,
    OwnLimits,
    QuotaIn,
    QuotaList,
    QuotaOut,
    SetFor,
    SpendReport,
    SpentOut,
)
from thornback.spend.prices import Tariff
from thornback.spend.quotas import ClearQuota, Holder, SetQuota, end_of
from thornback.store.quotas import QuotaReader
from thornback.store.spend_report import SPEND_BY, SpendBy, read_movements, read_spent

router = APIRouter(tags=["quotas"], dependencies=[Depends(json_only)])
QUOTAS = "/api/v1/quotas"
REPORTS = "/api/v1/reports"
MOST_ROWS = 10_000

Kind = Literal["user", "team"]
Name = Annotated[str, Path(min_length=1, max_length=255)]
Format = Annotated[Literal["json", "csv"], Query()]
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


@router.get(QUOTAS, summary="All quotas")
async def list_quotas(context: Context) -> QuotaList:
    """The limits of the settings, and those that admins have set for somebody."""
    settings = context.settings
    now = datetime.now(UTC)
    found = await context.read(lambda store: _reader(context).all(at=now))
    return QuotaList(
        user=settings.quota_user,
        team=settings.quota_team,
        warn_share=settings.quota_warn_share,
        prices={str(name): price for name, price in settings.prices.items()},
        set_for=[SetFor(kind=own.holder.kind, name=own.holder.name, own=OwnLimits.of(own)) for own in found],
    )


@router.get(f"{QUOTAS}/mine", summary="Your quotas")
async def my_quotas(context: Context, caller: Caller) -> MyQuotas:
    """Your own and those of your teams, with what is used of them."""
    holders = [Holder("user", caller.user), *(Holder("team", team) for team in sorted(caller.teams))]
    return MyQuotas(quotas=[await _quota(context, holder) for holder in holders])


@router.get(f"{QUOTAS}/{{kind}}/{{name}}", summary="Somebody's quotas")
async def get_quota(context: Context, kind: Kind, name: Name) -> QuotaOut:
    """What a user or a team may have, and what they have. Of one that nobody knows: nothing."""
    return await _quota(context, Holder(kind, name))


@router.put(f"{QUOTAS}/{{kind}}/{{name}}", summary="Set somebody's quotas")
async def set_quota(context: Context, caller: Caller, kind: Kind, name: Name, body: QuotaIn) -> QuotaOut:
    """Limits of their own; they replace those that were set before and hold from now on.

    What allows more than the settings ends: at `until`, or with its day (where only `usd_day` is lifted) or month.
    """
    now, settings = datetime.now(UTC), context.settings
    limits = body.model_dump(exclude_unset=True, exclude={"note", "until"})
    defaults = settings.quota_user if kind == "user" else settings.quota_team
    ends_at = end_of(limits, defaults, wanted=body.until, at=now)
    holder = Holder(kind, name)
    change = SetQuota(holder=holder, limits=limits, note=body.note, by=caller.user, at=now, ends_at=ends_at)
    await context.recorder.administer(change)
    return await _quota(context, change.holder)


@router.delete(f"{QUOTAS}/{{kind}}/{{name}}", summary="Back to the settings")
async def clear_quota(context: Context, caller: Caller, kind: Kind, name: Name) -> QuotaOut:
    """Nothing of their own any more."""
    holder = Holder(kind, name)
    await context.recorder.administer(ClearQuota(holder=holder, by=caller.user, at=datetime.now(UTC)))
    return await _quota(context, holder)


@router.get(f"{REPORTS}/spend", summary="What was spent", response_model=SpendReport, responses=_CSV)
async def spend(
    context: Context,
    caller: Caller,
    since: Since = None,
    until: Until = None,
    by: Annotated[list[SpendBy] | None, Query(description="Groups; left out: user and backend.")] = None,
    format: Format = "json",
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 1000,
) -> SpendReport | Response:
    """Sums of the ledger: what jobs have cost, and what is set aside for those that have not ended.

    The bounds are those of the day on which a job, or the one that it is a part of, was admitted.
    """
    begin, end = bounds(since, until)
    groups = [name for name in SPEND_BY if name in (by or ("user", "backend"))]
    found = await context.read(
        lambda store: read_spent(store.engine, since=begin, until=end, by=groups, sight=caller.sight, limit=limit)
    )
    rows = [SpentOut.of(row) for row in found]
    if format == "json":
        return SpendReport(since=begin, until=end, by=groups, rows=rows)
    columns = [name for name in SpentOut.model_fields if name not in SPEND_BY or name in groups]
    return _csv("spend.csv", columns, (row.model_dump() for row in rows))


@router.get(f"{REPORTS}/ledger", summary="The ledger", response_model=LedgerPage, responses=_CSV)
async def ledger(
    context: Context,
    caller: Caller,
    since: Since = None,
    until: Until = None,
    user: Annotated[str | None, Query(max_length=255)] = None,
    team: Annotated[str | None, Query(max_length=100)] = None,
    job: Annotated[UUID | None, Query(description="Id of a job.")] = None,
    after: Annotated[int, Query(ge=0, le=2**62, description="`next_after` of the page before.")] = 0,
    format: Format = "json",
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 1000,
) -> LedgerPage | Response:
    """Every movement; rows are never changed. The sum of a job's rows is what it costs."""
    begin, end = bounds(since, until)
    found = await context.read(
        lambda store: read_movements(
            store.engine,
            since=begin,
            until=end,
            after=after,
            user=user,
            team=team,
            job_id=None if job is None else str(job),
            sight=caller.sight,
            limit=limit + 1,
        )
    )
    rows = [MovementOut.of(row) for row in found[:limit]]
    if format == "json":
        return LedgerPage(rows=rows, next_after=rows[-1].id if len(found) > limit else None)
    return _csv("ledger.csv", list(MovementOut.model_fields), (row.model_dump() for row in rows))


async def _quota(context: ApiContext, holder: Holder) -> QuotaOut:
    now = datetime.now(UTC)
    found = await context.read(lambda store: _reader(context).of(holder, at=now))
    return QuotaOut.of(holder.kind, holder.name, found)


def _reader(context: ApiContext) -> QuotaReader:
    return QuotaReader(context.reader.engine, Tariff.of(context.settings))


def _csv(name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(csv_table(columns, rows), media_type="text/csv; charset=utf-8", headers=headers)
