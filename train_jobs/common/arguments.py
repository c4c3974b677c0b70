"""The arguments of every training's entry point. Knows no Ray, which costs a second that `--help` does not need."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Either `config` or `job_id` is given."""

    config: str | None
    job_id: str | None
    attempt: int
    output: str | None


def parse_arguments(argv: Sequence[str] | None, *, module: str, description: str) -> Arguments:
    """`--config FILE [--output URI]`, or `--job-id ID [--attempt N]`."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", metavar="FILE", help="JSON: a configuration, or a whole job with job_name and config")
    what.add_argument("--job-id", metavar="ID", help="a job of the platform that this process runs in")
    parser.add_argument("--attempt", type=int, default=1, metavar="N", help="which submission of the job this is")
    parser.add_argument("--output", metavar="URI", help="folder or s3:// for the results (with --config)")
    return Arguments(**vars(parser.parse_args(argv)))
