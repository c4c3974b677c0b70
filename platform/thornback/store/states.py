"""The states of the jobs that the writer is busy with, kept in memory between commits. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from thornback.jobs.state import JobState


class StateCache:
    """The most recently used states, at most `size` of them."""

    def __init__(self, size: int = 2000) -> None:
        self._size = size
        self._states: OrderedDict[str, JobState] = OrderedDict()

    def get(self, job_ids: Iterable[str]) -> dict[str, JobState]:
        """Those that are known."""
        found = {}
        for job_id in job_ids:
            state = self._states.get(job_id)
            if state is not None:
                self._states.move_to_end(job_id)
                found[job_id] = state
        return found

    def put(self, states: Mapping[str, JobState]) -> None:
        """Remember committed states."""
        for job_id, state in states.items():
            self._states[job_id] = state
            self._states.move_to_end(job_id)
        while len(self._states) > self._size:
            self._states.popitem(last=False)

    def drop(self, job_id: str) -> None:
        """Forget one."""
        self._states.pop(job_id, None)

    def clear(self) -> None:
        """Forget all."""
        self._states.clear()

    def __len__(self) -> int:
        return len(self._states)
