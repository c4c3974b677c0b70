"""Questions over all jobs: how often, how long, how much.

What a training was given is in the columns of those alone that succeeded; for the others it is taken
from what they asked for, since a rate over successes alone would always be 100 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import sqlalchemy as sa

from thornback.access.sight import Sight
from thornback.jobs.status import JobStatus
from thornback.store.cells import MAX_BIG_INT
from thornback.store.durations import SECONDS, STEPS
from thornback.store.guard import store_errors
from thornback.store.seen import seen
from thornback.store.tables import TrainingJob

_jobs = TrainingJob.__table__  # type: ignore[attr-defined]

# Images in a dataset, at least; the last bucket is open.
BUCKETS = (1, 10, 20, 50, 100, 200, 500)

_WORD = sa.func.coalesce(_jobs.c.trigger_word, _jobs.c.config["trigger_word"].as_string())
_CAPTIONING = sa.func.coalesce(_jobs.c.captioning, _jobs.c.config["captioning"].as_string())
_COMPLETED = _jobs.c.status == JobStatus.COMPLETED.value
_ENDED = _jobs.c.status.in_([status.value for status in JobStatus if status.is_final])
_COUNT = sa.func.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerWord:
    """A trigger word and the trainings that asked for it."""

    trigger_word: str
    jobs: int
    by_status: Mapping[str, int]  # only statuses that occur
    last_created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Averages over trainings that succeeded, in seconds; None where there is none."""

    jobs: int
    predict_time: float | None  # on the provider's machine
    total_time: float | None  # from the order to the end


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes(Times):
    """The same for one number of steps."""

    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptioningRate:
    """How often trainings with one way of captioning succeed."""

    captioning: str
    jobs: int
    ended: int  # completed, failed or cancelled
    succeeded: int
    success_rate_percent: float | None  # of those that ended; None where none has


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetTime:
    """A training that succeeded: how much it was given and how long it took."""

    job_id: str
    dataset_size: int  # images
    steps: int | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetBucket:
    """The averages of trainings with datasets of about one size."""

    least: int  # images
    most: int | None  # None: open
    jobs: int
    seconds: float
    seconds_per_step: float | None  # over those whose steps are known


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCount:
    """How often jobs failed for one reason."""

    reason: str  # a FailureReason
    jobs: int
    share_percent: float  # of all failures
    last_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCost:
    """What the jobs of one day cost at one backend."""

    day: date  # UTC, of the jobs' creation
    backend: str
    jobs: int
    cost_usd: float  # measured
    estimate_usd: float  # of the jobs whose cost is not known


