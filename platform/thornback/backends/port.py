"""What the dispatcher asks of whoever runs jobs: start, look, stop, tidy up, and say what it can hold.

Knows neither Ray nor a provider. `memory.py` beside it is the version for tests and for one process;
every version passes tests/contracts/backends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from thornback.jobs.state import JobState


class Phase(StrEnum):
    """Where a submission stands, as its backend sees it."""

    UNKNOWN = "unknown"  # the backend has no record of it
    PENDING = "pending"  # accepted; its driver does not run yet
    RUNNING = "running"
    SUCCEEDED = "succeeded"  # the driver ended with exit code 0, whatever the job itself reported
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_alive(self) -> bool:
        """True while a process of the submission may be running."""
        return self in (Phase.PENDING, Phase.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendState:
    """What the backend says of one submission."""

    phase: Phase
    message: str = ""  # the backend's own words, empty where it has none
    exit_code: int | None = None  # of the driver; negative or above 128: ended by a signal


@dataclass(frozen=True, slots=True)
class Resources:
    """Amounts of the two things that jobs ask for."""

    cpus: float = 0.0
    gpus: float = 0.0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.cpus + other.cpus, self.gpus + other.gpus)

    def __sub__(self, other: Resources) -> Resources:
        return Resources(self.cpus - other.cpus, self.gpus - other.gpus)

    def __mul__(self, times: float) -> Resources:
        return Resources(self.cpus * times, self.gpus * times)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine of a cluster, or the slots of a provider."""

    id: str
    total: Resources
    free: Resources  # not taken by anybody at this moment
    held: Resources = Resources()  # the part of what is taken that belongs to our jobs
    slots_of: str | None = None  # the provider whose slots these are, counted as CPUs; None for a machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """One look at a backend: what runs, what there is, and who has taken it."""

    submissions: Mapping[str, BackendState]  # all of ours that it has a record of, by submission id
    nodes: tuple[Node, ...]
    # By submission id. A submission that runs and is not in here has not taken its resources yet.
    holdings: Mapping[str, Resources] = field(default_factory=dict)

    @property
    def total(self) -> Resources:
        """All nodes together."""
        return sum((node.total for node in self.nodes), Resources())

    @property
    def free(self) -> Resources:
        """What nobody has taken, all nodes together."""
        return sum((node.free for node in self.nodes), Resources())


class Backend(Protocol):
    """Runs jobs.

    Every method raises `Unavailable` where the backend does not answer (trying again later may
    work) and `BackendError` where it refuses.
    """

    name: str
    # True where `start` goes on with whatever was begun before, and pays for nothing twice. A submission that such
    # a backend has no record of is handed over again; it cannot have been lost.
    takes_up: bool = False

    async def start(self, job: JobState, attempt: int) -> None:
        """Start an attempt; one that was started before is left alone."""
        ...

    async def state(self, submission_id: str) -> BackendState:
        """Look at one submission; an unknown one is no error."""
        ...

    async def stop(self, submission_id: str) -> None:
        """Ask a submission to end, then kill it. Returns at once; ended and unknown ones are no error."""
        ...

    async def log_tail(self, submission_id: str, lines: int) -> str:
        """The last lines that the driver printed; empty where there are none."""
        ...

    async def forget(self, job: JobState) -> None:
        """Delete the backend's records of all attempts of a job that has ended."""
        ...

    async def survey(self) -> Survey:
        """Look at everything at once."""
        ...

    async def request(self, bundles: Sequence[Resources]) -> None:
        """Ask for a cluster that holds all these bundles at once; where it cannot grow, nothing happens."""
        ...


PREFIX = "thornback-"
_UUID_LENGTH = 36


def submission_id(job_id: str, attempt: int) -> str:
    """The backend's id of an attempt, known before it is submitted, so that submitting is idempotent."""
    return f"{PREFIX}{job_id}" if attempt <= 1 else f"{PREFIX}{job_id}-{attempt}"


def job_of(submission: str) -> tuple[str, int] | None:
    """(job id, attempt) of a submission id, None for one that is not ours."""
    if not submission.startswith(PREFIX):
        return None
    rest = submission.removeprefix(PREFIX)
    job_id, tail = rest[:_UUID_LENGTH], rest[_UUID_LENGTH:]
    if len(job_id) != _UUID_LENGTH:
        return None
    if not tail:
        return job_id, 1
    number = tail.removeprefix("-")
    return (job_id, int(number)) if tail.startswith("-") and number.isdecimal() else None
