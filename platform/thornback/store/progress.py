"""How far a job was at which time, and who said so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from thornback.jobs.events import EventKind
from thornback.jobs.progress import Origin
from thornback.store.guard import store_errors
from thornback.store.tables import JobEventRow

_events = JobEventRow.__table__  # type: ignore[attr-defined]
_KINDS = (EventKind.PROGRESS.value, EventKind.SUCCEEDED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressPoint:
    """What one event said."""

    event_id: int
    at: datetime
    percent: float  # 0..100
    origin: Origin
    attempt: int


def read_progress(engine: sa.Engine, job_id: str, *, most: int) -> list[ProgressPoint]:
    """A job's points in their order, thinned to about `most`; none for an unknown job.

    A success is a point too: 100, reported. Where the points are thinned, those stay where another origin or attempt
    begins or ends.
    """
    statement = (
        sa.select(_events.c.id, _events.c.at, _events.c.kind, _events.c.data)
        .where(_events.c.job_id == job_id, _events.c.kind.in_(_KINDS))
        .order_by(_events.c.id)
    )
    with store_errors(), engine.connect() as connection:
        return thin([_point(row) for row in connection.execute(statement)], most)


def _point(row: sa.Row[tuple[int, datetime, str, dict[str, object]]]) -> ProgressPoint:
    data = row.data or {}
    is_end = row.kind == EventKind.SUCCEEDED.value
    return ProgressPoint(
        event_id=row.id,
        at=row.at,
        percent=100.0 if is_end else float(data["percent"]),
        origin=Origin.REPORTED if is_end else Origin(data.get("origin", Origin.REPORTED)),
        attempt=int(data.get("attempt", 1)),
    )


def thin(points: list[ProgressPoint], most: int) -> list[ProgressPoint]:
    """About `most` of the points, evenly, the first, the last and every turn among them; never twice as many."""
    if len(points) <= most:
        return points
    step = -(-len(points) // most)
    last = len(points) - 1
    kept = [point for at, point in enumerate(points) if at % step == 0 or at == last or _turns(points, at)]
    return kept if len(kept) < 2 * most else [*points[:last:step], points[last]]


def _turns(points: Sequence[ProgressPoint], at: int) -> bool:
    beside = points[max(0, at - 1) : at + 2]
    return len({(point.origin, point.attempt) for point in beside}) > 1
