"""Why a trial was ended early, in words, read from the scheduler that ended it."""

from __future__ import annotations

from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from train_jobs.sweep.searchers import REACHED


def why_stopped(
    scheduler: TrialScheduler, trial_id: str, result: dict[str, Any], *, metric: str, mode: str, unit: str
) -> str:
    """For example `stopped by asha at epoch 3: val_loss 0.91 is not among the best 1 in 4 of 8 trials (0.52)`."""
    at, value = result.get(REACHED), result.get(metric)
    where = f"stopped by asha at {unit} {at}"
    if not isinstance(scheduler, AsyncHyperBandScheduler) or value is None:
        return f"stopped by the scheduler at {unit} {at}"
    rung = _rung(scheduler, trial_id)
    if rung is None:
        return f"{where}: that is the most"
    values = sorted(rung.values(), reverse=True)  # Tune counts downwards where less is better
    one_in = scheduler._reduction_factor
    kept = values[max(0, int(len(values) / one_in) - 1)] * (1.0 if mode == "max" else -1.0)
    return f"{where}: {metric} {value:.4g} is not among the best 1 in {one_in:g} of {len(values)} trials ({kept:.4g})"


def _rung(scheduler: AsyncHyperBandScheduler, trial_id: str) -> dict[str, float] | None:
    """The furthest rung that the trial was measured at; Tune keeps it to itself."""
    for bracket in scheduler._brackets:
        for _, recorded in bracket._rungs:  # descending
            if trial_id in recorded:
                return dict(recorded)
    return None
