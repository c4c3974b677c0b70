"""How many of a sweep's jobs there are at one time: one that was asked to end counts until it has ended."""

from __future__ import annotations

import threading
from collections.abc import Callable

_LOOK_S = 0.5


class Slots:
    """Shared by the trials' threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: set[str] = set()
        self._changed = threading.Condition()

    def take(self, job_id: str, give_up: Callable[[], bool]) -> bool:
        """Wait for one; False where `give_up` said so meanwhile. A job that has one keeps it."""
        with self._changed:
            while job_id not in self._taken and len(self._taken) >= self._most:
                if give_up():
                    return False
                self._changed.wait(_LOOK_S)
            self._taken.add(job_id)
            return True

    def free(self, job_id: str) -> None:
        """It has ended, or was never made."""
        with self._changed:
            self._taken.discard(job_id)
            self._changed.notify_all()
