"""When a sweep has had enough: its hours, its money, or somebody's word."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ray.tune import Stopper


class Enough(Stopper):
    """Tune asks it after each step; the first reason stays."""

    def __init__(self, *, hours: float | None, started_at: datetime) -> None:
        self._hours = hours
        self._until = None if hours is None else started_at + timedelta(hours=hours)
        self.reason: str | None = None  # trials that run are ended with it
        self.no_more: str | None = None  # no further trial begins; those that run go on to their end

    @property
    def told(self) -> str | None:
        """Why the sweep ends before its last trial, None where it does not."""
        return self.reason or self.no_more

    def look(self, now: datetime) -> None:
        """See whether the time is over."""
        if self.reason is None and self._until is not None and now >= self._until:
            self.reason = f"the sweep's {self._hours:g} hours are over"

    def refuse_more(self, why: str) -> None:
        """Begin no further trial."""
        self.no_more = self.no_more or why

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No single trial is ended here."""
        return False

    def stop_all(self) -> bool:
        """Whether all trials are to end."""
        return self.reason is not None
