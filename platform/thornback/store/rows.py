"""Events <-> rows, so that what is read back equals what was committed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from thornback.jobs.events import EventKind

# Metrics with a column of their own; all others go into `extra`.
METRIC_COLUMNS = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate", "gradient_norm")
_METRIC_COLUMNS = frozenset(METRIC_COLUMNS)
_METRIC_FIELDS = frozenset({"epoch", "batch", "phase", "values"})
LOG_FIELDS = ("attempt", "restart", "rank", "seq", "lines")
_LOG_FIELDS = frozenset(LOG_FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """One row for the charts; `id` is that of its event and grows."""

    id: int
    job_id: str
    epoch: int
    batch: int | None  # None: the epoch's own row
    phase: str
    values: Mapping[str, float | None]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChunk:
    """Lines that one process printed; `id` is that of their event and grows."""

    id: int
    job_id: str
    attempt: int
    restart: int
    rank: int  # -1: the driver
    seq: int
    lines: tuple[str, ...]
    at: datetime


def stream_data(kind: EventKind, data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What `job_events.data` keeps: all of it, or what the event's own table has no column for."""
    own = _METRIC_FIELDS if kind is EventKind.METRICS else _LOG_FIELDS if kind is EventKind.LOG else None
    if own is None:
        return data
    return {name: value for name, value in data.items() if name not in own} or None if len(data) > len(own) else None


def split_values(values: Mapping[str, float | None]) -> tuple[list[float | None], dict[str, float | None] | None]:
    """Values of `METRIC_COLUMNS`, and the rest; a column's None is kept in the rest to tell it from absence."""
    extra = {name: value for name, value in values.items() if value is None or name not in _METRIC_COLUMNS}
    return [values.get(name) for name in METRIC_COLUMNS], extra or None


def join_values(columns: Sequence[float | None], extra: Mapping[str, float | None] | None) -> dict[str, float | None]:
    """The values that `split_values` split."""
    values = {name: value for name, value in zip(METRIC_COLUMNS, columns, strict=True) if value is not None}
    return {**values, **(extra or {})}


def metric_id(event_id: int) -> str:
    """The row's UUID (version 8, RFC 9562): the event's id in its last 48 bits, so that it costs no randomness."""
    return f"00000000-0000-8000-8000-{event_id:012x}"
