"""Sweeps as they go over the wire. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from serve_apps.api.sweep_schemas import (
    SweepBudget,
    SweepOut,
    SweepVersion,
    TrialCounts,
    TrialCurve,
    TrialOut,
)
from thornback.jobs.leaderboard import Trial
from thornback.jobs.state import JobState
from thornback.jobs.sweep import FACT_SWEEP
from thornback.jobs.trials import unit_of
from thornback.jobs.versions import ModelVersion
from thornback.store.rows import MetricRow
from thornback.store.sweeps import SweepBoard

COLUMNS = (
    "number",
    "job_id",
    "state",
    "why",
    "value",
    "best_at",
    "last",
    "reached",
    "seconds",
    "cost_usd",
    "is_best",
    "created_at",
    "started_at",
    "completed_at",
)


def trial(row: Trial) -> TrialOut:
    """One row of the leaderboard."""
    job = row.job
    assert job.created_at is not None  # noqa: S101 - every job in the store was created
    return TrialOut(
        number=row.number,
        job_id=job.id,
        job_name=job.job_name,
        state=row.state,
        why=row.why,
        is_best=row.is_best,
        parameters=dict(row.parameters),
        value=row.value,
        best_at=row.best_at,
        last=row.last,
        reached=row.reached,
        source=row.source,
        progress_percent=job.progress_percent,
        seconds=None if row.seconds is None else round(row.seconds, 3),
        cost_usd=row.cost_usd,
        created_at=job.created_at,
        started_at=job.started_at,
        completed_at=job.completed_at,
    )


def sweep(board: SweepBoard, page: Sequence[Trial], *, version: ModelVersion | None, last_event_id: int) -> SweepOut:
    """A sweep and some of its trials."""
    job, config = board.sweep, board.config
    best = next((row for row in board.trials if row.is_best), None)
    counts = Counter(row.state.value for row in board.trials)
    return SweepOut(
        job_id=job.id,
        job_name=job.job_name,
        status=job.status,
        stage=job.stage,
        error_message=job.error_message,
        metric=config.metric,
        mode=config.mode,
        unit=unit(board),
        search=config.search,
        scheduler=config.scheduling.type,
        at_once=config.concurrency,
        space={name: domain.model_dump(mode="json") for name, domain in config.space.items()},
        ended_by=_ended_by(job),
        counts=TrialCounts(**counts),
        budget=_budget(board),
        best=None if best is None else trial(best),
        version=None if version is None else _version(version),
        trials=[trial(row) for row in page],
        total=len(board.trials),
        last_event_id=last_event_id,
    )


def unit(board: SweepBoard) -> str:
    """What the trials count."""
    return unit_of(str(board.config.trial.get("kind", "convnext")))


def curve(row: Trial, points: Iterable[MetricRow], *, metric: str, in_steps: bool) -> TrialCurve:
    """The metric of one trial where its rows have it."""
    found: dict[int, float] = {}  # a place that was gone through twice, after a restart, has its newest value
    for point in points:
        place = point.batch if in_steps else point.epoch
        value = point.values.get(metric)
        if place is not None and value is not None:
            found[place] = value
    return TrialCurve(number=row.number, job_id=row.job.id, points=sorted(found.items()))


def table(board: SweepBoard, rows: Iterable[Trial]) -> tuple[list[str], list[Mapping[str, Any]]]:
    """Columns and rows for spreadsheets: each searched field has a column of its own."""
    names = sorted(board.config.space)
    lines: list[Mapping[str, Any]] = []
    for row in rows:
        shown = trial(row).model_dump(mode="json")
        lines.append({**{name: row.parameters.get(name) for name in names}, **{name: shown[name] for name in COLUMNS}})
    return [*COLUMNS[:4], *names, *COLUMNS[4:]], lines


def _ended_by(job: JobState) -> str | None:
    told = job.fact(FACT_SWEEP)
    why = told.get("ended_by") if isinstance(told, Mapping) else None
    return why if isinstance(why, str) else None


def _version(found: ModelVersion) -> SweepVersion:
    return SweepVersion(model=found.model, version=found.version, user=found.user)


def _budget(board: SweepBoard) -> SweepBudget:
    budget = board.config.budget
    return SweepBudget(
        trials=board.config.planned_trials,
        hours=budget.hours,
        usd=budget.usd,
        charged_usd=board.spent.charged,
        reserved_usd=board.spent.reserved,
    )
