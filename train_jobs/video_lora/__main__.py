"""Entry point: `python -m train_jobs.video_lora --job-id ID --attempt N`, as the dispatcher submits it.

A pipeline gives its training to the platform's queue, so there is no way to run it without one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from train_jobs.common.arguments import parse_arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run one pipeline. Returns the exit code: 0 done or stopped on request, 1 failed, 2 wrong arguments."""
    arguments = parse_arguments(argv, module="train_jobs.video_lora", description="Make a LoRA from a video.")
    from train_jobs.common.entry import run  # Ray: a second of imports
    from train_jobs.video_lora.driver import make_driver

    return run(make_driver, arguments, kind="video_lora")


if __name__ == "__main__":
    sys.exit(main())
