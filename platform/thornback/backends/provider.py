"""A provider of hosted training as a backend: its slots are nodes' CPUs to the queue, and its tracker does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from thornback.backends.port import (
    Backend,
    BackendState,
    Node,
    Phase,
    Resources,
    Survey,
    job_of,
    submission_id,
)
from thornback.errors import BackendError, NotFound
from thornback.jobs.state import JobState

SLOTS = 10  # jobs at once, where the settings do not say

_RUNNING = BackendState(phase=Phase.RUNNING)
_UNKNOWN = BackendState(phase=Phase.UNKNOWN)
_ONE = Resources(1.0)


class ProviderTracker(Protocol):
    """Who follows the provider's jobs. Every method raises Unavailable where it is away."""

    async def start(self, job_id: str) -> None:
        """Follow a job, or go on with it."""
        ...

    async def cancel(self, job_id: str) -> None:
        """End a job's orders; unknown jobs are no error."""
        ...

    async def alive(self) -> list[str]:
        """The jobs that are followed; after its own start it answers only once it has taken all of them up."""
        ...


class ProviderBackend(Backend):
    """The jobs at one provider. They have one attempt: the tracker goes on with what was ordered."""

    takes_up = True

    def __init__(self, name: str, tracker: ProviderTracker, *, slots: int = SLOTS) -> None:
        self.name = name
        self._tracker = tracker
        self._slots = slots

    async def start(self, job: JobState, attempt: int) -> None:
        """See Backend. Never refuses: what goes wrong with an order is the tracker's to tell."""
        try:
            await self._tracker.start(job.id)
        except NotFound:
            return  # it was deleted meanwhile

    async def state(self, submission_id: str) -> BackendState:
        """See Backend."""
        owner = job_of(submission_id)
        return _RUNNING if owner is not None and owner[0] in await self._tracker.alive() else _UNKNOWN

    async def stop(self, submission_id: str) -> None:
        """See Backend."""
        owner = job_of(submission_id)
        if owner is not None:
            await self._tracker.cancel(owner[0])

    async def log_tail(self, submission_id: str, lines: int) -> str:
        """Empty: what a provider prints is in the job's own log."""
        return ""

    async def forget(self, job: JobState) -> None:
        """See Backend; the tracker keeps nothing of a job that has ended."""
        if job.id in await self._tracker.alive():
            raise BackendError(f"job {job.id} is still followed", job_id=job.id)

    async def survey(self) -> Survey:
        """See Backend."""
        alive = await self._tracker.alive()
        names = [submission_id(job_id, 1) for job_id in alive]
        held = _ONE * len(alive)
        total = Resources(float(self._slots))
        free = Resources(max(total.cpus - held.cpus, 0.0))
        return Survey(
            submissions=dict.fromkeys(names, _RUNNING),
            nodes=(Node(id=self.name, total=total, free=free, held=held, slots_of=self.name),),
            holdings=dict.fromkeys(names, _ONE),
        )

    async def request(self, bundles: Sequence[Resources]) -> None:
        """A provider does not grow."""