class Analytics:
    """One method per question; `since` (with it) and `until` (without it) bound the jobs' creation.

    Every method raises StoreUnavailable where the database does not answer.
    """

    def __init__(self, engine: sa.Engine, sight: Sight | None = None) -> None:
        """`sight`: whose eyes look; None: all jobs."""
        self._engine, self._seen = engine, seen(sight)

    def by_trigger_word(
        self, *, since: datetime | None = None, until: datetime | None = None, limit: int = 1000
    ) -> list[TriggerWord]:
        """Trigger words in their alphabetical order."""
        return self._trigger_words(since, until, limit, [sa.text("word")])

    def popular_trigger_words(
        self, *, since: datetime | None = None, until: datetime | None = None, limit: int = 20
    ) -> list[TriggerWord]:
        """Trigger words, those that most trainings asked for first."""
        return self._trigger_words(since, until, limit, [sa.text("jobs DESC"), sa.text("word")])

    def average_times(self, *, since: datetime | None = None, until: datetime | None = None) -> Times:
        """Over all trainings that succeeded and whose time is known."""
        statement = sa.select(*_AVERAGES).where(_COMPLETED, _jobs.c.predict_time.is_not(None))
        (row,) = self._rows(statement, since, until)
        return Times(jobs=row.jobs, predict_time=row.predict_time, total_time=row.total_time)

    def times_by_steps(self, *, since: datetime | None = None, until: datetime | None = None) -> list[StepTimes]:
        """Trainings that succeeded, by their number of steps."""
        statement = sa.select(STEPS.label("steps"), *_AVERAGES).where(_COMPLETED, STEPS.is_not(None))
        rows = self._rows(statement.group_by(STEPS).order_by(STEPS), since, until)
        return [
            StepTimes(steps=row.steps, jobs=row.jobs, predict_time=row.predict_time, total_time=row.total_time)
            for row in rows
        ]

    def captioning_rates(self, *, since: datetime | None = None, until: datetime | None = None) -> list[CaptioningRate]:
        """Success by captioning mode; trainings without one are left out."""
        statement = sa.select(
            _CAPTIONING.label("captioning"),
            _COUNT.label("jobs"),
            _count_if(_ENDED).label("ended"),
            _count_if(_COMPLETED).label("succeeded"),
        ).where(_CAPTIONING.is_not(None))
        rows = self._rows(statement.group_by(_CAPTIONING).order_by(_CAPTIONING), since, until)
        return [
            CaptioningRate(
                captioning=row.captioning,
                jobs=row.jobs,
                ended=row.ended,
                succeeded=row.succeeded,
                success_rate_percent=percent(row.succeeded, row.ended) if row.ended else None,
            )
            for row in rows
        ]

    def dataset_times(
        self, *, since: datetime | None = None, until: datetime | None = None, limit: int = 1000
    ) -> list[DatasetTime]:
        """Trainings that succeeded and whose dataset's size is known, the newest first."""
        columns = (_jobs.c.id, _jobs.c.dataset_size, STEPS.label("steps"), SECONDS.label("seconds"))
        statement = sa.select(*columns).where(*_SIZED).order_by(_jobs.c.created_at.desc()).limit(_most(limit))
        return [
            DatasetTime(job_id=row.id, dataset_size=row.dataset_size, steps=row.steps, seconds=row.seconds)
            for row in self._rows(statement, since, until)
        ]

    def dataset_buckets(self, *, since: datetime | None = None, until: datetime | None = None) -> list[DatasetBucket]:
        """The same in groups by size; groups without a training are left out."""
        size = _jobs.c.dataset_size
        bucket = sa.case(*((size >= least, number) for number, least in reversed([*enumerate(BUCKETS)])), else_=0)
        statement = sa.select(
            bucket.label("bucket"),
            _COUNT.label("jobs"),
            sa.func.avg(SECONDS).label("seconds"),
            sa.func.avg(SECONDS / sa.func.nullif(STEPS, 0)).label("per_step"),
        ).where(*_SIZED)
        return [
            DatasetBucket(
                least=BUCKETS[row.bucket],
                most=BUCKETS[row.bucket + 1] - 1 if row.bucket + 1 < len(BUCKETS) else None,
                jobs=row.jobs,
                seconds=row.seconds,
                seconds_per_step=row.per_step,
            )
            for row in self._rows(statement.group_by(sa.text("bucket")).order_by(sa.text("bucket")), since, until)
        ]

    def failures(self, *, since: datetime | None = None, until: datetime | None = None) -> list[FailureCount]:
        """Jobs of any kind that failed, the most frequent reason first."""
        last = sa.func.max(_jobs.c.completed_at).label("last_at")
        statement = sa.select(_jobs.c.failure.label("reason"), _COUNT.label("jobs"), last).where(
            _jobs.c.failure.is_not(None)
        )
        grouped = statement.group_by(_jobs.c.failure).order_by(sa.text("jobs DESC"), _jobs.c.failure)
        rows = self._rows(grouped, since, until)
        total = sum(row.jobs for row in rows)
        return [
            FailureCount(reason=row.reason, jobs=row.jobs, share_percent=percent(row.jobs, total), last_at=row.last_at)
            for row in rows
        ]

    def costs(self, *, since: datetime | None = None, until: datetime | None = None) -> list[DayCost]:
        """Jobs of any kind with a cost, by day and backend."""
        utc = _jobs.c.created_at
        day = sa.func.date(utc if self._engine.dialect.name == "sqlite" else sa.func.timezone("UTC", utc)).label("day")
        measured, estimated = _jobs.c.cost_usd, _jobs.c.cost_estimate_usd
        statement = sa.select(
            day,
            _jobs.c.backend,
            _COUNT.label("jobs"),
            sa.func.coalesce(sa.func.sum(measured), 0.0).label("cost"),
            sa.func.coalesce(sa.func.sum(sa.case((measured.is_(None), estimated))), 0.0).label("estimate"),
        ).where(sa.or_(measured.is_not(None), estimated.is_not(None)))
        grouped = statement.group_by(day, _jobs.c.backend).order_by(day, _jobs.c.backend)
        return [
            DayCost(
                day=date.fromisoformat(str(row.day)),
                backend=row.backend,
                jobs=row.jobs,
                cost_usd=row.cost,
                estimate_usd=row.estimate,
            )
            for row in self._rows(grouped, since, until)
        ]

    def _trigger_words(
        self, since: datetime | None, until: datetime | None, limit: int, order: Sequence[sa.TextClause]
    ) -> list[TriggerWord]:
        counts = [_count_if(_jobs.c.status == status.value).label(status.value) for status in JobStatus]
        last = sa.func.max(_jobs.c.created_at).label("last_at")
        statement = sa.select(_WORD.label("word"), _COUNT.label("jobs"), last, *counts).where(_WORD.is_not(None))
        rows = self._rows(statement.group_by(_WORD).order_by(*order).limit(_most(limit)), since, until)
        return [
            TriggerWord(
                trigger_word=row.word,
                jobs=row.jobs,
                by_status={name.value: count for name in JobStatus if (count := getattr(row, name.value))},
                last_created_at=row.last_at,
            )
            for row in rows
        ]

    def _rows(self, statement: sa.Select[Any], since: datetime | None, until: datetime | None) -> Sequence[sa.Row[Any]]:
        if since is not None:
            statement = statement.where(_jobs.c.created_at >= since)
        if until is not None:
            statement = statement.where(_jobs.c.created_at < until)
        statement = statement.where(*self._seen)
        with store_errors(), self._engine.connect() as connection:
            return connection.execute(statement).all()


def percent(part: int, whole: int) -> float:
    """Of 100, to two places, halves upwards as SQL's ROUND does."""
    return float((Decimal(100 * part) / whole).quantize(Decimal("0.01"), ROUND_HALF_UP))


def _count_if(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0))


def _most(limit: int) -> int:
    return min(max(limit, 0), MAX_BIG_INT)


_AVERAGES = (
    _COUNT.label("jobs"),
    sa.func.avg(_jobs.c.predict_time).label("predict_time"),
    sa.func.avg(_jobs.c.total_time).label("total_time"),
)
# Other kinds of jobs have datasets of something else than images.
_SIZED = (_COMPLETED, _jobs.c.kind == "lora", _jobs.c.dataset_size.is_not(None), SECONDS.is_not(None))
