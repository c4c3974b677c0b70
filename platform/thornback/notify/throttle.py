"""How often progress is told: once in a while for each webhook and job, and then the newest. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

Key = tuple[str, str]  # webhook, job


class ProgressThrottle:
    """What is to be told, and when; it holds keys and no content, so that the newest is told at its time."""

    def __init__(self, every: timedelta) -> None:
        self._every = every
        self._told: dict[Key, datetime] = {}
        self._wanted: dict[Key, None] = {}  # in the order in which they came

    def mark(self, key: Key) -> None:
        """There is something new."""
        self._wanted[key] = None

    def due(self, now: datetime) -> list[Key]:
        """What may be told now; it counts as told."""
        found = [key for key in self._wanted if now >= self._next(key, now)]
        for key in found:
            del self._wanted[key]
            self._told[key] = now
        self._told = {key: at for key, at in self._told.items() if now < at + self._every or key in self._wanted}
        return found

    def next_due(self, now: datetime) -> datetime | None:
        """When something may be told, None where there is nothing."""
        return min((self._next(key, now) for key in self._wanted), default=None)

    def forget(self, jobs: Iterable[str]) -> None:
        """These jobs have ended: their end says it all."""
        ended = set(jobs)
        self._wanted = {key: None for key in self._wanted if key[1] not in ended}

    def _next(self, key: Key, now: datetime) -> datetime:
        return self._told[key] + self._every if key in self._told else now
