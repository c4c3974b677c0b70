"""64 short trials as a sweep of the platform, and as bare Ray Tune: how much slower, and where the time goes.

`python -m tests.benchmarks.sweep_overhead [--trials 64] [--at-once 4] [--epochs 3]`. Both run on the same Ray, one
after the other, with the same searcher, the same seed and the same concurrency. A trial computes nothing: it tells
its epochs, so that all that is measured is what is around it. Bare Ray Tune runs it as a function in an actor; the
platform makes a job of it, with its queue, its events in the database, its log, its cancel and its process.

A training pays for its own processes in either case. What the platform adds to a trial is in the table by parts:
created to scheduled (queue and decision), scheduled to started (a Ray Job and its interpreter), started to ended
(the trial), and ended to the next creation (the sweep hears of it, Tune decides).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler

from tests.benchmarks.sweep_trial import loss
from tests.fixtures.ray import running_ray
from tests.integration.dispatch.rig import Rig
from thornback.jobs.events import EventKind
from thornback.jobs.spec import parse_spec
from thornback.jobs.sweep import FACT_SWEEP
from thornback.metrics.port import NewJob

SEED = 7
SPACE = {"config.learning_rate": {"type": "loguniform", "low": 1e-4, "high": 1e-1}}
CPUS = 8  # as Ray counts them: a trial takes one, and no trial computes


def bare(folder: Path, *, trials: int, at_once: int, epochs: int) -> float:
    """Seconds of `Tuner.fit()` with the same searcher and scheduler."""

    def train(config: dict[str, Any]) -> None:
        for epoch in range(1, epochs + 1):
            tune.report({"val_loss": loss(config["learning_rate"], epoch), "reached": epoch})

    scheduler = AsyncHyperBandScheduler(time_attr="reached", max_t=epochs, stop_last_trials=False)
    begun = time.monotonic()
    tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={"learning_rate": tune.loguniform(1e-4, 1e-1)},
        tune_config=tune.TuneConfig(
            metric="val_loss", mode="min", num_samples=trials, max_concurrent_trials=at_once, scheduler=scheduler
        ),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    ).fit()
    return time.monotonic() - begun


async def ours(rig: Rig, *, trials: int, at_once: int, epochs: int) -> tuple[float, dict[str, list[float]], float]:
    """Seconds from the POST to the end, the parts of each trial, and the most memory of the sweep's driver in MB."""
    config = {
        "trial": {"config": {"epochs": epochs, "warmup_epochs": 0, "accelerator": "cpu"}},
        "space": SPACE,
        "seed": SEED,
        "scheduler": {"type": "asha"},
        "at_once": at_once,
        "budget": {"trials": trials},
    }
    spec = parse_spec({"kind": "sweep", "job_name": "overhead", "config": config}).model_dump(mode="json")
    sweep_id = str(uuid.uuid4())
    begun = time.monotonic()
    await rig.recorder.create(NewJob(job_id=sweep_id, spec=spec, user="ada", at=datetime.now(UTC)))
    memory, used = 0.0, (0.0, 0.0)
    while (job := rig.job(sweep_id)).final is None:
        memory, used = _measure(sweep_id, memory, used)
        await asyncio.sleep(0.25)
    took = time.monotonic() - begun
    told = job.fact(FACT_SWEEP) or {}
    print(f"  ended: {job.final} {told.get('completed')} completed, {told.get('stopped')} stopped by asha")
    print(f"  its driver: {memory:.0f} MB, {used[1]:.1f} s of CPU in {took:.0f} s")
    return took, _parts(rig, sweep_id), memory


def _measure(sweep_id: str, memory: float, used: tuple[float, float]) -> tuple[float, tuple[float, float]]:
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "train_jobs.sweep" in words and sweep_id in words:
            try:
                times = process.cpu_times()
                return max(memory, process.memory_info().rss / 2**20), (0.0, times.user + times.system)
            except psutil.Error:
                break
    return memory, used


def _parts(rig: Rig, sweep_id: str) -> dict[str, list[float]]:
    parts: dict[str, list[float]] = {"created to scheduled": [], "scheduled to started": [], "started to ended": []}
    ends: list[datetime] = []
    starts: list[datetime] = []
    for trial in rig.reader.parts(sweep_id):
        at = {event.kind: event.at for event in rig.reader.events(0, job_id=trial.id)}
        created, scheduled, started = at[EventKind.CREATED], at[EventKind.SCHEDULED], at.get(EventKind.STARTED)
        parts["created to scheduled"].append((scheduled - created).total_seconds())
        if started is not None and trial.completed_at is not None:
            parts["scheduled to started"].append((started - scheduled).total_seconds())
            parts["started to ended"].append((trial.completed_at - started).total_seconds())
        if trial.completed_at is not None:
            ends.append(trial.completed_at)
        starts.append(created)
    parts["ended to the next one"] = _gaps(ends, starts)
    return parts


def _gaps(ends: Sequence[datetime], starts: Sequence[datetime]) -> list[float]:
    """From each end to the first creation after it that no earlier end has taken."""
    left = sorted(starts)
    gaps = []
    for end in sorted(ends):
        following = next((start for start in left if start >= end), None)
        if following is None:
            break
        left.remove(following)
        gaps.append((following - end).total_seconds())
    return gaps


async def main(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    sizes = {"trials": arguments.trials, "at_once": arguments.at_once, "epochs": arguments.epochs}
    entrypoints = {"convnext": "tests.benchmarks.sweep_trial", "sweep": "train_jobs.sweep"}
    with running_ray(cpus=CPUS) as (node, _), tempfile.TemporaryDirectory() as folder:
        settings = node.settings(Path(folder) / "home", dispatch_interval_s=2.0)
        rig = Rig(settings, dashboard=node.dashboard, entrypoints=entrypoints).start()
        print(f"{arguments.trials} trials of {arguments.epochs} epochs, {arguments.at_once} at once", flush=True)
        alone = await asyncio.to_thread(bare, Path(folder) / "tune", **sizes)
        print(f"bare Ray Tune: {alone:.1f} s, {alone / arguments.trials:.2f} s a trial", flush=True)
        took, parts, _ = await ours(rig, **sizes)
        print(f"as a sweep: {took:.1f} s, {took / arguments.trials:.2f} s a trial: {took / alone:.2f} times as long")
        for name, values in parts.items():
            if values:
                middle, worst = statistics.median(values), max(values)
                print(f"  {name:>22}: median {middle * 1000:7.0f} ms, worst {worst * 1000:7.0f} ms")
        await rig.stop()


if __name__ == "__main__":
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=3)
    asyncio.run(main(parser.parse_args()))
