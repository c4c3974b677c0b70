"""A sweep with its trials and what they cost, to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from thornback.errors import NotFound
from thornback.jobs.leaderboard import Trial, leaderboard
from thornback.jobs.state import JobState
from thornback.jobs.sweep import SweepConfig
from thornback.spend.money import usd
from thornback.store.guard import store_errors
from thornback.store.read import StoreReader
from thornback.store.tables_spend import LedgerRow
from thornback.store.trials import SWEEP

_ledger = LedgerRow.__table__  # type: ignore[attr-defined]
_IN_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Of some jobs together, in US dollars."""

    charged: float = 0.0  # of those that have ended
    reserved: float = 0.0  # set aside for those that have not


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepBoard:
    """A sweep and its leaderboard."""

    sweep: JobState
    config: SweepConfig
    trials: Sequence[Trial]  # by number
    spent: Costs  # of all trials


def read_sweep(store: StoreReader, sweep_id: str, *, now: datetime) -> SweepBoard:
    """A sweep with all of its trials.

    Raises:
        JobNotFound: there is no such job.
        NotFound: it is no sweep.
    """
    sweep = store.job(sweep_id).state
    if sweep.kind != SWEEP:
        raise NotFound(f"job {sweep_id} is of kind {sweep.kind} and no sweep", job_id=sweep_id)
    config = SweepConfig.model_validate(sweep.spec["config"])
    trials = leaderboard(store.parts(sweep.id), mode=config.mode, now=now)
    costs = _costs(store.engine, [job.id for trial in trials for job in (trial.job, *trial.earlier)])
    return SweepBoard(
        sweep=sweep,
        config=config,
        trials=[replace(trial, cost_usd=_cost(trial, costs)) for trial in trials],
        spent=Costs(
            charged=round(sum(cost.charged for cost in costs.values()), 6),
            reserved=round(sum(cost.reserved for cost in costs.values()), 6),
        ),
    )


def _cost(trial: Trial, costs: Mapping[str, Costs]) -> float | None:
    found = [costs[job.id] for job in (trial.job, *trial.earlier) if job.id in costs]
    return round(sum(cost.charged + cost.reserved for cost in found), 6) if found else None


def _costs(engine: sa.Engine, job_ids: Sequence[str]) -> Mapping[str, Costs]:
    """By job; those without rows in the ledger are left out."""
    is_cost = _ledger.c.entry.in_(("charged", "corrected"))
    sums = (
        _ledger.c.job_id,
        sa.func.sum(sa.case((is_cost, _ledger.c.micro_usd), else_=0)),
        sa.func.sum(sa.case((is_cost, 0), else_=_ledger.c.micro_usd)),
    )
    found: dict[str, Costs] = {}
    with store_errors(), engine.connect() as connection:
        for start in range(0, len(job_ids), _IN_CHUNK):
            chunk = _ledger.c.job_id.in_(job_ids[start : start + _IN_CHUNK])
            for job_id, charged, reserved in connection.execute(sa.select(*sums).where(chunk).group_by(sums[0])):
                found[job_id] = Costs(charged=usd(int(charged)), reserved=usd(int(reserved)))
    return found
