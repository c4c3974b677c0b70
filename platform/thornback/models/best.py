"""The best trial of a sweep as a version of a model."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from thornback.jobs.leaderboard import best_finished, leaderboard
from thornback.jobs.state import JobState
from thornback.jobs.sweep import SweepConfig
from thornback.jobs.versions import ModelVersion, fit_model_name
from thornback.metrics.port import Recorder
from thornback.models.lineage import ONNX_TYPE, config_of, lineage_of, weights_of
from thornback.models.publish import publish_version
from thornback.settings import Settings


async def publish_best(
    recorder: Recorder,
    settings: Settings,
    sweep: JobState,
    trials: Iterable[JobState],
    *,
    now: datetime,
    model: str | None = None,
    user: str | None = None,
) -> ModelVersion:
    """Make the best completed trial of a sweep the next version of a model; a second call finds the first one's.

    Args:
        recorder: the one writer.
        settings: where the storage is.
        sweep: its job.
        trials: the jobs that are parts of it, the oldest first.
        now: when it is made.
        model: its name; None: as the sweep's configuration says, or made of its name.
        user: whose model it is; None: the sweep's user's.

    Raises:
        Conflict: no trial has completed with a value; the best one is a version of another model.
        DataError: its file is broken. See `publish_version` for the rest.
    """
    config = SweepConfig.model_validate(sweep.spec["config"])
    best = best_finished(leaderboard(trials, mode=config.mode, now=now), config.mode, sweep_id=sweep.id).job
    weights = weights_of(best, settings)
    return await publish_version(
        recorder,
        settings,
        model=model or config.model or fit_model_name(sweep.job_name),
        user=user or sweep.user,
        job_id=best.id,
        weights_uri=weights.uri,
        config=config_of(best),
        lineage=lineage_of(best),
        now=now,
        sha256=weights.sha256,
        is_onnx=weights.type == ONNX_TYPE,
    )
