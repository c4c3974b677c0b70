"""The driver of a training whose worker is on another host; it starts the worker anew here where it was lost.

The worker reports without pause and ends when the file of the tag `gate` is there. Its rows carry, as `val_loss`,
which restart has written them. Superseded, it leaves a file of that name beside the gate and goes on reporting.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError

from thornback.jobs.events import Attempt
from thornback.jobs.status import FailureReason
from thornback.metrics.actor import connect
from thornback.metrics.reporter import open_reporter
from thornback.settings import load_settings

FAR = "far"  # a resource of the other host
NEAR = "node:__internal_head__"
SUPERSEDED = "superseded"
_TICK_S = 0.1


class Worker:
    """Rank 0."""

    def run(self, job_id: str, attempt: Attempt, namespace: str, gate: str) -> None:
        """Report until the gate is open."""
        reporter = open_reporter(job_id, attempt=attempt, rank=0, namespace=namespace)
        batch = 0
        while not Path(gate).exists():
            batch += 1
            reporter.metrics(epoch=attempt.restart, batch=batch, phase="train", values={"train_loss": attempt.restart})
            reporter.progress(percent=min(batch / 10, 90), epoch=0, total_epochs=1, eta_seconds=None)
            if reporter.is_superseded:
                Path(gate).with_name(SUPERSEDED).touch()
            threading.Event().wait(_TICK_S)
        reporter.close()


def main() -> int:
    """Parse the command line that the backend makes, and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--job-id", required=True)
    parser.add_argument("--attempt", type=int, required=True)
    arguments = parser.parse_args()
    settings = load_settings()
    ray.init(namespace=settings.namespace, log_to_driver=False, configure_logging=False)
    job = asyncio.run(connect(settings).job(arguments.job_id))
    attempt = Attempt(arguments.attempt)
    reporter = open_reporter(job.id, attempt=attempt, rank=-1, namespace=settings.namespace)
    reporter.started()
    place, worker_class = FAR, ray.remote(Worker)
    while True:
        worker: Any = worker_class.options(resources={place: 0.001}).remote()
        try:
            ray.get(worker.run.remote(job.id, attempt, settings.namespace, job.spec["tags"]["gate"]))
            break
        except RayActorError:
            attempt, place = Attempt(attempt.number, attempt.restart + 1), NEAR
            reporter.retried(attempt, FailureReason.NODE_LOST, "the other host is away")
    reporter.succeeded({})
    return 0 if reporter.close(60.0) else 1


if __name__ == "__main__":
    sys.exit(main())
