"""Trials inside the writer's transactions: the jobs of which a sweep consists, and how many jobs they count as."""

from __future__ import annotations

import sqlalchemy as sa

from thornback.jobs.state import JobState
from thornback.store.columns import canonical_id
from thornback.store.state_codec import decode_state
from thornback.store.tables import TrainingJob

_jobs = TrainingJob.__table__  # type: ignore[attr-defined]

SWEEP = "sweep"


def is_going_on() -> sa.ColumnElement[bool]:
    """A job that waits or runs."""
    return sa.and_(_jobs.c.is_active, _jobs.c.status.in_(("queued", "pending", "running")))


def sweep_of(connection: sa.Connection, trial: JobState) -> JobState | None:
    """The sweep that a job is a trial of, None where it is none or the sweep is gone."""
    if trial.parent_id is None:
        return None
    wanted = sa.select(_jobs.c.state).where(_jobs.c.id == canonical_id(trial.parent_id), _jobs.c.kind == SWEEP)
    row = connection.execute(wanted).first()
    return None if row is None else decode_state(row.state)


def has_others(connection: sa.Connection, trial: JobState) -> bool:
    """Whether another trial of the same sweep waits or runs."""
    others = sa.and_(_jobs.c.parent_id == trial.parent_id, _jobs.c.id != trial.id, is_going_on())
    return connection.execute(sa.select(_jobs.c.id).where(others).limit(1)).first() is not None


def count_beyond_first(connection: sa.Connection, *whose: sa.ColumnElement[bool]) -> int:
    """How many trials wait or run beyond the first of their sweep: it counts as many jobs as it has at once."""
    sweeps = _jobs.alias("sweeps")
    trials = _jobs.join(sweeps, sa.and_(sweeps.c.id == _jobs.c.parent_id, sweeps.c.kind == SWEEP))
    counted = sa.select(sa.func.count(), sa.func.count(sa.distinct(_jobs.c.parent_id))).select_from(trials)
    all_trials, parents = connection.execute(counted.where(is_going_on(), *whose)).one()
    return int(all_trials) - int(parents)
