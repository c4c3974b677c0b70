"""What the writer knows of the jobs that are being reported on: who was asked to stop, who is out of date."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from thornback.errors import JobNotFound
from thornback.jobs.events import EventKind, JobEvent
from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus
from thornback.metrics.port import Speaker

# More jobs than report at one time; the least recently used is read again from the database.
KEPT_JOBS = 2048

# What a run that is out of date may still add: its last words, which change no state.
KINDS_OF_A_ZOMBIE = frozenset({EventKind.LOG})


class JobSource(Protocol):
    """Where a job's committed state is read."""

    def state(self, job_id: str) -> JobState:
        """Raises JobNotFound, StoreUnavailable."""
        ...


class Standing:
    """The committed states of the jobs last heard of. Used by one thread, that of the only writer."""

    def __init__(self, source: JobSource) -> None:
        self._source = source
        self._states: OrderedDict[str, JobState] = OrderedDict()

    def get(self, job_id: str) -> JobState | None:
        """The state as committed, None where there is no such job. Raises StoreUnavailable."""
        state = self._states.get(job_id)
        if state is None:
            try:
                state = self._source.state(job_id)
            except JobNotFound:
                return None  # not kept: it may be created later
        self._keep(job_id, state)
        return state

    def update(self, jobs: Mapping[str, JobState]) -> None:
        """Take over what a commit changed."""
        for job_id, state in jobs.items():
            self._keep(job_id, state)

    def forget(self, job_ids: Iterable[str]) -> None:
        """Drop jobs whose state is in doubt, after a commit that failed, or that were deleted."""
        for job_id in job_ids:
            self._states.pop(job_id, None)

    def clear(self) -> None:
        """Drop all: somebody else wrote."""
        self._states.clear()

    def asked_to_stop(self, job_ids: Iterable[str]) -> frozenset[str]:
        """The jobs that have a cancel request and have not ended."""
        found = set()
        for job_id in set(job_ids):
            state = self.get(job_id)
            if state is not None and state.cancel_requested and state.final is None:
                found.add(job_id)
        return frozenset(found)

    def asked(self, speaker: Speaker) -> Mapping[str, datetime]:
        """When each Wish was asked of the speaker's job last."""
        state = self.get(speaker.job_id)
        return {} if state is None else state.asked

    def is_superseded(self, speaker: Speaker) -> bool:
        """True where nobody waits for the speaker: a newer attempt, or a job that failed, was cancelled or is gone."""
        state = self.get(speaker.job_id)
        if state is None or state.final in (JobStatus.FAILED, JobStatus.CANCELLED):
            return True
        return speaker.is_older(state.mark.attempt, state.mark.restart)

    def _keep(self, job_id: str, state: JobState) -> None:
        self._states[job_id] = state
        self._states.move_to_end(job_id)
        if len(self._states) > KEPT_JOBS:
            self._states.popitem(last=False)


class Fence:
    """Refuses what a run of an older attempt says, also where the newer one speaks first in the same commit."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self._attempts: dict[str, tuple[int, int]] = {}

    def admit(self, events: Sequence[JobEvent], speaker: Speaker | None) -> Sequence[JobEvent]:
        """The events that may be committed. Raises StoreUnavailable."""
        if speaker is not None and speaker.is_older(*self._newest(speaker.job_id)):
            events = [event for event in events if event.job_id != speaker.job_id or event.kind in KINDS_OF_A_ZOMBIE]
        for event in events:
            attempt, restart = event.data.get("attempt"), event.data.get("restart", 0)
            if isinstance(attempt, int) and isinstance(restart, int):
                known = self._attempts.get(event.job_id, (0, 0))
                self._attempts[event.job_id] = max(known, (attempt, restart))
        return events

    def _newest(self, job_id: str) -> tuple[int, int]:
        state = self._standing.get(job_id)
        stored = (0, 0) if state is None else (state.mark.attempt, state.mark.restart)
        return max(self._attempts.get(job_id, (0, 0)), stored)
