"""A sweep as the platform runs it: its driver and its trials are Ray Jobs, and the driver is killed in the middle."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from tests.fixtures.ray import RayNode
from tests.integration.dispatch.rig import Rig, eventually, open_gate
from thornback.jobs.spec import parse_spec
from thornback.jobs.status import JobStatus
from thornback.jobs.sweep import FACT_SWEEP, FACT_TRIAL
from thornback.metrics.port import NewJob

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ENTRYPOINTS = {"convnext": "tests.integration.dispatch.entry", "sweep": "train_jobs.sweep"}
LONG_S = 400.0


def driver_of(job_id: str) -> psutil.Process:
    """The process of a sweep's driver."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "train_jobs.sweep" in words and job_id in words:
            return process
    raise AssertionError(f"no driver of {job_id}")


async def test_a_killed_sweep_repeats_no_trial(ray_node: RayNode, tmp_path: Path) -> None:
    settings = ray_node.settings(tmp_path / "home")
    rig = Rig(settings, dashboard=ray_node.dashboard, entrypoints=ENTRYPOINTS).start()
    try:
        sweep_id = str(uuid.uuid4())
        config = {
            "trial": {"config": {"epochs": 4, "accelerator": "cpu"}, "tags": {"gate": str(tmp_path / "gate")}},
            "space": {"config.learning_rate": {"type": "loguniform", "low": 1e-4, "high": 1e-1}},
            "search": "optuna",
            "scheduler": {"type": "asha", "grace": 3, "reduction": 2},
            "at_once": 2,
            "budget": {"trials": 4},
        }
        spec = parse_spec({"kind": "sweep", "job_name": "radio", "config": config}).model_dump(mode="json")
        await rig.recorder.create(NewJob(job_id=sweep_id, spec=spec, user="ada", at=datetime.now(UTC)))

        def halfway() -> int:
            return sum(part.current_epoch >= 2 for part in rig.reader.parts(sweep_id))

        await eventually(lambda: halfway() == 2, "two trials at their gate", within_s=LONG_S)
        driver_of(sweep_id).kill()
        await rig.until(sweep_id, lambda job: job.attempt == 2 and job.status is JobStatus.RUNNING, within_s=LONG_S)
        open_gate(tmp_path)
        sweep = await rig.until(sweep_id, lambda job: job.final, within_s=LONG_S)

        assert sweep.final is JobStatus.COMPLETED, sweep.error_message
        trials = rig.reader.parts(sweep_id)
        assert sorted(trial.fact(FACT_TRIAL)["number"] for trial in trials) == [1, 2, 3, 4]
        assert all(trial.status in (JobStatus.COMPLETED, JobStatus.CANCELLED) for trial in trials)
        for trial in trials:
            kinds = rig.kinds(trial.id)
            assert kinds.count("created") == kinds.count("scheduled") == kinds.count("started") == 1
        told = sweep.fact(FACT_SWEEP)
        assert (told["made"], told["failed"]) == (4, 0)
        assert told["best_job"] in {trial.id for trial in trials}
    finally:
        await rig.stop()
