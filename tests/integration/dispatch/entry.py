"""A small driver, run as a Ray Job: takes CPUs, counts epochs, keeps a checkpoint, and ends as its tags say.

Tags: `gate`, a file without which it does not go past its second epoch; `end`, how it ends instead of
succeeding (raise, out_of_memory, exit); `stubborn`, it hears neither of a cancel nor of SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from thornback.jobs.events import Attempt
from thornback.jobs.spec import parse_spec
from thornback.jobs.state import JobState
from thornback.metrics.actor import connect
from thornback.metrics.reporter import Reporter, open_reporter
from thornback.settings import Settings, load_settings

EXIT_CODE = 3
OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
EXCEPTION = "ValueError: expected 32 frames and found 7"
_TICK_S = 0.05


class Worker:
    """Holds its bundle's CPUs for as long as the driver lives."""

    def pid(self) -> int:
        """Of its process."""
        return os.getpid()

    def hold(self) -> None:
        """For ever: whoever waits for it hears of the worker's death."""
        threading.Event().wait()


def take_workers(job: JobState) -> list[Any]:
    """Reserve what the spec asks for and start a process in each bundle, as Ray Train does."""
    request = parse_spec(job.spec).resources(cluster_has_gpu=False)
    group = placement_group([{"CPU": request.cpus}] * request.workers)
    ray.get(group.ready())
    remote: Any = ray.remote  # its types know the options of functions only
    worker = remote(num_cpus=request.cpus, max_concurrency=2)(Worker)
    return [
        worker.options(scheduling_strategy=PlacementGroupSchedulingStrategy(group, index)).remote()
        for index in range(request.workers)
    ]


def train(job: JobState, reporter: Reporter, folder: Path, workers: list[Any]) -> bool:
    """Count the epochs that the checkpoint has not; False where it was asked to stop. Raises where a worker dies."""
    checkpoint = folder / "epoch"
    folder.mkdir(parents=True, exist_ok=True)
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    gate, stubborn = job.spec["tags"].get("gate"), "stubborn" in job.spec["tags"]
    holding = [worker.hold.remote() for worker in workers]
    for epoch in range(done + 1, job.total_epochs + 1):
        reporter.metrics(epoch=epoch, phase="val", values={"val_loss": 1 / epoch})
        percent = 100 * epoch / job.total_epochs
        reporter.progress(percent=percent, epoch=epoch, total_epochs=job.total_epochs, eta_seconds=None)
        reporter.flush(10)
        checkpoint.write_text(str(epoch))
        while gate and epoch >= 2 and not Path(gate).exists():
            if reporter.should_stop and not stubborn:
                return False
            lost, _ = ray.wait(holding, timeout=_TICK_S)
            ray.get(lost)
    return True


def run(job: JobState, attempt: Attempt, settings: Settings) -> int:
    """The driver's life; returns its exit code."""
    reporter = open_reporter(job.id, attempt=attempt, rank=0, namespace=settings.namespace)
    if "stubborn" in job.spec["tags"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    reporter.started()
    reporter.describe(driver_pid=os.getpid())
    workers = take_workers(job)
    reporter.describe(worker_pids=ray.get([worker.pid.remote() for worker in workers]))
    finished = train(job, reporter, Path(settings.run_uri(job.id)), workers)
    end = job.spec["tags"].get("end")
    if finished and end is None:
        reporter.succeeded({"epochs": job.total_epochs})
    reporter.close()
    if end == "raise":
        raise ValueError(EXCEPTION.removeprefix("ValueError: "))
    if end == "out_of_memory":
        print(OUT_OF_MEMORY, flush=True)
        return 1
    return EXIT_CODE if end == "exit" else 0


def main() -> int:
    """Parse the command line that the backend makes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--job-id", required=True)
    parser.add_argument("--attempt", type=int, required=True)
    arguments = parser.parse_args()
    settings = load_settings()
    ray.init(namespace=settings.namespace, log_to_driver=False, configure_logging=False)
    job = asyncio.run(connect(settings).job(arguments.job_id))
    return run(job, Attempt(arguments.attempt), settings)


if __name__ == "__main__":
    sys.exit(main())
