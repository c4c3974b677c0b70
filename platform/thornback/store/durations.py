"""What trainings took before: for the time left of one that has said nothing yet, and before one is started."""

from __future__ import annotations

import sqlalchemy as sa

from thornback.jobs.pace import PastRun
from thornback.jobs.status import JobStatus
from thornback.store.cells import cut
from thornback.store.tables import TrainingJob

_jobs = TrainingJob.__table__  # type: ignore[attr-defined]

# The steps that were asked for, where the provider did not repeat them. Other kinds may call anything `steps`.
_ASKED = sa.case((_jobs.c.kind == "lora", _jobs.c.config["steps"].as_integer()))
STEPS = sa.func.coalesce(_jobs.c.training_steps, _ASKED)
# On the provider's machine or, where it does not tell that, from the order to the end.
SECONDS = sa.func.coalesce(_jobs.c.predict_time, _jobs.c.total_time)


def read_durations(connection: sa.Connection, provider: str, trainer: str, *, limit: int) -> list[tuple[int, float]]:
    """(steps, seconds) of completed trainings, the newest first."""
    statement = (
        sa.select(STEPS.label("steps"), SECONDS.label("seconds"))
        .where(
            _jobs.c.provider == cut(provider, 50),
            _jobs.c.trainer == cut(trainer, 200),
            _jobs.c.status == JobStatus.COMPLETED.value,
            STEPS.is_not(None),
            SECONDS.is_not(None),
        )
        .order_by(_jobs.c.completed_at.desc())
        .limit(limit)
    )
    return [(row.steps, row.seconds) for row in connection.execute(statement)]


def read_own_runs(connection: sa.Connection, kind: str, backend: str, *, limit: int) -> list[PastRun]:
    """Completed jobs of a kind, the newest first; seconds from the first start to the end."""
    statement = (
        sa.select(_jobs.c.config, _jobs.c.current_epoch, _jobs.c.started_at, _jobs.c.completed_at)
        .where(
            _jobs.c.kind == cut(kind, 50),
            _jobs.c.backend == cut(backend, 50),
            _jobs.c.status == JobStatus.COMPLETED.value,
            _jobs.c.started_at.is_not(None),
            _jobs.c.completed_at.is_not(None),
        )
        .order_by(_jobs.c.completed_at.desc())
        .limit(limit)
    )
    return [
        PastRun(
            config=row.config, epochs=row.current_epoch, seconds=(row.completed_at - row.started_at).total_seconds()
        )
        for row in connection.execute(statement)
    ]
