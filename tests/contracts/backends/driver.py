"""What a submission does in the contract, on Ray as a process and in memory as a coroutine.

The job's name says it: `print N and exit C`, or `wait`.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import threading
from collections.abc import Callable

from thornback.backends.memory import Submission

PRINT = re.compile(r"print (?P<lines>\d+) and exit (?P<code>\d+)")


def act(name: str, say: Callable[[str], object]) -> int | None:
    """Print and return the exit code; None: wait until it is stopped."""
    found = PRINT.fullmatch(name)
    if found is None:
        return None
    for number in range(int(found["lines"])):
        say(f"line {number}")
    return int(found["code"])


async def entry(submission: Submission) -> int:
    """In memory."""
    code = act(submission.job.job_name, submission.lines.append)
    return await asyncio.Event().wait() if code is None else code


def main() -> int:
    """As a process; Ray hands the job's name over in the metadata of its job."""
    import json
    import os

    parser = argparse.ArgumentParser()
    parser.add_argument("--job-id", required=True)
    parser.add_argument("--attempt", type=int, required=True)
    parser.parse_args()
    name = json.loads(os.environ["RAY_JOB_CONFIG_JSON_ENV_VAR"])["metadata"]["job_name"]
    code = act(name, print)
    if code is None:
        threading.Event().wait()
    return code or 0


if __name__ == "__main__":
    sys.exit(main())
