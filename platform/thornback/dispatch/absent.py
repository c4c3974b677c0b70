"""The backend of jobs that nobody here can run: a provider without a key."""

from __future__ import annotations

from collections.abc import Sequence

from thornback.backends.port import Backend, BackendState, Phase, Resources, Survey
from thornback.errors import BackendError
from thornback.jobs.state import JobState
from thornback.providers.open import KEYS

NOTHING = Survey(submissions={}, nodes=())


class AbsentBackend(Backend):
    """Has nothing and forgets everything."""

    def __init__(self, name: str) -> None:
        self.name = name
        key = KEYS.get(name)
        self.remedy = "choose another backend" if key is None else f"set {key} and start the platform again"

    async def start(self, job: JobState, attempt: int) -> None:
        """Raises BackendError."""
        raise BackendError(f"backend: {self.name} is not set up here; {self.remedy}", job_id=job.id)

    async def state(self, submission_id: str) -> BackendState:
        """Unknown."""
        return BackendState(phase=Phase.UNKNOWN)

    async def stop(self, submission_id: str) -> None:
        """There is nothing."""

    async def log_tail(self, submission_id: str, lines: int) -> str:
        """Empty."""
        return ""

    async def forget(self, job: JobState) -> None:
        """Nothing is known."""

    async def survey(self) -> Survey:
        """Nothing."""
        return NOTHING

    async def request(self, bundles: Sequence[Resources]) -> None:
        """It cannot grow."""
