"""Entry point: `python -m train_jobs.lora --config my.json`, or `--job-id ID --attempt N` in the platform.

The first form needs no platform: it starts a local Ray where none is running, prints what happens and
leaves its results in `--output`. The second is what the dispatcher submits; it takes the job's
specification from the metrics actor and reports to it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one training. Returns the exit code: 0 done or stopped on request, 1 failed, 2 wrong arguments."""
    arguments = _parser().parse_args(argv)
    from train_jobs.lora.driver import run_alone, run_job  # Ray costs a second that `--help` does not need

    if arguments.job_id is not None:
        return run_job(arguments.job_id, attempt=arguments.attempt)
    return run_alone(arguments.config, output=arguments.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m train_jobs.lora", description="Train a LoRA of an image model.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", metavar="FILE", help="JSON: a LoraConfig, or a whole job with job_name and config")
    what.add_argument("--job-id", metavar="ID", help="a job of the platform that this process runs in")
    parser.add_argument("--attempt", type=int, default=1, metavar="N", help="which submission of the job this is")
    parser.add_argument("--output", metavar="URI", help="folder or s3:// for the results (with --config)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
