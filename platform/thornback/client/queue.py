"""The queue, as `client.queue`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thornback.client.models import Job, QueueState

_QUEUE = "/api/v1/queue"


class Queue:
    """Which jobs wait, and in what order."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def get(self) -> QueueState:
        """Whether it is paused, and who waits for what."""
        return QueueState.model_validate(self._call("GET", _QUEUE))

    def pause(self, reason: str = "") -> QueueState:
        """Start nothing from now on; for admins. It holds, across restarts, until `resume`."""
        return QueueState.model_validate(self._call("POST", f"{_QUEUE}/pause", json={"reason": reason}))

    def resume(self) -> QueueState:
        """Let it go on; for admins."""
        return QueueState.model_validate(self._call("POST", f"{_QUEUE}/resume"))

    def move(self, job_id: str, *, before: str | None) -> QueueState:
        """Bring a waiting job before another one, or with None to the end; for admins.

        Raises NotFound where one of the two does not wait, Conflict where the priorities leave no room.
        """
        return QueueState.model_validate(
            self._call("POST", f"{_QUEUE}/move", json={"job_id": job_id, "before": before})
        )

    def prioritize(self, job_id: str, priority: int) -> Job:
        """Give a waiting job another priority, -100 to 100. Raises JobNotFound, JobIsFinal, Conflict."""
        answer = self._call("PATCH", f"/api/v1/training/jobs/{job_id}", json={"priority": priority})
        return Job.model_validate(answer["job"])
