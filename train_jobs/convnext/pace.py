"""How fast a run goes and how long the rest takes. Pure: the clock is passed in."""

from __future__ import annotations

from collections.abc import Callable


class Pace:
    """Measured since this worker began; validation and checkpoints count, as they do in the rest."""

    def __init__(self, clock: Callable[[], float], position: float, seconds_before: float, epochs: int) -> None:
        self._clock = clock
        self._began = clock()
        self._position = position
        self._seconds_before = seconds_before
        self._epochs = epochs
        self._row_at = self._began
        self._row_images: int | None = None
        self._rate = 0.0

    @property
    def seconds(self) -> float:
        """Spent on the run, over all its attempts."""
        return self._seconds_before + self._clock() - self._began

    def eta_seconds(self, position: float) -> float | None:
        """Time left, at `position` epochs; None before anything was measured."""
        done = position - self._position
        if done <= 0:
            return None
        return (self._clock() - self._began) / done * (self._epochs - position)

    def images_per_second(self, images: int) -> float:
        """The rate since this was last asked, `images` being the total so far."""
        now = self._clock()
        if self._row_images is not None and now > self._row_at and images > self._row_images:
            self._rate = (images - self._row_images) / (now - self._row_at)
        self._row_at, self._row_images = now, images
        return self._rate
