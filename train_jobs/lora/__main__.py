"""Entry point: `python -m train_jobs.lora --config my.json`, or `--job-id ID --attempt N` in the platform.

The first form needs no platform: it starts a local Ray where none is named, prints what happens and
leaves its results in `--output`. The second is what the dispatcher submits; it takes the job's
specification from the metrics actor and reports to it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from train_jobs.common.arguments import parse_arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run one training. Returns the exit code: 0 done or stopped on request, 1 failed, 2 wrong arguments."""
    arguments = parse_arguments(argv, module="train_jobs.lora", description="Train a LoRA of an image model.")
    from train_jobs.common.entry import run  # Ray: a second of imports
    from train_jobs.lora.driver import make_driver

    return run(make_driver, arguments, kind="lora")


if __name__ == "__main__":
    sys.exit(main())
