"""The queue: who holds it, and which jobs wait in it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from thornback.jobs.queue import PauseQueue, QueueChange, QueueHold
from thornback.jobs.status import JobStatus
from thornback.store.admit import clean_text
from thornback.store.tables import PlatformSetting, TrainingJob

_settings = PlatformSetting.__table__  # type: ignore[attr-defined]
_jobs = TrainingJob.__table__  # type: ignore[attr-defined]

_HOLD = "queue_hold"
_WAITING = [status.value for status in JobStatus if status.is_waiting]


def read_hold(connection: sa.Connection) -> QueueHold | None:
    """Who holds the queue, None where it goes on."""
    row = connection.execute(sa.select(_settings).where(_settings.c.name == _HOLD)).first()
    return None if row is None else QueueHold(by=row.set_by, at=row.set_at, reason=row.value.get("reason", ""))


def change_queue(change: QueueChange, connection: sa.Connection) -> bool:
    """Hold the queue or let it go; False where it is so already."""
    if not isinstance(change, PauseQueue):
        gone = connection.execute(sa.delete(_settings).where(_settings.c.name == _HOLD))
        return bool(gone.rowcount)
    if read_hold(connection) is not None:
        return False
    row = {"value": {"reason": clean_text(change.reason)}, "set_at": change.at, "set_by": clean_text(change.by)[:255]}
    connection.execute(sa.insert(_settings).values(name=_HOLD, **row))
    return True


def waiting_jobs(columns: tuple[Any, ...], limit: int) -> sa.Select[Any]:
    """Jobs that wait to be started, by their place; those that were not looked at yet come last, the oldest first."""
    place = _jobs.c.queue_position
    return (
        sa.select(*columns)
        .where(_jobs.c.is_active, _jobs.c.status.in_(_WAITING))
        .order_by(place.is_(None), place, _jobs.c.created_at, _jobs.c.id)
        .limit(limit)
    )
