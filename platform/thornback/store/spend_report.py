"""What was spent, from the ledger: by day, user, team, job, kind and provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import sqlalchemy as sa

from thornback.access.sight import Sight
from thornback.spend.money import hours
from thornback.store.admit import clean_text
from thornback.store.columns import canonical_id
from thornback.store.guard import store_errors
from thornback.store.seen import seen
from thornback.store.tables_spend import LedgerRow

_ledger = LedgerRow.__table__  # type: ignore[attr-defined]

SpendBy = Literal["day", "user", "team", "job_id", "kind", "backend"]
SPEND_BY: tuple[SpendBy, ...] = ("day", "user", "team", "job_id", "kind", "backend")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """The ledger of one group; what it is not grouped by is None."""

    day: date | None  # UTC, on which the job, or the one that it is a part of, was admitted
    user: str | None
    team: str | None
    job_id: str | None
    kind: str | None
    backend: str | None
    jobs: int  # that have rows in the ledger; deleted ones too
    charged_micro_usd: int  # of jobs that have ended
    reserved_micro_usd: int  # set aside for those that have not
    charged_gpu_hours: float
    reserved_gpu_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A row of the ledger."""

    id: int
    at: datetime
    booked_at: datetime
    job_id: str
    user: str
    team: str | None
    kind: str
    backend: str
    entry: str
    micro_usd: int
    gpu_ms: int
    basis: str


def read_spent(
    engine: sa.Engine,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    by: Sequence[SpendBy] = ("user",),
    sight: Sight | None = None,
    limit: int,
) -> list[Spent]:
    """In groups by each of `by`, in the order of SPEND_BY. Raises StoreUnavailable."""
    groups = {name: _group(name, sqlite=engine.dialect.name == "sqlite") for name in SPEND_BY if name in by}
    is_cost = _ledger.c.entry.in_(("charged", "corrected"))
    statement = sa.select(
        *(column.label(name) for name, column in groups.items()),
        sa.func.count(sa.distinct(_ledger.c.job_id)).label("jobs"),
        *(
            sa.func.sum(sa.case((condition, _ledger.c[column]), else_=0)).label(name)
            for name, condition, column in (
                ("charged", is_cost, "micro_usd"),
                ("reserved", sa.not_(is_cost), "micro_usd"),
                ("charged_ms", is_cost, "gpu_ms"),
                ("reserved_ms", sa.not_(is_cost), "gpu_ms"),
            )
        ),
    ).where(*_within(since, until), *seen(sight, _ledger))
    if groups:
        statement = statement.group_by(*groups.values()).order_by(*groups.values())
    with store_errors(), engine.connect() as connection:
        return [_spent(row._mapping) for row in connection.execute(statement.limit(limit))]


def read_movements(
    engine: sa.Engine,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    after: int = 0,
    user: str | None = None,
    team: str | None = None,
    job_id: str | None = None,
    sight: Sight | None = None,
    limit: int,
) -> list[Movement]:
    """Rows with a number above `after`, the oldest first. Raises StoreUnavailable."""
    statement = sa.select(_ledger).where(_ledger.c.id > after, *_within(since, until), *seen(sight, _ledger))
    for column, wanted in ((_ledger.c.user, user), (_ledger.c.team, team)):
        if wanted is not None:
            statement = statement.where(column == clean_text(wanted))
    if job_id is not None:
        statement = statement.where(_ledger.c.job_id == canonical_id(job_id))
    with store_errors(), engine.connect() as connection:
        rows = connection.execute(statement.order_by(_ledger.c.id).limit(limit))
        return [Movement(**row._mapping) for row in rows]


def _within(since: datetime | None, until: datetime | None) -> list[sa.ColumnElement[bool]]:
    bounds = []
    if since is not None:
        bounds.append(_ledger.c.booked_at >= since)
    if until is not None:
        bounds.append(_ledger.c.booked_at < until)
    return bounds


def _group(name: SpendBy, *, sqlite: bool) -> sa.ColumnElement[Any]:
    if name != "day":
        column: sa.ColumnElement[Any] = _ledger.c[name]
        return column
    booked = _ledger.c.booked_at
    return sa.func.date(booked if sqlite else sa.func.timezone("UTC", booked))


def _spent(row: sa.RowMapping) -> Spent:
    day = row.get("day")
    return Spent(
        day=None if day is None else date.fromisoformat(str(day)),
        user=row.get("user"),
        team=row.get("team"),
        job_id=row.get("job_id"),
        kind=row.get("kind"),
        backend=row.get("backend"),
        jobs=row["jobs"],
        charged_micro_usd=int(row["charged"] or 0),
        reserved_micro_usd=int(row["reserved"] or 0),
        charged_gpu_hours=hours(int(row["charged_ms"] or 0)),
        reserved_gpu_hours=hours(int(row["reserved_ms"] or 0)),
    )
