"""Entry point: `python -m train_jobs.sweep --job-id ID --attempt N`, as the dispatcher submits it.

A sweep gives its trials to the platform's queue, so there is no way to run it without one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from train_jobs.common.arguments import parse_arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sweep. Returns the exit code: 0 done or stopped on request, 1 failed, 2 wrong arguments."""
    arguments = parse_arguments(argv, module="train_jobs.sweep", description="Try a training with many values.")
    from train_jobs.common.entry import run  # Ray: a second of imports
    from train_jobs.sweep.driver import make_driver

    return run(make_driver, arguments, kind="sweep")


if __name__ == "__main__":
    sys.exit(main())
