"""The failures of a time, for the rules of alerts."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from thornback.jobs.alerts import Failure
from thornback.jobs.status import JobStatus
from thornback.store.guard import store_errors
from thornback.store.tables import TrainingJob

_jobs = TrainingJob.__table__  # type: ignore[attr-defined]

# A storm of failures is told of all the same; its oldest ones are not looked at.
MOST = 10_000


def read_failures(engine: sa.Engine, *, since: datetime, until: datetime | None = None) -> list[Failure]:
    """Jobs that failed after `since`, up to and with `until`, the oldest first; of too many the newest.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    columns = ("id", "job_name", "kind", "backend", "tags", "completed_at", "failure", "error_message")
    conditions = [_jobs.c.status == JobStatus.FAILED.value, _jobs.c.completed_at > since]
    if until is not None:
        conditions.append(_jobs.c.completed_at <= until)
    newest = sa.select(*(_jobs.c[name] for name in columns)).where(*conditions)
    newest = newest.order_by(_jobs.c.completed_at.desc(), _jobs.c.id.desc()).limit(MOST)
    with store_errors(), engine.connect() as connection:
        rows = connection.execute(newest).all()
    return [
        Failure(
            job_id=row.id,
            job_name=row.job_name,
            kind=row.kind,
            backend=row.backend,
            tags=row.tags,
            at=row.completed_at,
            reason=row.failure,
            message=row.error_message,
        )
        for row in reversed(rows)
    ]
