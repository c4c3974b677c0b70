"""The driver of a storm's trainings: as cheap as one can be that takes a CPU, counts epochs and keeps a checkpoint.

Tags: `gate`, a file without which it does not go past its second epoch; `end: raise`, it raises at its end
unless it is a retry.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from pathlib import Path

import ray

from tests.integration.dispatch.entry import take_workers
from thornback.jobs.events import Attempt
from thornback.jobs.state import JobState
from thornback.metrics.actor import connect
from thornback.metrics.reporter import Reporter, open_reporter
from thornback.settings import load_settings

EXCEPTION = "ValueError: expected 32 frames and found 7"
_PACE_S = 0.2
_FLUSH_S = 5.0


def train(job: JobState, reporter: Reporter, folder: Path) -> bool:
    """Count the epochs that the checkpoint has not; False where it was asked to stop.

    An epoch counts as done when its row is committed, as a checkpoint of a real training follows its report.
    """
    checkpoint = folder / "epoch"
    folder.mkdir(parents=True, exist_ok=True)
    done = int(checkpoint.read_text() or 0) if checkpoint.exists() else 0
    gate = job.spec["tags"].get("gate")
    for epoch in range(done + 1, job.total_epochs + 1):
        reporter.metrics(epoch=epoch, phase="val", values={"val_loss": 1 / epoch})
        percent = 100 * epoch / job.total_epochs
        reporter.progress(percent=percent, epoch=epoch, total_epochs=job.total_epochs, eta_seconds=None)
        while not reporter.flush(_FLUSH_S):
            if reporter.is_superseded:
                return False
        checkpoint.write_text(str(epoch))
        threading.Event().wait(_PACE_S)
        while gate and epoch >= 2 and not Path(gate).exists():
            if reporter.should_stop:
                return False
            threading.Event().wait(_PACE_S)
    return True


def main() -> int:
    """Parse the command line that the backend makes, and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--job-id", required=True)
    parser.add_argument("--attempt", type=int, required=True)
    arguments = parser.parse_args()
    settings = load_settings()
    ray.init(namespace=settings.namespace, log_to_driver=False, configure_logging=False)
    job = asyncio.run(connect(settings).job(arguments.job_id))
    reporter = open_reporter(job.id, attempt=Attempt(arguments.attempt), rank=0, namespace=settings.namespace)
    reporter.started()
    workers = take_workers(job)
    ray.get([worker.pid.remote() for worker in workers])
    finished = train(job, reporter, Path(settings.run_uri(job.id)))
    ray.get([worker.pid.remote() for worker in workers])  # raises where one died
    raises = job.spec["tags"].get("end") == "raise" and job.retry_of is None
    if finished and not raises:
        reporter.succeeded({"epochs": job.total_epochs})
    reporter.close()
    if raises:
        raise ValueError(EXCEPTION.removeprefix("ValueError: "))
    return 0


if __name__ == "__main__":
    sys.exit(main())
