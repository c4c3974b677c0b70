"""The trial of `sweep_overhead`, as a job of the platform: tells its epochs and ends."""

from __future__ import annotations

import argparse
import asyncio
import sys

import ray

from thornback.jobs.events import Attempt
from thornback.metrics.actor import connect
from thornback.metrics.reporter import open_reporter
from thornback.settings import load_settings


def loss(rate: float, epoch: int) -> float:
    """What a trial measures."""
    return abs(rate - 0.01) + 1 / epoch


def main() -> int:
    """Parse the command line that the backend makes, and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--job-id", required=True)
    parser.add_argument("--attempt", type=int, required=True)
    arguments = parser.parse_args()
    settings = load_settings()
    ray.init(namespace=settings.namespace, log_to_driver=False, configure_logging=False)
    job = asyncio.run(connect(settings).job(arguments.job_id))
    reporter = open_reporter(job.id, attempt=Attempt(arguments.attempt), rank=-1, namespace=settings.namespace)
    reporter.started()
    for epoch in range(1, job.total_epochs + 1):
        if reporter.should_stop:
            break
        value = loss(job.spec["config"]["learning_rate"], epoch)
        reporter.metrics(epoch=epoch, phase="val", values={"val_loss": value})
    else:
        reporter.succeeded({"epochs": job.total_epochs})
    reporter.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
