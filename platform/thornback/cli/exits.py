"""Exit codes, for scripts, and the one table from error to code."""

from __future__ import annotations

from enum import IntEnum

from thornback.client.problems import ServerUnreachable
from thornback.errors import Conflict, InvalidInput, NotFound, ThornbackError, Unavailable
from thornback.jobs.status import JobStatus


class Exit(IntEnum):
    """What the process says to the shell."""

    OK = 0
    FAILED = 1  # the job failed, a check found an error, or something went wrong that has no code of its own
    USAGE = 2  # the command line or a file is not right; nothing was done
    UNREACHABLE = 3  # no server, or it is not ready
    NOT_FOUND = 4  # no such job or artifact
    CONFLICT = 5  # the state forbids it: the job has ended, a node runs already, a port is taken
    CANCELLED = 6  # the job that was watched was cancelled
    INTERRUPTED = 130  # Ctrl-C


HELP = (
    "Exit codes: 0 done; 1 the job failed or something went wrong; 2 usage or invalid input; "
    "3 the server cannot be reached; 4 not found; 5 conflict with the present state; "
    "6 the job was cancelled; 130 interrupted."
)


def exit_of_error(error: ThornbackError) -> Exit:
    """The code for an error that ends a command."""
    if isinstance(error, ServerUnreachable | Unavailable):
        return Exit.UNREACHABLE
    if isinstance(error, InvalidInput):
        return Exit.USAGE
    if isinstance(error, NotFound):
        return Exit.NOT_FOUND
    if isinstance(error, Conflict):
        return Exit.CONFLICT
    return Exit.FAILED


def exit_of_job(status: JobStatus) -> Exit:
    """The code for a job that was watched to its end."""
    if status is JobStatus.CANCELLED:
        return Exit.CANCELLED
    return Exit.OK if status is JobStatus.COMPLETED else Exit.FAILED
