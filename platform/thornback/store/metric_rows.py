"""Rows for the charts: how they are asked for and read."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa

from thornback.store.admit import clean_text
from thornback.store.rows import METRIC_COLUMNS, MetricRow, join_values
from thornback.store.tables import TrainingMetric

_metrics = TrainingMetric.__table__  # type: ignore[attr-defined]

Level = Literal["epoch", "step", "all"]

METRIC_ROW = (
    _metrics.c.event_id,
    _metrics.c.epoch,
    _metrics.c.batch,
    _metrics.c.phase,
    _metrics.c.timestamp,
    _metrics.c.extra,
    *(_metrics.c[name] for name in METRIC_COLUMNS),
)


def rows_of(job_id: str, *, level: Level, phase: str | None) -> list[sa.ColumnElement[bool]]:
    """For WHERE: the rows of a job, of epochs, of the steps inside them, or both."""
    conditions: list[sa.ColumnElement[bool]] = [_metrics.c.training_job_id == job_id]
    if level != "all":
        batch = _metrics.c.batch
        conditions.append(batch.is_(None) if level == "epoch" else batch.is_not(None))
    if phase is not None:
        conditions.append(_metrics.c.phase == clean_text(phase))
    return conditions


def values_of(row: Any) -> dict[str, float | None]:
    """Every metric of a row of `METRIC_ROW`."""
    return join_values([getattr(row, name) for name in METRIC_COLUMNS], row.extra)


def metric_row(job_id: str, row: Any) -> MetricRow:
    """A row of `METRIC_ROW`."""
    return MetricRow(
        id=row.event_id,
        job_id=job_id,
        epoch=row.epoch,
        batch=row.batch,
        phase=row.phase or "",
        values=values_of(row),
        at=row.timestamp,
    )
