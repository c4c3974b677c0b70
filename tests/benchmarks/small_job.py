"""A driver that does nothing: it reports that it runs and that it is done."""

from __future__ import annotations

import argparse
import sys

import ray

from thornback.jobs.events import Attempt
from thornback.metrics.reporter import open_reporter
from thornback.settings import load_settings


def main() -> int:
    """Parse the command line that the backend makes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--job-id", required=True)
    parser.add_argument("--attempt", type=int, required=True)
    arguments = parser.parse_args()
    settings = load_settings()
    ray.init(namespace=settings.namespace, log_to_driver=False, configure_logging=False)
    attempt = Attempt(arguments.attempt)
    reporter = open_reporter(arguments.job_id, attempt=attempt, rank=0, namespace=settings.namespace)
    reporter.started()
    reporter.succeeded({})
    return 0 if reporter.close(60) else 1


if __name__ == "__main__":
    sys.exit(main())
