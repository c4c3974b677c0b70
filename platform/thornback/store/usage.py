"""Who used what: orders at providers with their cost, and hours of the cluster's own devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import sqlalchemy as sa

from thornback.access.sight import Sight
from thornback.jobs.state import MANY_STEPS
from thornback.store.guard import store_errors
from thornback.store.seen import seen
from thornback.store.tables import TrainingJob

_jobs = TrainingJob.__table__  # type: ignore[attr-defined]

By = Literal["day", "user", "kind", "backend"]
BY: tuple[By, ...] = ("day", "user", "kind", "backend")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The jobs of one day, user, kind and backend, or of all where one of these is None.

    A sum is None where nothing went into it; what is not known is counted and never guessed. Jobs of several
    steps count as jobs only: what they cost and use is that of their parts.
    """

    day: date | None  # UTC, of the jobs' creation
    user: str | None
    kind: str | None
    backend: str | None
    jobs: int
    settled_jobs: int  # orders whose cost the provider has told
    settled_usd: float | None
    estimated_jobs: int  # orders with an estimate and no cost yet
    estimated_usd: float | None
    unknown_jobs: int  # orders with neither
    timed_jobs: int  # own jobs that have started and ended
    device_hours: float | None  # from the first start to the end, times the devices that were asked for
    untimed_jobs: int  # own jobs that have started and not ended


def read_usage(
    engine: sa.Engine,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    by: Sequence[By] = BY,
    sight: Sight | None = None,
) -> list[Usage]:
    """In groups by each of `by`, in the order of BY; the bounds are those of the jobs' creation.

    `sight`: whose eyes look; None: all jobs.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    sqlite = engine.dialect.name == "sqlite"
    groups = {name: _group(name, sqlite=sqlite) for name in BY if name in by}
    statement = sa.select(*(column.label(name) for name, column in groups.items()), *_sums(sqlite=sqlite))
    statement = statement.where(*seen(sight))
    if since is not None:
        statement = statement.where(_jobs.c.created_at >= since)
    if until is not None:
        statement = statement.where(_jobs.c.created_at < until)
    if groups:
        statement = statement.group_by(*groups.values()).order_by(*groups.values())
    with store_errors(), engine.connect() as connection:
        return [_usage(row._mapping) for row in connection.execute(statement)]


_SEVERAL = _jobs.c.kind.in_(sorted(MANY_STEPS))
_OWN = sa.and_(_jobs.c.backend == "ray", sa.not_(_SEVERAL))
_ORDER = sa.and_(_jobs.c.backend != "ray", sa.not_(_SEVERAL))
_COST, _ESTIMATE = _jobs.c.cost_usd, _jobs.c.cost_estimate_usd
_SETTLED = sa.and_(_ORDER, _COST.is_not(None))
_ESTIMATED = sa.and_(_ORDER, _COST.is_(None), _ESTIMATE.is_not(None))
_UNKNOWN = sa.and_(_ORDER, _COST.is_(None), _ESTIMATE.is_(None))
_TIMED = sa.and_(_OWN, _jobs.c.started_at.is_not(None), _jobs.c.completed_at.is_not(None))
_UNTIMED = sa.and_(_OWN, _jobs.c.started_at.is_not(None), _jobs.c.completed_at.is_(None))
_DEVICES = sa.func.coalesce(_jobs.c.config["devices"].as_integer(), 1)


def _sums(*, sqlite: bool) -> list[sa.ColumnElement[Any]]:
    seconds = _seconds(sqlite=sqlite)
    return [
        sa.func.count().label("jobs"),
        _count(_SETTLED).label("settled_jobs"),
        _sum(_SETTLED, _COST).label("settled_usd"),
        _count(_ESTIMATED).label("estimated_jobs"),
        _sum(_ESTIMATED, _ESTIMATE).label("estimated_usd"),
        _count(_UNKNOWN).label("unknown_jobs"),
        _count(_TIMED).label("timed_jobs"),
        (_sum(_TIMED, seconds * _DEVICES) / 3600.0).label("device_hours"),
        _count(_UNTIMED).label("untimed_jobs"),
    ]


def _group(name: By, *, sqlite: bool) -> sa.ColumnElement[Any]:
    if name != "day":
        column: sa.ColumnElement[Any] = _jobs.c[name]
        return column
    created = _jobs.c.created_at
    return sa.func.date(created if sqlite else sa.func.timezone("UTC", created))


def _seconds(*, sqlite: bool) -> sa.ColumnElement[float]:
    begin, end = _jobs.c.started_at, _jobs.c.completed_at
    if sqlite:
        return (sa.func.julianday(end) - sa.func.julianday(begin)) * 86400.0
    return sa.cast(sa.extract("epoch", end - begin), sa.Double)


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


def _sum(condition: sa.ColumnElement[bool], value: sa.ColumnElement[Any]) -> sa.ColumnElement[float]:
    return sa.func.sum(sa.case((condition, value)))


def _usage(row: sa.RowMapping) -> Usage:
    day = row.get("day")
    hours = row["device_hours"]
    return Usage(
        day=None if day is None else date.fromisoformat(str(day)),
        user=row.get("user"),
        kind=row.get("kind"),
        backend=row.get("backend"),
        jobs=row["jobs"],
        settled_jobs=row["settled_jobs"],
        settled_usd=row["settled_usd"],
        estimated_jobs=row["estimated_jobs"],
        estimated_usd=row["estimated_usd"],
        unknown_jobs=row["unknown_jobs"],
        timed_jobs=row["timed_jobs"],
        device_hours=None if hours is None else max(0.0, float(hours)),
        untimed_jobs=row["untimed_jobs"],
    )
