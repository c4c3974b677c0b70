"""The simulator's time: real, while its machines are faster than the true ones, or moved by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """What time it is, and how long things take.

    Its hands show real time, so that what the simulator says of an order fits what its caller saw; `speed`
    shortens what the simulated machines need. At speed 0 the hands stand until `move_to`, and durations
    are the true ones.
    """

    def __init__(self, speed: float = 0.0) -> None:
        self.speed = speed
        self._started = datetime.now(UTC)
        self._skipped = timedelta()

    @property
    def stands(self) -> bool:
        """Whether it only moves by hand."""
        return self.speed <= 0

    def now(self) -> datetime:
        """The time, in UTC."""
        return (self._started if self.stands else datetime.now(UTC)) + self._skipped

    def scaled(self, seconds: float) -> float:
        """How long something lasts here that takes `seconds` at the provider."""
        return seconds if self.stands else seconds / self.speed

    def after(self, seconds: float) -> datetime:
        """When that will be over."""
        return self.now() + timedelta(seconds=self.scaled(seconds))

    def move_to(self, moment: datetime) -> None:
        """Turn the hands forward; never back."""
        self._skipped += max(moment - self.now(), timedelta())
