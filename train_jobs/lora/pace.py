"""How fast a run goes and how long the rest takes. Pure: the clock is passed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

_WINDOW = 50  # steps whose median is the pace


class Pace:
    """Steps and the pauses between them (validation, pictures, checkpoints) are measured apart."""

    def __init__(self, clock: Callable[[], float], step: int, seconds_before: float) -> None:
        self._clock = clock
        self._began = self._step_at = clock()
        self._first = self._step = step
        self._seconds_before = seconds_before
        self._paused = 0.0
        self._paused_since_step = 0.0
        self._per_step: deque[float] = deque(maxlen=_WINDOW)

    @property
    def seconds(self) -> float:
        """Spent on the run, over all its attempts."""
        return self._seconds_before + self._clock() - self._began

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Time in here belongs to no step, but comes again in the rest of the run."""
        began = self._clock()
        try:
            yield
        finally:
            spent = self._clock() - began
            self._paused += spent
            self._paused_since_step += spent

    def seconds_per_step(self, step: int) -> float:
        """Mean seconds of a step since this was last asked, pauses left out."""
        now = self._clock()
        if step > self._step:
            self._per_step.append((now - self._step_at - self._paused_since_step) / (step - self._step))
        self._step, self._step_at, self._paused_since_step = step, now, 0.0
        return self._per_step[-1] if self._per_step else 0.0

    def eta_seconds(self, step: int, steps: int) -> float | None:
        """Time left: the median step, and the share of pauses so far. None before anything was measured."""
        done = step - self._first
        if done <= 0 or not self._per_step:
            return None
        return (steps - step) * (median(self._per_step) + self._paused / done)
